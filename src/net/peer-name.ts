import type { SocketAddress, SocketHandle } from './node-internals.ts';

/** The peer's address as the system writes it; '' when there is none: a Unix socket, or a peer that has left. */
export function peerAddress(handle: SocketHandle): string {
  // A Unix socket has no such method.
  if (typeof handle.getpeername !== 'function') return '';
  const name: SocketAddress = {};
  return handle.getpeername(name) === 0 ? (name.address ?? '') : '';
}
