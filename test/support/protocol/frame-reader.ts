import { concat, type FrameSpec, frameBytes, type MaskKey } from './frame-bytes.ts';

/**
 * A slow and obvious WebSocket endpoint, written from the text of RFC 6455 alone: the oracle of the tests.
 * It takes one byte at a time, keeps everything in plain arrays, counts lengths in BigInt, and echoes messages.
 */

export interface EndpointRules {
  /** True for a server: what comes must be masked. */
  readonly expectMasked: boolean;
  readonly maxPayloadLength: number;
  readonly maxFragments: number;
  /** Pings that are answered while the clock stands still. */
  readonly maxPings: number;
}

export interface Verdict {
  /** `text …`, `binary …`, `ping …`, `pong …`, `peer close <code> …`, `failure <code>`, `done`. */
  readonly events: string[];
  /** Frames sent: echoes, pongs and the Close. */
  readonly replies: FrameSpec[];
  /** How many bytes were taken when the connection ended; -1 when it is still open. */
  readonly endedAfter: number;
}

/** What an endpoint that echoes makes of `input`. */
export function referenceVerdict(input: Uint8Array, rules: EndpointRules): Verdict {
  const events: string[] = [];
  const replies: FrameSpec[] = [];
  const endpoint = readConnection(rules, events, replies);
  endpoint.next(0);
  for (let i = 0; i < input.length; i++) {
    const step = endpoint.next(input[i]!);
    if (step.done !== true) continue;
    const failure = step.value;
    if (failure !== 0) {
      events.push(`failure ${failure}`);
      replies.push({ opcode: 8, payload: Uint8Array.of(failure >> 8, failure & 255) });
    }
    events.push('done');
    return { events, replies, endedAfter: i + 1 };
  }
  return { events, replies, endedAfter: -1 };
}

interface Message {
  readonly opcode: number;
  readonly bytes: number[];
  frames: number;
  /** The bytes of a code point that is not complete. */
  codePoint: number[];
}

/** Every `yield` is the next byte. Returns the close code to fail with, or 0 after a clean Close. */
function* readConnection(
  rules: EndpointRules,
  events: string[],
  replies: FrameSpec[],
): Generator<undefined, number, number> {
  let message: Message | null = null;
  let pings = 0;
  for (;;) {
    const first = yield;
    const second = yield;
    const fin = first >= 128;
    const opcode = first % 16;
    // §5.1: a server must close the connection upon an unmasked frame, a client upon a masked one.
    if (second >= 128 !== rules.expectMasked) return 1002;
    // §5.2: RSV bits MUST be 0 unless an extension is negotiated; an unknown opcode fails the connection.
    if (Math.floor(first / 16) % 8 !== 0) return 1002;
    if (![0, 1, 2, 8, 9, 10].includes(opcode)) return 1002;
    // §5.5: control frames have at most 125 bytes of payload and are not fragmented.
    if (opcode >= 8 && (!fin || second % 128 > 125)) return 1002;

    let length = BigInt(second % 128);
    if (length === 126n) {
      length = yield* readNumber(2);
      if (length < 126n) return 1002; // §5.2: the minimal number of bytes MUST be used
    } else if (length === 127n) {
      length = yield* readNumber(8);
      if (length >= 2n ** 63n) return 1002; // §5.2: the most significant bit MUST be 0
      if (length < 65536n) return 1002;
    }

    if (opcode < 8) {
      // §5.4: a continuation continues something; nothing else may come before its end.
      if ((opcode === 0) !== (message !== null)) return 1002;
      message ??= { opcode, bytes: [], frames: 0, codePoint: [] };
      if (BigInt(message.bytes.length) + length > BigInt(rules.maxPayloadLength)) return 1009;
      if (message.frames === rules.maxFragments) return 1008;
      message.frames++;
    }

    const key = [0, 0, 0, 0];
    if (rules.expectMasked) for (let i = 0; i < 4; i++) key[i] = yield;
    const payload: number[] = [];
    for (let i = 0; BigInt(i) < length; i++) {
      const byte = (yield) ^ key[i % 4]!;
      payload.push(byte);
      // §8.1: a text that is not UTF-8 fails the connection, here as soon as no text can begin like this.
      if (opcode < 8 && message!.opcode === 1 && !takesUtf8(message!.codePoint, byte)) return 1007;
      if (opcode < 8) message!.bytes.push(byte);
    }

    if (opcode < 8 && fin) {
      const { bytes, codePoint, opcode: kind } = message!;
      if (codePoint.length > 0) return 1007;
      events.push(eventOf(kind === 1 ? 'text' : 'binary', bytes));
      replies.push({ opcode: kind, payload: Uint8Array.from(bytes) });
      message = null;
    } else if (opcode === 9) {
      if (++pings > rules.maxPings) return 1008;
      events.push(eventOf('ping', payload));
      replies.push({ opcode: 10, payload: Uint8Array.from(payload) });
    } else if (opcode === 10) {
      events.push(eventOf('pong', payload));
    } else if (opcode === 8) {
      const failure = closeFailure(payload);
      if (failure !== 0) return failure;
      const code = payload.length === 0 ? 1005 : payload[0]! * 256 + payload[1]!;
      replies.push({ opcode: 8, payload: Uint8Array.from(payload) });
      events.push(eventOf(`peer close ${code}`, payload.slice(2)));
      return 0;
    }
  }
}

