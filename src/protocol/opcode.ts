/** Frame opcodes (RFC 6455 §5.2). 3 to 7 and 11 to 15 are reserved. */
export const Opcode = {
  CONTINUATION: 0,
  TEXT: 1,
  BINARY: 2,
  CLOSE: 8,
  PING: 9,
  PONG: 10,
} as const;

export type Opcode = (typeof Opcode)[keyof typeof Opcode];

/** Control frames have the highest opcode bit set (RFC 6455 §5.5). */
export function isControl(opcode: number): boolean {
  return (opcode & 8) !== 0;
}
