import { Opcode } from '../protocol/opcode.ts';

/**
 * Records of the kind PUBLISH: the topic is the name, its hash the tag, and the body a frame as it goes to sockets. The
 * rest is in the record's flags.
 */
const BINARY = 1;
/** Behind the frame there is the same in compressed form. */
const COMPRESSED = 2;

export function publishFlags(opcode: number, isCompressed: boolean): number {
  return (opcode === Opcode.BINARY ? BINARY : 0) | (isCompressed ? COMPRESSED : 0);
}

export function publishOpcode(flags: number): number {
  return (flags & BINARY) === 0 ? Opcode.TEXT : Opcode.BINARY;
}

export function isCompressed(flags: number): boolean {
  return (flags & COMPRESSED) !== 0;
}
