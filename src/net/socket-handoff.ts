import { CHANNEL_TIMEOUT, check, createChannel, handoffError, openEnd } from './handoff-channel.ts';
import {
  kLastWriteWasAsync,
  kReadBytesOrError,
  type PipeHandle,
  streamBaseState,
  TCP,
  TCP_SERVER,
  type TcpHandle,
  type WriteRequest,
  WriteWrap,
} from './node-internals.ts';
import { allocateTarget } from './write-memory.ts';

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

interface HandoffRequest extends WriteRequest {
  sender: HandoffSender;
  /** To be closed when the kernel has its duplicate. */
  handle: TcpHandle | null;
  /** What is written beside it. */
  message: string;
  /** A socket goes with it, which the sender's owner closes. */
  isDuplicate: boolean;
  /** Bytes of the message. */
  size: number;
}

/** Messages, and bytes of them, that a receiver may leave waiting in the sender before `isFull`. */
const MAX_PENDING = 1024;
const MAX_PENDING_BYTES = 16 * 1024 * 1024;

/** The sending end of a channel. */
export class HandoffSender {
  readonly #pipe: PipeHandle;
  readonly #onLost: () => void;
  /** Called when `duplicates` has grown. */
  onDuplicated: () => void = ignore;
  /** Gets back each socket, with its message, that was not written when the sender was lost or closed; else it is closed. */
  onUnsent: ((message: string, handle: TcpHandle) => void) | null = null;
  #pending = 0;
  #pendingBytes = 0;
  #duplicates = 0;
  #onSettled: (() => void) | null = null;
  #isFinishing = false;
  #closed = false;

  /**
   * @param end descriptor of the end, or the main thread's own wrapper
   * @param onLost called once when a write fails; the sender is closed then
   */
  constructor(end: number | PipeHandle, onLost: () => void = ignore) {
    this.#pipe = typeof end === 'number' ? openEnd(end) : end;
    this.#onLost = onLost;
  }

  /** Messages that wait here because the kernel takes no more. */
  get pending(): number {
    return this.#pending;
  }

