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

/** Bytes that the path of a Unix socket may have. libuv cuts a longer one in silence: it would lie somewhere else. */
export const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

/**
 * What is wrong with the path of a Unix socket, in words that follow it; '' when it can be tried. A NUL in front makes it
 * an abstract name, which no file has (Linux).
 */
export function socketPathProblem(path: string): string {
  if (path === '') return 'is empty';
  const isAbstract = path.startsWith('\0');
  if (path.includes('\0', 1)) return 'has a NUL character in it';
  if (isAbstract && process.platform !== 'linux') return 'is an abstract name, which only Linux has';
  // Before it binds what is left of the NUL, filled up with more of them: nobody else would find it.
  if (isAbstract && Number.parseInt(process.versions.node, 10) < 22) {
    return `is an abstract name, which Node.js can bind from 22 on; this is ${process.version}`;
  }
  const size = Buffer.byteLength(path) - (isAbstract ? 1 : 0);
  return size > MAX_SOCKET_PATH ? `has ${size} bytes; that of a Unix socket may have ${MAX_SOCKET_PATH}` : '';
}

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
