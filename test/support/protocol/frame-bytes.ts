/** Builds frames (RFC 6455 §5.2), valid and invalid ones, field by field. */

export type MaskKey = readonly [number, number, number, number];

/** What a frame says, apart from who sends it. */
export interface FrameSpec {
  readonly opcode: number;
  readonly payload: Uint8Array;
  /** True by default. */
  readonly fin?: boolean;
  /** RSV1 = 4, RSV2 = 2, RSV3 = 1; none by default. */
  readonly rsv?: number;
  /** The length encoding; the shortest by default. */
  readonly lengthBits?: 7 | 16 | 64;
  /** The length the header declares, when it is not that of the payload. */
  readonly declaredLength?: bigint;
}

export const ZERO_KEY: MaskKey = [0, 0, 0, 0];
export const SAMPLE_KEY: MaskKey = [0x37, 0xfa, 0x21, 0x3d];

/** The bytes of a frame, masked when there is a key. */
export function frameBytes(spec: FrameSpec, key: MaskKey | null = null): Uint8Array {
  const { opcode, payload, fin = true, rsv = 0 } = spec;
  const length = spec.declaredLength ?? BigInt(payload.length);
  const bits = spec.lengthBits ?? (length < 126n ? 7 : length < 65536n ? 16 : 64);
  const out: number[] = [(fin ? 128 : 0) + rsv * 16 + opcode];
  const maskBit = key === null ? 0 : 128;
  if (bits === 7) out.push(maskBit + Number(length));
  if (bits === 16) out.push(maskBit + 126, ...bigEndian(length, 2));
  if (bits === 64) out.push(maskBit + 127, ...bigEndian(length, 8));
  if (key === null) return concat(Uint8Array.from(out), payload);
  return concat(
    Uint8Array.from([...out, ...key]),
    payload.map((byte, i) => byte ^ key[i % 4]!),
  );
}

function bigEndian(value: bigint, size: number): number[] {
  const bytes: number[] = [];
  for (let i = size - 1; i >= 0; i--) bytes.push(Number((value >> BigInt(8 * i)) & 255n));
  return bytes;
}

type Flags = Pick<FrameSpec, 'fin' | 'rsv'>;

export function text(payload: string | Uint8Array = '', flags: Flags = {}): FrameSpec {
  return { ...flags, opcode: 1, payload: bytesOf(payload) };
}

export function binary(payload: Uint8Array = NO_BYTES, flags: Flags = {}): FrameSpec {
  return { ...flags, opcode: 2, payload };
}

/** The first frame of a fragmented text. */
export function textStart(payload: string | Uint8Array = ''): FrameSpec {
  return text(payload, { fin: false });
}

/** The first frame of a fragmented binary message. */
export function binaryStart(payload: Uint8Array = NO_BYTES): FrameSpec {
  return binary(payload, { fin: false });
}

/** A continuation that more follow. */
export function more(payload: string | Uint8Array = ''): FrameSpec {
  return { opcode: 0, payload: bytesOf(payload), fin: false };
}

/** The last continuation. */
export function last(payload: string | Uint8Array = ''): FrameSpec {
  return { opcode: 0, payload: bytesOf(payload) };
}

export function ping(payload: string | Uint8Array = '', flags: Flags = {}): FrameSpec {
  return { ...flags, opcode: 9, payload: bytesOf(payload) };
}

export function pong(payload: string | Uint8Array = '', flags: Flags = {}): FrameSpec {
  return { ...flags, opcode: 10, payload: bytesOf(payload) };
}

/** A close frame; without a code its payload is empty. */
export function close(code?: number, reason: string | Uint8Array = ''): FrameSpec {
  if (code === undefined) return { opcode: 8, payload: NO_BYTES };
  return { opcode: 8, payload: concat(Uint8Array.of(code >> 8, code & 255), bytesOf(reason)) };
}

const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();

export function bytesOf(payload: string | Uint8Array): Uint8Array {
  return typeof payload === 'string' ? encoder.encode(payload) : payload;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    joined.set(part, position);
    position += part.length;
  }
  return joined;
}

/** Bytes from hexadecimal digits; blanks are for the reader. */
export function hex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits.replaceAll(' ', ''), 'hex'));
}

/** `length` bytes that do not repeat soon, the same at each call. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let value = seed;
  for (let i = 0; i < length; i++) {
    value = (Math.imul(value, 1664525) + 1013904223) >>> 0;
    bytes[i] = value >>> 24;
  }
  return bytes;
}

/** `length` characters of ASCII that do not repeat soon. */
export function asciiPattern(length: number): string {
  return Buffer.from(pattern(length).map((byte) => 32 + (byte % 95))).toString('latin1');
}
