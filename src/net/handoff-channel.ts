import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../errors.ts';
import {
  type ConnectRequest,
  errorName,
  PIPE_IPC,
  PIPE_SERVER,
  Pipe,
  PipeConnectWrap,
  type PipeHandle,
} from './node-internals.ts';
import { makeSocketFolder, SOCKET_NAME } from './socket-folder.ts';

/**
 * Channels that sockets go from thread to thread by: Unix sockets both of whose ends are IPC pipes of libuv.
 *
 * The end that connects belongs to the thread that connects it. The end that is accepted is a pipe of the wrong kind,
 * so its descriptor *number* is opened once more, as an IPC pipe, by the thread that is to have it. The wrapper that
 * accepted it stays idle and is never closed: when the other one is closed the number is reused, and closing the
 * wrapper would close a stranger's socket. For the same reason it must not be in a thread that may die before the
 * process, which would close it: only the main thread listens for channels and makes them. It costs a small object.
 */
export interface Channel {
  /** Main thread's wrapper of the sending end; may be used there, or given away by `fd`. */
  readonly sender: PipeHandle;
  readonly senderFd: number;
  /** To be given away by `fd`. */
  readonly receiver: PipeHandle;
  readonly receiverFd: number;
}

/** Wrappers of descriptors that other threads own now. */
const abandoned = new Set<PipeHandle>();

/** Longest time that making or testing a channel may take, in ms. */
export const CHANNEL_TIMEOUT = 2000;

/**
 * Calls back after `timeout` ms, and a look at what has come: a thread that was busy until then has not seen it, and timers
 * come first.
 */
export function afterPoll(timeout: number, callback: () => void): NodeJS.Timeout {
  return setTimeout(() => setImmediate(callback), timeout);
}

/** Makes a channel with both ends in this thread, to be given away. Main thread only. */
export async function createChannel(): Promise<Channel> {
  const listener = new ChannelListener(CHANNEL_TIMEOUT);
  const sender = new Pipe(PIPE_IPC);
  try {
    const [receiver] = await Promise.all([listener.accepted, connect(sender, listener.path)]);
    abandoned.add(sender);
    return { sender, senderFd: sender.fd, receiver, receiverFd: receiver.fd };
  } catch (error) {
    sender.close();
    throw error;
  } finally {
    listener.close();
  }
}

/** ChannelListener: where one thread connects to. Main thread only. */
export class ChannelListener {
  readonly path: string;
  /** The accepted end, to be opened by its `fd`. Rejects when nobody came in time or the listener was closed. */
  readonly accepted: Promise<PipeHandle>;
  readonly #directory: string;
  readonly #server: PipeHandle;
  readonly #timer: NodeJS.Timeout;
  #reject: (error: MillraceError) => void = ignore;
  #isOpen = true;

  /**
   * @param timeout ms until the listener closes
   * @throws MillraceError MILLRACE_UNSUPPORTED_RUNTIME when the system refuses: for want of descriptors mostly, or of a
   *   temporary folder (then with a `cause`)
   */
  constructor(timeout: number) {
    this.#directory = makeSocketFolder();
    this.path = join(this.#directory, SOCKET_NAME);
    this.#server = new Pipe(PIPE_SERVER);
    this.accepted = new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#server.onconnection = (status, client): void => {
        if (client === undefined) {
          reject(handoffError('accept on a Unix socket', status));
        } else {
          abandoned.add(client);
          resolve(client);
        }
        this.close();
      };
    });
    // A caller that awaits it is told; none need do so.
    this.accepted.catch(ignore);
    // Also: libuv accepts and closes in silence when there are no descriptors left.
    this.#timer = afterPoll(timeout, () => {
      this.close();
    });
    try {
      check(this.#server.bind(this.path), 'bind a Unix socket');
      check(this.#server.listen(1), 'listen on a Unix socket');
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#server.close();
    rmSync(this.#directory, { recursive: true, force: true });
    this.#reject(handoffError('accept on a Unix socket', undefined));
  }
}

/** Connects to a listener of another thread. The end belongs to this thread. */
export async function connectChannel(path: string): Promise<PipeHandle> {
  const pipe = new Pipe(PIPE_IPC);
  try {
    await connect(pipe, path);
    return pipe;
  } catch (error) {
    pipe.close();
    throw error;
  }
}

function connect(pipe: PipeHandle, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request: ConnectRequest = new PipeConnectWrap();
    request.oncomplete = (status: number): void => {
      if (status === 0) resolve();
      else reject(handoffError('connect to a Unix socket', status));
    };
    check(pipe.connect(request, path), 'connect to a Unix socket');
  });
}

/** Closes an end of a channel that no thread has opened, and none will. */
export function discardEnd(end: PipeHandle): void {
  if (abandoned.delete(end)) end.close();
}

/** Closes a channel that no thread has opened. */
export function discardChannel({ sender, receiver }: Channel): void {
  discardEnd(sender);
  discardEnd(receiver);
}

/** Opens the descriptor of a channel's end in the thread that owns it from now on. */
export function openEnd(fd: number): PipeHandle {
  const pipe = new Pipe(PIPE_IPC);
  check(pipe.open(fd), 'open the end of a handoff channel');
  return pipe;
}

/** Closes an end that was given to this thread, and is not needed. */
export function closeEnd(fd: number): void {
  openEnd(fd).close();
}

export function check(status: number, step: string): void {
  if (status !== 0) throw handoffError(step, status);
}

export function handoffError(step: string, status: number | undefined): MillraceError {
  const reason = status === undefined ? 'nothing arrived' : errorName(status);
  return new MillraceError(
    'MILLRACE_UNSUPPORTED_RUNTIME',
    `Sockets cannot be passed between threads here: could not ${step} (${reason})`,
  );
}

function ignore(): void {}
