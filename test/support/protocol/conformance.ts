import { describe, expect, it } from 'vitest';
import { type ConnectionOptions, ConnectionState } from '../../../src/protocol/connection.ts';
import { FRAME_HEADROOM } from '../../../src/protocol/frame-parser.ts';
import { byteByByte, chunksOf, twoWayCuts } from './chunked.ts';
import { Endpoint } from './endpoint.ts';
import { close, concat, type FrameSpec, type MaskKey, SAMPLE_KEY, text, ZERO_KEY } from './frame-bytes.ts';
import { framesBytes, referenceVerdict, type Verdict } from './frame-reader.ts';

/**
 * Runs conformance cases against a Connection that echoes, in both roles. A case is what the peer sends and
 * what has to come back, to the byte; it has to come back however the input is cut into chunks.
 */

export interface ConformanceCase {
  readonly name: string;
  /** What the peer sends, masked or not as its role asks for. */
  readonly frames: readonly FrameSpec[];
  /** Bytes behind them, for what is no frame: by the mask bit that the role asks for. */
  readonly bytes?: (maskBit: number) => Uint8Array;
  /** What the endpoint sends: echoes, pongs, a Close. */
  readonly replies: readonly FrameSpec[];
  readonly outcome: Outcome;
  /** Sizes of chunks the input is also sent in. */
  readonly chops?: readonly number[];
  readonly options?: Partial<ConnectionOptions>;
}

export type Outcome = 'open' | `failure ${number}` | `peer close ${string}`;

type Extras = Pick<ConformanceCase, 'bytes' | 'chops' | 'options'>;

/** The connection stays open. */
export function stays(
  name: string,
  frames: readonly FrameSpec[],
  replies: readonly FrameSpec[],
  extras: Extras = {},
): ConformanceCase {
  return { name, frames, replies, outcome: 'open', ...extras };
}

/** Each frame is a whole message, or a ping, and comes back. */
export function echoes(name: string, frames: readonly FrameSpec[], extras: Extras = {}): ConformanceCase {
  return stays(name, frames, frames, extras);
}

/** The endpoint fails the connection with `code`, after `replies`. */
export function fails(
  name: string,
  frames: readonly FrameSpec[],
  code: number,
  replies: readonly FrameSpec[] = [],
  extras: Extras = {},
): ConformanceCase {
  return { name, frames, replies: [...replies, close(code)], outcome: `failure ${code}`, ...extras };
}

/** The peer's Close is answered with its code; `replies` come before. */
export function closes(
  name: string,
  frames: readonly FrameSpec[],
  code: number,
  reason: string,
  replies: readonly FrameSpec[] = [],
): ConformanceCase {
  const answer = code === 1005 ? close() : close(code, reason);
  const latin1 = Buffer.from(reason).toString('latin1');
  return { name, frames, replies: [...replies, answer], outcome: `peer close ${code} ${latin1}` };
}

/** Sent before and after a case; one byte, so that it fits below every limit. */
const BEFORE = text('<');
const PROBE = text('>');
const KEYS: readonly MaskKey[] = [SAMPLE_KEY, ZERO_KEY, [0xff, 0x80, 0x7f, 0x01]];

/** Inputs up to this length are sent byte by byte. */
const BYTE_BY_BYTE_UP_TO = 70_000;

export function conformance(title: string, cases: readonly ConformanceCase[]): void {
  describe.each(['server', 'client'] as const)(`${title}, in the %s role`, (role) => {
    it.each(cases.map((each) => [each.name, each] as const))('%s', (_name, each) => {
      new CaseRun(each, role).run();
    });
  });
}

class CaseRun {
  readonly #case: ConformanceCase;
  readonly #role: 'server' | 'client';
  readonly #endpoints: readonly Endpoint[];

  constructor(each: ConformanceCase, role: 'server' | 'client') {
    this.#case = each;
    this.#role = role;
    const options = { maxPayloadLength: 1024 * 1024, ...each.options, role };
    this.#endpoints = [FRAME_HEADROOM, 0].map((headroom) => new Endpoint(options, { headroom }));
  }

  run(): void {
    const keys = this.#role === 'server' ? KEYS : [null];
    for (const key of keys) this.#runWithKey(key, key === keys[0]);
  }

