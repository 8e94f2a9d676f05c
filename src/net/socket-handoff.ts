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
  readonly receiverFd: number;
}

/** Wrappers of descriptors that other threads own now. */
const abandoned: PipeHandle[] = [];

/** Makes a channel. Main thread only. */
export async function createChannel(): Promise<Channel> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-'));
  const server = new Pipe(PIPE_SERVER);
  try {
    const path = join(directory, 'handoff');
    check(server.bind(path), 'bind a Unix socket');
    const accepted = new Promise<PipeHandle>((resolve, reject) => {
      server.onconnection = (status, client): void => {
        if (client === undefined) reject(handoffError('accept on a Unix socket', status));
        else resolve(client);
      };
    });
    check(server.listen(1), 'listen on a Unix socket');
    const sender = new Pipe(PIPE_IPC);
    const [receiver] = await Promise.all([accepted, connect(sender, path)]);
    abandoned.push(sender, receiver);
    return { sender, senderFd: sender.fd, receiverFd: receiver.fd };
  } finally {
    server.close();
    rmSync(directory, { recursive: true, force: true });
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

/** Opens the descriptor of a channel's end in the thread that owns it from now on. */
function openEnd(fd: number): PipeHandle {
  const pipe = new Pipe(PIPE_IPC);
  check(pipe.open(fd), 'open the end of a handoff channel');
  return pipe;
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
  #pending = 0;
  #closed = false;

  /** @param end descriptor of the end, or the main thread's own wrapper */
  constructor(end: number | PipeHandle) {
    this.#pipe = typeof end === 'number' ? openEnd(end) : end;
  }

  /** The receiver does not keep up; send elsewhere. */
  get isFull(): boolean {
    return this.#pending >= MAX_PENDING;
  }

  /**
   * Sends a socket with a message (one byte a character). On success the sender's copy of the socket is closed
   * as soon as the kernel has its duplicate. On failure (the receiver is gone) it stays open.
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
    if (error !== 0) return false;
    if (streamBaseState[kLastWriteWasAsync] === 0) {
      if (!isKept) handle.close();
    } else {
      // libuv aborts the process when a handle is closed while its write is pending.
      request.handle = isKept ? null : handle;
      this.#pending++;
    }
    return true;
  }

  sent(handle: TcpHandle | null): void {
    this.#pending--;
    handle?.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pipe.close();
  }
}

function onSent(this: HandoffRequest): void {
  this.sender.sent(this.handle);
}

function lengthPrefix(length: number): string {
  return String.fromCharCode(length & 255, (length >>> 8) & 255, (length >>> 16) & 255, length >>> 24);
}

const PREFIX = 4;

/** Gets each socket with its message; the bytes are valid during the call. */
export type OnHandoff = (handle: TcpHandle, bytes: Buffer) => void;

/** The receiving end of a channel. */
export class HandoffReceiver {
  readonly #pipe: PipeHandle;
  readonly #onHandoff: OnHandoff;
  readonly #target = Buffer.allocUnsafeSlow(256 * 1024);
  readonly #handles: TcpHandle[] = [];
  /** The cut start of a message. */
  #partial: Buffer = NO_BYTES;

  constructor(fd: number, onHandoff: OnHandoff) {
    this.#pipe = openEnd(fd);
    this.#onHandoff = onHandoff;
    const end = this.#pipe as OwnedEnd;
    end.receiver = this;
    end.onread = onHandoffRead;
    end.useUserBuffer(this.#target);
    check(end.readStart(), 'read from a handoff channel');
  }

  close(): void {
    for (const handle of this.#handles.splice(0)) handle.close();
    this.#pipe.onread = ignoreRead;
    this.#pipe.close();
  }

  read(count: number): void {
    const handle = this.#pipe.pendingHandle;
    if (handle !== undefined) {
      this.#pipe.pendingHandle = undefined;
      this.#handles.push(handle);
    }
    // The sender's thread is gone: nothing more comes. Sockets already here live on.
    if (count < 0) this.#pipe.readStop();
    else this.#takeMessages(this.#target.subarray(0, count));
  }

  #takeMessages(arrived: Buffer): void {
    const bytes = this.#partial.length === 0 ? arrived : Buffer.concat([this.#partial, arrived]);
    this.#partial = NO_BYTES;
    let position = 0;
    while (bytes.length - position >= PREFIX) {
      const end = position + PREFIX + bytes.readUInt32LE(position);
      if (end > bytes.length) break;
      const handle = this.#handles.shift();
      if (handle !== undefined) this.#onHandoff(handle, bytes.subarray(position + PREFIX, end));
      position = end;
    }
    if (position < bytes.length) this.#partial = Buffer.from(bytes.subarray(position));
  }
}

interface OwnedEnd extends PipeHandle {
  receiver: HandoffReceiver;
}

function onHandoffRead(this: OwnedEnd): void {
  this.receiver.read(streamBaseState[kReadBytesOrError]!);
}

/** Longest time the self-test waits, in ms. */
const SELF_TEST_TIMEOUT = 2000;

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
      reject(handoffError('receive a descriptor', undefined));
    }, SELF_TEST_TIMEOUT);
    const receiver = new HandoffReceiver(channel.receiverFd, (handle, bytes) => {
      handle.close();
      receiver.close();
      clearTimeout(timeout);
      if (bytes.toString('latin1') === 'self-test') resolve();
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

function ignoreRead(): void {}

const NO_BYTES = Buffer.alloc(0);
