import * as fc from 'fast-check';
import { SendStatus, type WebSocket } from 'millrace';
import { afterEach, expect, test, vi } from 'vitest';
import { WriteBatch } from '../../../dist/src/net/write-batch.js';
import { binary } from '../../support/protocol/frame-bytes.ts';
import { type Pair, Route } from '../../support/protocol/route.ts';
import { until } from '../../support/tools/deadline.ts';

/**
 * The stream each client gets is exactly what the server accepted for it, in order: whatever is sent from
 * handlers, timers and promises, corked or not, directly or published, small or large, read soon or late.
 */

const SOCKETS = 4;
const TOPIC = 'all';

/** Around every limit there is: headers, the cork, the queue's blocks, the publish batch, a read. */
const SIZES = [
  8, 9, 125, 126, 127, 1000, 1014, 1024, 4000, 16_383, 16_384, 30_000, 65_520, 65_526, 65_532, 65_536, 70_000,
  131_072, 300_000, 1_000_000,
];

type How = 'send' | 'cork' | 'nested corks' | 'publish' | 'publish of the socket' | 'fragments';
interface Send {
  readonly how: How;
  readonly to: number;
  readonly size: number;
  readonly times: number;
}
type Where = 'handler' | 'timer' | 'microtask' | 'here';
interface Step {
  readonly where: Where;
  /** Whose handler, or who publishes. */
  readonly by: number;
  readonly sends: readonly Send[];
  /** Sockets whose client reads from here on, or no longer. */
  readonly toggle: number | null;
  /** Lets the event loop turn before the next step. */
  readonly turn: boolean;
}

const socket = fc.nat(SOCKETS - 1);
const send: fc.Arbitrary<Send> = fc.record({
  how: fc.constantFrom<How>(
    'send',
    'send',
    'cork',
    'nested corks',
    'publish',
    'publish of the socket',
    'fragments',
  ),
  to: socket,
  size: fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 8, max: 300 }) },
    { weight: 3, arbitrary: fc.constantFrom(...SIZES) },
  ),
  times: fc.oneof(
    { weight: 5, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.integer({ min: 2, max: 12 }) },
  ),
});
const step: fc.Arbitrary<Step> = fc.record({
  where: fc.constantFrom<Where>('handler', 'handler', 'timer', 'microtask', 'here'),
  by: socket,
  sends: fc.array(send, { minLength: 1, maxLength: 8 }),
  toggle: fc.option(socket, { freq: 3 }),
  turn: fc.boolean(),
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** A message that says what it is: its number, and bytes that follow from it. */
function message(number: number, size: number): Buffer {
  const bytes = Buffer.alloc(size, number * 31 + 7);
  bytes.writeUInt32BE(number, 0);
  bytes.writeUInt32BE(size, 4);
  return bytes;
}

class Run {
  readonly #route: Route;
  readonly #pairs: Pair[];
  readonly #expected: number[][] = Array.from({ length: SOCKETS }, () => []);
  #number = 0;
  /** What the next message of a socket makes its handler do. */
  readonly todo = new Map<WebSocket, () => void>();
  drops = 0;
  backpressures = 0;

  constructor(route: Route, pairs: Pair[]) {
    this.#route = route;
    this.#pairs = pairs;
  }

  async play(steps: readonly Step[]): Promise<void> {
    for (const { where, by, sends, toggle, turn } of steps) {
      if (toggle !== null) this.#toggle(toggle);
      const act = (): void => {
        for (const one of sends) for (let i = 0; i < one.times; i++) this.#send(one, by);
      };
      await this.#inside(where, by, act);
      if (turn) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** What was published and then dropped is told later. */
  drop(ws: WebSocket, number: number): void {
    this.drops++;
    const expected = this.#expected[this.#pairs.findIndex((pair) => pair.ws === ws)]!;
    const at = expected.indexOf(number);
    if (at >= 0) expected.splice(at, 1);
  }

  async check(): Promise<void> {
    for (const [i, { ws, client }] of this.#pairs.entries()) {
      client.resume();
      await until(() => ws.getBufferedAmount() === 0, `all of socket ${i} is written`);
      expect(ws.send('end')).toBe(SendStatus.SUCCESS);
      const received: number[] = [];
      for (;;) {
        const frame = await client.frame();
        if (frame.opcode === 1) break;
        const parts = [frame.payload];
        while (!frame.fin && parts.length < 3) parts.push((await client.frame()).payload);
        const bytes = Buffer.concat(parts);
        const number = bytes.readUInt32BE(0);
        if (!bytes.equals(message(number, bytes.readUInt32BE(4))))
          throw new Error(`message ${number} is damaged`);
        received.push(number);
      }
      expect(received, `socket ${i}`).toEqual(this.#expected[i]);
    }
  }

  /** Makes a client read that did not, or the other way round, and then fills all that is on the way to it. */
  #toggle(i: number): void {
    const { ws, client } = this.#pairs[i]!;
    if (client.socket.isPaused()) {
      client.resume();
      return;
    }
    client.pause();
    // What is in flight when the kernel takes no more then lies in the cork, or in memory of its own.
    const flood = i % 2 === 0 ? { how: 'cork', size: 30_000 } : { how: 'send', size: 1_000_000 };
    while (ws.getBufferedAmount() === 0) this.#send({ ...flood, to: i, times: 1 } as Send, i);
  }

  async #inside(where: Where, by: number, act: () => void): Promise<void> {
    if (where === 'here') {
      act();
    } else if (where === 'microtask') {
      await Promise.resolve().then(act);
    } else {
      await new Promise<void>((resolve) => {
        const run = (): void => {
          act();
          resolve();
        };
        if (where === 'timer') {
          setTimeout(run, 0);
        } else {
          const { ws, client } = this.#pairs[by]!;
          this.todo.set(ws, run);
          client.send(binary());
        }
      });
    }
  }

  #send({ how, to, size }: Send, by: number): void {
    const number = this.#number++;
    const bytes = message(number, size);
    const { ws } = this.#pairs[to]!;
    const direct = (status: SendStatus): void => {
      if (status === SendStatus.BACKPRESSURE) this.backpressures++;
      if (status !== SendStatus.DROPPED) this.#expected[to]!.push(number);
    };
    if (how === 'send') direct(ws.send(bytes, true));
    else if (how === 'cork') ws.cork(() => direct(ws.send(bytes, true)));
    else if (how === 'nested corks') {
      const other = this.#pairs[by]!.ws;
      ws.cork(() => other.cork(() => direct(ws.send(bytes, true))));
    } else if (how === 'fragments') {
      const cut = size >> 1;
      direct(ws.sendFirstFragment(bytes.subarray(0, 4), true));
      ws.sendFragment(bytes.subarray(4, cut));
      ws.sendLastFragment(bytes.subarray(cut));
    } else {
      const sender = how === 'publish' ? -1 : by;
      this.#expected.forEach((expected, i) => {
        if (i !== sender) expected.push(number);
      });
      if (sender < 0) this.#route.app.publish(TOPIC, bytes, true);
      else this.#pairs[sender]!.ws.publish(TOPIC, bytes, true);
    }
  }
}