  /** The receiver does not keep up; send elsewhere. */
  get isFull(): boolean {
    return this.#pending >= MAX_PENDING || this.#pendingBytes >= MAX_PENDING_BYTES;
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

  /** Sends a message without a socket. */
  tell(message: string): boolean {
    return this.#write(message, null, false);
  }

  /** Duplicates that the kernel has got, in the order they were sent: the sockets of these may be closed. */
  get duplicates(): number {
    return this.#duplicates;
  }

  /** Reads, only to notice the end of the receiver. Does not keep the thread alive. */
  watch(): void {
    const end = this.#pipe as WatchedEnd;
    end.sender = this;
    end.onread = onWatchedRead;
    end.useUserBuffer(Buffer.allocUnsafeSlow(64));
    end.unref();
    if (end.readStart() !== 0) this.#lose();
  }

  #write(message: string, handle: TcpHandle | null, isKept: boolean): boolean {
    if (this.#closed || this.#isFinishing) return false;
    const request = new WriteWrap() as HandoffRequest;
    request.oncomplete = onSent as WriteRequest['oncomplete'];
    request.sender = this;
    const text = lengthPrefix(message.length, handle !== null) + message;
    const error =
      handle === null
        ? this.#pipe.writeLatin1String(request, text)
        : this.#pipe.writeLatin1String(request, text, handle);
    if (error !== 0) {
      this.#lose();
      return false;
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) {
      if (isKept) this.#countDuplicate();
      else handle?.close();
    } else {
      // libuv aborts the process when a handle is closed while its write is pending.
      request.handle = isKept ? null : handle;
      request.message = message;
      request.isDuplicate = isKept;
      request.size = text.length;
      this.#pending++;
      this.#pendingBytes += text.length;
    }
    return true;
  }

  sent({ handle, message, isDuplicate, size }: HandoffRequest, status: number): void {
    this.#pending--;
    this.#pendingBytes -= size;
    if (status !== 0) this.#lose();
    else if (isDuplicate) this.#countDuplicate();
    if (handle !== null) {
      // What was not written whole can never be read: the socket is still ours.
      if (status !== 0 && this.onUnsent !== null) this.onUnsent(message, handle);
      else handle.close();
    }
    if (this.#pending > 0) return;
    if (this.#isFinishing) this.close();
    else if (this.#closed) this.#settle();
  }

  received(count: number): void {
    if (count < 0) this.#lose();
  }

  /** Gives up what the kernel has not taken, which comes back by `onUnsent`; the receiver gets the rest, and the end. */
  cancel(): void {
    this.#lose();
  }

  /** Sends what was given to it, and nothing more; then the receiver gets the end. */
  finish(): void {
    this.#isFinishing = true;
    if (this.#pending === 0) this.close();
  }

  /** @param onSettled called once no write is under way any more: then every socket that was sent may be closed */
  close(onSettled: (() => void) | null = null): void {
    this.#onSettled ??= onSettled;
    if (!this.#closed) {
      this.#closed = true;
      this.#pipe.onread = ignore;
      this.#pipe.close();
    }
    if (this.#pending === 0) this.#settle();
  }

  #countDuplicate(): void {
    this.#duplicates++;
    this.onDuplicated();
  }

  #settle(): void {
    const onSettled = this.#onSettled;
    this.#onSettled = null;
    onSettled?.();
  }

  /** A message may be on its way in part: nothing can follow it. */
  #lose(): void {
    if (this.#closed) return;
    this.close();
    this.#onLost();
  }
}

function onSent(this: HandoffRequest, status: number): void {
  this.sender.sent(this, status);
}

interface WatchedEnd extends PipeHandle {
  sender: HandoffSender;
}

function onWatchedRead(this: WatchedEnd): void {
  this.sender.received(streamBaseState[kReadBytesOrError]!);
}

function lengthPrefix(length: number, hasSocket: boolean): string {
  const bits = hasSocket ? length : length | NO_SOCKET;
  return String.fromCharCode(bits & 255, (bits >>> 8) & 255, (bits >>> 16) & 255, bits >>> 24);
}

const PREFIX = 4;
/** In a message's length: no socket comes with it. */
const NO_SOCKET = 0x8000_0000;

/**
 * Gets each socket with its message; the bytes are valid during the call. Null: the message has none, or it was
 * lost, because this process has no descriptor left for it.
 */
export type OnHandoff = (handle: TcpHandle | null, bytes: Buffer) => void;

/**
 * The receiving end of a channel. A descriptor comes with the first byte of its message, and a read ends behind
 * the piece that brought one: so at most one message with a descriptor begins in a read, and that is its own.
 */
export class HandoffReceiver {
  readonly #pipe: PipeHandle;
  readonly #onHandoff: OnHandoff;
  readonly #onEnd: () => void;
  readonly #target = allocateTarget(256 * 1024);
  /** The cut start of a message, and its socket. */
  #partial: Buffer = NO_BYTES;
  #partialHandle: TcpHandle | null = null;
  /** The last that was read was the end. */
  #isEnding = false;
  #closed = false;

  /** @param onEnd the sender is gone, and all it sent was handed on; the receiver is closed then */
  constructor(end: number | PipeHandle, onHandoff: OnHandoff, onEnd: () => void = ignore) {
    this.#pipe = typeof end === 'number' ? openEnd(end) : end;
    this.#onHandoff = onHandoff;
    this.#onEnd = onEnd;
    const owned = this.#pipe as OwnedEnd;
    owned.receiver = this;
    owned.onread = onHandoffRead;
    owned.useUserBuffer(this.#target);
    check(owned.readStart(), 'read from a handoff channel');
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
      const bits = bytes.readUInt32LE(position);
      const hasSocket = (bits & NO_SOCKET) === 0;
      const end = position + PREFIX + (hasSocket ? bits : (bits ^ NO_SOCKET) >>> 0);
      if (end > bytes.length) break;
      this.#onHandoff(hasSocket ? handle : null, bytes.subarray(position + PREFIX, end));
      position = end;
      // What arrived is not that of a message without: it is that of the next one with.
      if (!hasSocket && handle !== null) continue;
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

function ignore(): void {}

const NO_BYTES = Buffer.alloc(0);
