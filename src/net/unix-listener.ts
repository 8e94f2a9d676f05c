import { lstatSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { listenError } from './listener.ts';
import {
  errorName,
  PIPE_SERVER,
  PIPE_SOCKET,
  Pipe,
  PipeConnectWrap,
  type PipeHandle,
} from './node-internals.ts';

const EADDRINUSE = -constants.errno.EADDRINUSE;
const ECONNREFUSED = -constants.errno.ECONNREFUSED;

/**
 * A handle bound to a Unix socket. Its file goes when the handle is closed. Returns null when the file is there
 * already: see {@link removeStaleSocket}.
 *
 * @throws MillraceError MILLRACE_LISTEN_FAILED
 */
export function bindPath(path: string): PipeHandle | null {
  const handle = new Pipe(PIPE_SERVER);
  const error = handle.bind(path);
  if (error === 0) return handle;
  handle.close();
  if (error === EADDRINUSE) return null;
  throw listenError(path, 0, errorName(error));
}

/**
 * Removes the file of a Unix socket that nobody listens on any more, as a program leaves it that was killed. Whether
 * somebody does is found by a connection, so `done` is called later; with false when the file was left alone.
 */
export function removeStaleSocket(path: string, done: (isRemoved: boolean) => void): void {
  const probe = new Pipe(PIPE_SOCKET);
  const request = new PipeConnectWrap();
  request.oncomplete = (status: number): void => {
    probe.close();
    done(status === ECONNREFUSED && removeSocketFile(path));
  };
  const error = probe.connect(request, path);
  if (error !== 0) {
    probe.close();
    done(false);
  }
}

function removeSocketFile(path: string): boolean {
  try {
    if (!lstatSync(path).isSocket()) return false;
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}