interface Seen {
  drops: number;
  backpressures: number;
}

async function property(maxBackpressure: number, hows: (how: How) => boolean): Promise<Seen> {
  let run: Run;
  const seen = { drops: 0, backpressures: 0 };
  using route = new Route({
    maxBackpressure,
    message: (ws) => {
      run.todo.get(ws)!();
    },
    dropped: (ws, bytes) => {
      if (bytes.byteLength >= 8) run.drop(ws, Buffer.from(bytes).readUInt32BE());
    },
  });
  const steps = fc.array(
    step.map(({ sends, ...rest }) => Object.assign(rest, { sends: sends.filter(({ how }) => hows(how)) })),
    { minLength: 1, maxLength: 25 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (played) => {
      const pairs = await route.pairs(SOCKETS);
      for (const { ws } of pairs) ws.subscribe(TOPIC);
      run = new Run(route, pairs);
      await run.play(played);
      await run.check();
      for (const { client } of pairs) client.reset();
      seen.drops += run.drops;
      seen.backpressures += run.backpressures;
    }),
    { numRuns: 25 },
  );
  return seen;
}

test('without a limit every message of every socket arrives, in order', async () => {
  const seen = await property(0, () => true);
  expect(seen.backpressures).toBeGreaterThan(0);
  expect(seen.drops).toBe(0);
});

test('in a rush, when what sockets cork waits for one another, every message of every socket arrives, in order', async () => {
  let reads = 0;
  vi.spyOn(WriteBatch.prototype, 'noteRead').mockImplementation(() => ++reads % 8 !== 0);
  const seen = await property(0, () => true);
  // Every eighth read ended a rush.
  expect(reads).toBeGreaterThan(8);
  expect(seen.backpressures).toBeGreaterThan(0);
  expect(seen.drops).toBe(0);
});

test('with a limit every message that was accepted arrives, in order', async () => {
  // A fragment that is dropped leaves a message open: that is its sender's to see to.
  const seen = await property(64 * 1024, (how) => how !== 'fragments');
  expect(seen.backpressures).toBeGreaterThan(0);
  expect(seen.drops).toBeGreaterThan(0);
});
