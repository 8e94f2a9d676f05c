/**
 * Records of the kind PUBLISH: the topic is the name, its hash the tag, and the body a frame as it goes to sockets. The
 * rest is in the record's flags.
 */
import type { ReceivedRecord } from '../ring/record.ts';
import { frameHeaderLength, frameLengthAt } from './deflate-variants.ts';

const BINARY = 1;
/** Behind the frame there is the same message compressed. */
const COMPRESSED = 2;

export function publishFlags(isBinary: boolean, isCompressed: boolean): number {
  return (isBinary ? BINARY : 0) | (isCompressed ? COMPRESSED : 0);
}

export function isBinary(flags: number): boolean {
  return (flags & BINARY) !== 0;
}

export function isCompressed(flags: number): boolean {
  return (flags & COMPRESSED) !== 0;
}

/** The payload of a publish as it was before it was compressed. */
export function payloadOf(record: ReceivedRecord): Uint8Array {
  const { bytes, bodyOffset, bodyLength } = record;
  const length = isCompressed(record.flags) ? frameLengthAt(bytes, bodyOffset) : bodyLength;
  return bytes.subarray(bodyOffset + frameHeaderLength(bytes, bodyOffset), bodyOffset + length);
}