function* readNumber(size: number): Generator<undefined, bigint, number> {
  let value = 0n;
  for (let i = 0; i < size; i++) value = value * 256n + BigInt(yield);
  return value;
}

/** §7.4: which codes may be on the wire; 1012 to 1014 are in the IANA registry. */
function closeFailure(payload: readonly number[]): number {
  if (payload.length === 0) return 0;
  if (payload.length === 1) return 1002;
  const code = payload[0]! * 256 + payload[1]!;
  const registered = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
  if (!registered.includes(code) && (code < 3000 || code > 4999)) return 1002;
  const codePoint: number[] = [];
  return payload.slice(2).every((byte) => takesUtf8(codePoint, byte)) && codePoint.length === 0 ? 0 : 1007;
}

/** The ABNF of RFC 3629 §4: each line is a form of code point, as ranges of its bytes. */
const UTF8_FORMS: readonly (readonly (readonly [number, number])[])[] = [
  [[0x00, 0x7f]],
  [
    [0xc2, 0xdf],
    [0x80, 0xbf],
  ],
  [
    [0xe0, 0xe0],
    [0xa0, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xe1, 0xec],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xed, 0xed],
    [0x80, 0x9f],
    [0x80, 0xbf],
  ],
  [
    [0xee, 0xef],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf0, 0xf0],
    [0x90, 0xbf],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf1, 0xf3],
    [0x80, 0xbf],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf4, 0xf4],
    [0x80, 0x8f],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
];

/** Takes a byte into the code point that is being read and says whether some text can go on like this. */
function takesUtf8(codePoint: number[], byte: number): boolean {
  codePoint.push(byte);
  const form = UTF8_FORMS.find((ranges) =>
    codePoint.every((value, i) => i < ranges.length && value >= ranges[i]![0] && value <= ranges[i]![1]),
  );
  if (form === undefined) return false;
  if (codePoint.length === form.length) codePoint.length = 0;
  return true;
}

/** An event as one string, payload as Latin-1: quick to compare, readable in a diff. */
export function eventOf(name: string, payload: ArrayLike<number>): string {
  const bytes = payload instanceof Uint8Array ? payload : Uint8Array.from(payload);
  return `${name} ${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')}`;
}

export interface Frame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly key: MaskKey | null;
  readonly payload: Uint8Array;
}

export interface FrameHead extends Omit<Frame, 'payload'> {
  readonly length: bigint;
  /** Bytes of the header. */
  readonly size: number;
}

/** The header at `at`, as §5.2 draws it; throws when it is cut or uses more bytes than needed. */
export function readHead(bytes: Uint8Array, at: number): FrameHead {
  const first = bytes[at]!;
  const second = bytes[at + 1]!;
  const form = second & 127;
  const extended = form === 126 ? 2 : form === 127 ? 8 : 0;
  let length = BigInt(form);
  if (extended > 0) {
    length = 0n;
    for (let i = 0; i < extended; i++) length = length * 256n + BigInt(bytes[at + 2 + i]!);
    if (length < (extended === 2 ? 126n : 65536n)) throw new Error('a length encoding longer than needed');
  }
  const masked = second >= 128;
  const keyAt = at + 2 + extended;
  const key: MaskKey | null = masked
    ? [bytes[keyAt]!, bytes[keyAt + 1]!, bytes[keyAt + 2]!, bytes[keyAt + 3]!]
    : null;
  const size = 2 + extended + (masked ? 4 : 0);
  if (at + size > bytes.length) throw new Error('a cut header');
  return { fin: first >= 128, rsv: (first >> 4) & 7, opcode: first & 15, key, length, size };
}

/** Decodes frames that lie back to back; throws when the last one is cut. */
export function readFrames(bytes: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { length, size, ...head } = readHead(bytes, at);
    const start = at + size;
    const end = start + Number(length);
    if (end > bytes.length) throw new Error('a cut payload');
    const { key } = head;
    const payload = bytes.slice(start, end).map((byte, i) => (key === null ? byte : byte ^ key[i % 4]!));
    frames.push({ ...head, payload });
    at = end;
  }
  return frames;
}

/** The bytes of `frames` as a server (no key) or a client that always uses `key` sends them. */
export function framesBytes(frames: readonly FrameSpec[], key: MaskKey | null): Uint8Array {
  return concat(...frames.map((frame) => frameBytes(frame, key)));
}
