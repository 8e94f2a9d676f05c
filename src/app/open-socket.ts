import { fstatSync } from 'node:fs';
import { described, readNumber } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';
import { TCP, TCP_SOCKET, type TcpHandle } from '../net/node-internals.ts';

/**
 * The handle of a connected stream socket that `adoptSocket` is given by its descriptor.
 *
 * @throws MillraceError MILLRACE_INVALID_ARGUMENT when it is none
 */
export function openSocket(fd: number): TcpHandle {
  // Not cut: the descriptor below is something else.
  const number = readNumber(fd);
  let isSocket = false;
  try {
    isSocket = Number.isInteger(number) && fstatSync(number).isSocket();
  } catch {
    // No descriptor of this process.
  }
  const handle = new TCP(TCP_SOCKET);
  if (isSocket && handle.open(number) === 0) return handle;
  handle.close();
  throw new MillraceError(
    'MILLRACE_INVALID_ARGUMENT',
    `adoptSocket: the argument must be the descriptor of a connected stream socket; got ${described(fd)}`,
  );
}
