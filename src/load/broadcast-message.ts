/**
 * The message of the scenario broadcast. It is printable ASCII, so a server may relay it as text or binary:
 *
 *     run (1)  publisher (3)  sequence (5)  time (7)  filling (the rest, known from the sequence)
 *
 * Numbers are written in base 64 with the characters from '0' (0x30) on, highest digit first. `run` tells messages of this
 * run from what is left of others; `time` is in µs of the clock that all threads of the process share.
 */

/** Bytes in front of the filling. */
export const MIN_BROADCAST_SIZE = 16;

const ZERO = 0x30;
const PUBLISHER_AT = 1;
const SEQUENCE_AT = 4;
const TIME_AT = 9;

/** A time is told modulo this many µs, about 51 days. */
export const TIME_MODULO = 2 ** 42;

/** @param sequence 0 to 2^30-1 */
export function writeBroadcast(
  out: Uint8Array,
  at: number,
  size: number,
  run: number,
  publisher: number,
  sequence: number,
  time: number,
): void {
  out[at] = ZERO + run;
  writeDigits(out, at + PUBLISHER_AT, 3, publisher);
  writeDigits(out, at + SEQUENCE_AT, 5, sequence);
  writeDigits(out, at + TIME_AT, 7, time % TIME_MODULO);
  out.fill(fillingOf(sequence), at + MIN_BROADCAST_SIZE, at + size);
}

/** Whether the bytes are a message of this run, filling included. */
export function isBroadcast(
  bytes: Uint8Array,
  at: number,
  length: number,
  size: number,
  run: number,
): boolean {
  if (length !== size || bytes[at] !== ZERO + run) return false;
  const filling = fillingOf(sequenceOf(bytes, at));
  for (let i = at + MIN_BROADCAST_SIZE; i < at + size; i++) if (bytes[i] !== filling) return false;
  return true;
}

export function publisherOf(bytes: Uint8Array, at: number): number {
  return readDigits(bytes, at + PUBLISHER_AT, 3);
}

export function sequenceOf(bytes: Uint8Array, at: number): number {
  return readDigits(bytes, at + SEQUENCE_AT, 5);
}

/** µs modulo {@link TIME_MODULO}. */
export function timeOf(bytes: Uint8Array, at: number): number {
  return readDigits(bytes, at + TIME_AT, 7);
}

/** From one time to another, both modulo {@link TIME_MODULO}; 0 when the clocks of two threads differ by a bit. */
export function microsecondsSince(time: number, now: number): number {
  const difference = (now - time + TIME_MODULO) % TIME_MODULO;
  return difference < TIME_MODULO / 2 ? difference : 0;
}

function fillingOf(sequence: number): number {
  return ZERO + (sequence & 63);
}

function writeDigits(out: Uint8Array, at: number, digits: number, value: number): void {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    out[i] = ZERO + (rest % 64);
    rest = Math.floor(rest / 64);
  }
}

function readDigits(bytes: Uint8Array, at: number, digits: number): number {
  let value = 0;
  for (let i = at; i < at + digits; i++) value = value * 64 + bytes[i]! - ZERO;
  return value;
}
