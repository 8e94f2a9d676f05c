/*
 * Sockets from thread to thread, without native code.
 *
 *     acceptor thread                         shard thread
 *     HandoffSender ──── Unix socket ────▶ HandoffReceiver
 *        write(bytes, handle)  SCM_RIGHTS     handle + bytes
 *
 * The kernel duplicates the descriptor on the way, so each side owns its own and closes its own; two handles
 * on one descriptor number would close strangers' sockets. A message is a 32-bit little-endian length and
 * that many bytes; handles come first-in first-out beside them, one with each message that does not say in the
 * length's top bit that it has none. How channels are made: handoff-channel.ts.
 */

/** Bytes of a message's length, in front of it. */
export const LENGTH_SIZE = 4;

/** In a message's length: no socket comes with it. */
export const NO_SOCKET = 0x8000_0000;

/** What goes in front of a message of `length` bytes. */
export function lengthPrefix(length: number, hasSocket: boolean): string {
  const bits = hasSocket ? length : length | NO_SOCKET;
  return String.fromCharCode(bits & 255, (bits >>> 8) & 255, (bits >>> 16) & 255, bits >>> 24);
}