  #runWithKey(key: MaskKey | null, isFirst: boolean): void {
    const { frames, bytes, replies, chops = [] } = this.#case;
    const behind = bytes?.(key === null ? 0 : 0x80) ?? new Uint8Array(0);
    const input = concat(framesBytes(frames, key), behind);
    const wanted = this.#endpoints[0]!.toPeer(...replies);
    const verdict = this.#reference(input, wanted);
    const verify = (cuts: readonly number[], name: string): void => {
      for (const endpoint of this.#endpoints)
        this.#verify(endpoint, chunksOf(input, cuts), wanted, verdict, name);
    };

    verify([], 'in one chunk');
    if (input.length <= BYTE_BY_BYTE_UP_TO) this.#verifyByteByByte(input, wanted, verdict);
    for (const size of chops) verify(chopCuts(input.length, size), `in chops of ${size}`);
    if (isFirst) for (const cut of twoWayCuts(input.length)) verify([cut], `cut at ${cut}`);
    this.#verifyGlued(input, wanted, verdict, key);
  }

  /** The reference endpoint has to come to what the table says. */
  #reference(input: Uint8Array, wanted: Uint8Array): Verdict {
    const verdict = referenceVerdict(input, this.#endpoints[0]!.rules);
    expectSame(this.#endpoints[0]!.toPeer(...verdict.replies), wanted, 'the table and the reference');
    expect(outcomeOf(verdict.events)).toBe(this.#case.outcome);
    return verdict;
  }

  #verifyByteByByte(input: Uint8Array, wanted: Uint8Array, verdict: Verdict): void {
    const chunks = chunksOf(input, byteByByte(input.length));
    for (const endpoint of this.#endpoints) {
      endpoint.reconnect();
      let endedAfter = -1;
      chunks.forEach((chunk, i) => {
        endpoint.receive(chunk);
        if (endedAfter < 0 && endpoint.connection.state !== ConnectionState.OPEN) endedAfter = i + 1;
      });
      this.#judge(endpoint, wanted, verdict, 'byte by byte');
      expect(endedAfter, 'the byte that ends the connection').toBe(verdict.endedAfter);
    }
  }

  #verifyGlued(input: Uint8Array, wanted: Uint8Array, verdict: Verdict, key: MaskKey | null): void {
    const glued = concat(framesBytes([BEFORE], key), input);
    const start = glued.length - input.length;
    for (const endpoint of this.#endpoints) {
      const replies = concat(endpoint.toPeer(BEFORE), wanted);
      const events = [`text ${Buffer.from(BEFORE.payload).toString('latin1')}`, ...verdict.events];
      for (const cuts of [[], [start - 1], [start + 1], [3, start + 2]]) {
        this.#verify(endpoint, chunksOf(glued, cuts), replies, { ...verdict, events }, 'behind a message');
      }
    }
  }

  #verify(
    endpoint: Endpoint,
    chunks: readonly Uint8Array[],
    wanted: Uint8Array,
    verdict: Verdict,
    name: string,
  ): void {
    endpoint.reconnect();
    endpoint.receive(...chunks);
    this.#judge(endpoint, wanted, verdict, name);
  }

  #judge(endpoint: Endpoint, wanted: Uint8Array, { events, endedAfter }: Verdict, name: string): void {
    expectSame(endpoint.output.take(), wanted, name);
    if (endpoint.events.length !== events.length || endpoint.events.some((event, i) => event !== events[i])) {
      expect(endpoint.events, name).toEqual(events);
    }
    const state = endedAfter < 0 ? ConnectionState.OPEN : ConnectionState.DONE;
    if (endpoint.connection.state !== state) expect.fail(`${name}: state ${endpoint.connection.state}`);
    // What still arrives is echoed by an open connection and ignored by any other.
    endpoint.receive(endpoint.fromPeer(PROBE));
    const probed = endpoint.connection.state === ConnectionState.OPEN ? endpoint.toPeer(PROBE) : NO_BYTES;
    expectSame(endpoint.output.take(), probed, `${name}, afterwards`);
    if (endpoint.pool.lentBytes > 0) expect.fail(`${name}: ${endpoint.pool.lentBytes} bytes on loan`);
  }
}

const NO_BYTES = new Uint8Array(0);

/** How the events end; pongs, messages and pings leave the connection open. */
function outcomeOf(events: readonly string[]): Outcome {
  return events.at(-1) === 'done' ? (events.at(-2) as Outcome) : 'open';
}

function chopCuts(length: number, size: number): number[] {
  const cuts: number[] = [];
  for (let cut = size; cut < length; cut += size) cuts.push(cut);
  return cuts;
}

/** Compares at native speed, and shows the difference when there is one. */
export function expectSame(got: Uint8Array, wanted: Uint8Array, name: string): void {
  if (Buffer.compare(got, wanted) === 0) return;
  expect(show(got), name).toBe(show(wanted));
  expect.fail(`${name}: bytes differ beyond the first 200`);
}

function show(bytes: Uint8Array): string {
  return `${bytes.length} bytes ${Buffer.from(bytes.subarray(0, 200)).toString('hex')}`;
}
