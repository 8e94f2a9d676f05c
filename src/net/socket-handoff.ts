import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MillraceError } from '../errors.ts';
import {
  type ConnectRequest,
  errorName,
  kLastWriteWasAsync,
  kReadBytesOrError,
  PIPE_IPC,
  PIPE_SERVER,
  Pipe,
  PipeConnectWrap,
  type PipeHandle,
  streamBaseState,
  TCP,
  TCP_SERVER,
  type TcpHandle,
  type WriteRequest,
  WriteWrap,
} from './node-internals.ts';

/**
 * Sockets from thread to thread, without native code.
 *
 *     acceptor thread                         shard thread
 *     HandoffSender ──── Unix socket ────▶ HandoffReceiver
 *        write(bytes, handle)  SCM_RIGHTS     handle + bytes
 *
 * The kernel duplicates the descriptor on the way, so each side owns its own and closes its own; two handles
 * on one descriptor number would close strangers' sockets. A message is a 32-bit little-endian length and
 * that many bytes; handles come first-in first-out beside them.
 *
 * Both ends of a channel are made in the main thread and given away by descriptor *number*. The main thread's
 * wrappers stay idle and are never closed: when a thread dies its number is reused, and closing the wrapper
 * would close a stranger's socket. They cost two small objects a channel.
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
const CHANNEL_TIMEOUT = 2000;

/** Makes a channel. Main thread only. */
export async function createChannel(): Promise<Channel> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'));
  const server = new Pipe(PIPE_SERVER);
  const sender = new Pipe(PIPE_IPC);
  let timeout: NodeJS.Timeout | undefined;
  try {
    const path = join(directory, 'handoff');
    check(server.bind(path), 'bind a Unix socket');
    const accepted = new Promise<PipeHandle>((resolve, reject) => {
      server.onconnection = (status, client): void => {
        if (client === undefined) reject(handoffError('accept on a Unix socket', status));
        else resolve(client);
      };
      // libuv accepts and closes in silence when there are no descriptors left.
      timeout = setTimeout(() => {
        reject(handoffError('accept on a Unix socket', undefined));
      }, CHANNEL_TIMEOUT);
    });
    check(server.listen(1), 'listen on a Unix socket');
    const [receiver] = await Promise.all([accepted, connect(sender, path)]);
    abandoned.add(sender).add(receiver);
    return { sender, senderFd: sender.fd, receiver, receiverFd: receiver.fd };
  } catch (error) {
    sender.close();
    throw error;
  } finally {
    clearTimeout(timeout);
    server.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Closes an end of a channel that no thread has opened, and none will. */
export function discardEnd(end: PipeHandle): void {
  if (abandoned.delete(end)) end.close();
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

/** Closes a channel that no thread has opened. */
export function discardChannel({ sender, receiver }: Channel): void {
  discardEnd(sender);
  discardEnd(receiver);
}

/** Opens the descriptor of a channel's end in the thread that owns it from now on. */
function openEnd(fd: number): PipeHandle {
  const pipe = new Pipe(PIPE_IPC);
  check(pipe.open(fd), 'open the end of a handoff channel');
  return pipe;
}

/** Closes an end that was given to this thread, and is not needed. */
export function closeEnd(fd: number): void {
  openEnd(fd).close();
}

interface HandoffRequest extends WriteRequest {
  sender: HandoffSender;
  /** To be closed when the kernel has its duplicate. */
  handle: TcpHandle | null;
}

/** Messages a receiver may leave waiting in the sender before `isFull`. */
const MAX_PENDING = 1024;

/** The sending end of a channel. */
export class HandoffSender {
  readonly #pipe: PipeHandle;
  readonly #onLost: () => void;
  #pending = 0;
  #closed = false;

  /**
   * @param end descriptor of the end, or the main thread's own wrapper
   * @param onLost called once when a write fails; the sender is closed then
   */
  constructor(end: number | PipeHandle, onLost: () => void = ignore) {
    this.#pipe = typeof end === 'number' ? openEnd(end) : end;
    this.#onLost = onLost;
  }

  /** The receiver does not keep up; send elsewhere. */
  get isFull(): boolean {
    return this.#pending >= MAX_PENDING;
  }

  /**
   * Sends a socket with a message (one byte a character). On success the sender's copy of the socket is closed
   * as soon as the kernel has its duplicate. On failure (the receiver is gone, mostly) it stays open.
   */
  send(message: string, handle: TcpHandle): boolean {
    return this.#write(message, handle, false);
  }

  /** Sends a duplicate of a socket, and keeps the socket. */
  sendDuplicate(message: string, handle: TcpHandle): boolean {
    return this.#write(message, handle, true);
  }

  #write(message: string, handle: TcpHandle, isKept: boolean): boolean {
    if (this.#closed) return false;
    const request = new WriteWrap() as HandoffRequest;
    request.oncomplete = onSent as WriteRequest['oncomplete'];
    request.sender = this;
    const error = this.#pipe.writeLatin1String(request, lengthPrefix(message.length) + message, handle);
    if (error !== 0) {
      this.#lose();
      return false;
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) {
      if (!isKept) handle.close();
    } else {
      // libuv aborts the process when a handle is closed while its write is pending.
      request.handle = isKept ? null : handle;
      this.#pending++;
    }
    return true;
  }

  sent(handle: TcpHandle | null, status: number): void {
    this.#pending--;
    handle?.close();
    if (status !== 0) this.#lose();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pipe.close();
  }

  /** A message may be on its way in part: nothing can follow it. */
  #lose(): void {
    if (this.#closed) return;
    this.close();
    this.#onLost();
  }
}

function onSent(this: HandoffRequest, status: number): void {
  this.sender.sent(this.handle, status);
}

function lengthPrefix(length: number): string {
  return String.fromCharCode(length & 255, (length >>> 8) & 255, (length >>> 16) & 255, length >>> 24);
}

const PREFIX = 4;

/**
 * Gets each socket with its message; the bytes are valid during the call. Null: the socket was lost, because
 * this process has no descriptor left for it.
 */
export type OnHandoff = (handle: TcpHandle | null, bytes: Buffer) => void;

/**
 * The receiving end of a channel. A descriptor comes with the first byte of its message, and a read ends behind
 * the piece that brought one: so at most one message begins in a read, and the descriptor, if any, is its own.
 */
export class HandoffReceiver {
  readonly #pipe: PipeHandle;
  readonly #onHandoff: OnHandoff;
  readonly #onEnd: () => void;
  readonly #target = Buffer.allocUnsafeSlow(256 * 1024);
  /** The cut start of a message, and its socket. */
  #partial: Buffer = NO_BYTES;
  #partialHandle: TcpHandle | null = null;
  /** The last that was read was the end. */
  #isEnding = false;
  #closed = false;

  /** @param onEnd the sender is gone, and all it sent was handed on; the receiver is closed then */
  constructor(fd: number, onHandoff: OnHandoff, onEnd: () => void = ignore) {
    this.#pipe = openEnd(fd);
    this.#onHandoff = onHandoff;
    this.#onEnd = onEnd;
    const end = this.#pipe as OwnedEnd;
    end.receiver = this;
    end.onread = onHandoffRead;
    end.useUserBuffer(this.#target);
    check(end.readStart(), 'read from a handoff channel');
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#partialHandle?.close();
    this.#partialHandle = null;
    this.#pipe.onread = ignore;
    this.#pipe.close();
  }

  read(count: number): void {
    const handle = this.#pipe.pendingHandle ?? null;
    this.#pipe.pendingHandle = undefined;
    if (count >= 0) {
      this.#isEnding = false;
      this.#takeMessages(this.#target.subarray(0, count), handle);
    } else if (!this.#isEnding) {
      // Once the sender is gone libuv says so behind each read, whatever is still there: it is told to go on.
      this.#isEnding = true;
      check(this.#pipe.readStart(), 'read from a handoff channel');
    } else {
      this.close();
      this.#onEnd();
    }
  }

  #takeMessages(arrived: Buffer, arrivedHandle: TcpHandle | null): void {
    const isCut = this.#partial.length > 0;
    const bytes = isCut ? Buffer.concat([this.#partial, arrived]) : arrived;
    let handle = isCut ? this.#partialHandle : arrivedHandle;
    let next = isCut ? arrivedHandle : null;
    this.#partial = NO_BYTES;
    this.#partialHandle = null;
    let position = 0;
    while (bytes.length - position >= PREFIX) {
      const end = position + PREFIX + bytes.readUInt32LE(position);
      if (end > bytes.length) break;
      this.#onHandoff(handle, bytes.subarray(position + PREFIX, end));
      position = end;
      handle = next;
      next = null;
    }
    if (position === bytes.length) return;
    this.#partial = Buffer.from(bytes.subarray(position));
    this.#partialHandle = handle;
  }
}

interface OwnedEnd extends PipeHandle {
  receiver: HandoffReceiver;
}

function onHandoffRead(this: OwnedEnd): void {
  this.receiver.read(streamBaseState[kReadBytesOrError]!);
}

/**
 * Passes a socket through a channel inside this thread, to see that the system lets descriptors travel.
 *
 * @throws MillraceError MILLRACE_UNSUPPORTED_RUNTIME saying which step failed
 */
export async function testHandoff(): Promise<void> {
  const channel = await createChannel();
  const socket: TcpHandle = new TCP(TCP_SERVER);
  check(socket.bind('127.0.0.1', 0), 'bind a TCP socket');
  const arrived = new Promise<void>((resolve, reject) => {
    const timeout = setTimeout(() => {
      receiver.close();
      reject(handoffError('receive a descriptor', undefined));
    }, CHANNEL_TIMEOUT);
    const receiver = new HandoffReceiver(channel.receiverFd, (handle, bytes) => {
      handle?.close();
      receiver.close();
      clearTimeout(timeout);
      if (handle === null) reject(handoffError('receive a descriptor', undefined));
      else if (bytes.toString('latin1') === 'self-test') resolve();
      else reject(handoffError('receive the bytes beside a descriptor', undefined));
    });
  });
  const sender = new HandoffSender(channel.sender);
  if (!sender.send('self-test', socket)) socket.close();
  try {
    await arrived;
  } finally {
    sender.close();
  }
}

function check(status: number, step: string): void {
  if (status !== 0) throw handoffError(step, status);
}

function handoffError(step: string, status: number | undefined): MillraceError {
  const reason = status === undefined ? 'nothing arrived' : errorName(status);
  return new MillraceError(
    'MILLRACE_UNSUPPORTED_RUNTIME',
    `Sockets cannot be passed between threads here: could not ${step} (${reason})`,
  );
}

function ignore(): void {}

const NO_BYTES = Buffer.alloc(0);
