import { openEnd } from './handoff-channel.ts';
import { lengthPrefix } from './handoff-framing.ts';
import {
  kLastWriteWasAsync,
  kReadBytesOrError,
  type PipeHandle,
  streamBaseState,
  type TcpHandle,
  type WriteRequest,
  WriteWrap,
} from './node-internals.ts';

interface HandoffRequest extends WriteRequest {
  sender: HandoffSender;
  /** To be closed when the kernel has its duplicate. */
  handle: TcpHandle | null;
  /** What is written beside the socket. */
  message: string;
  /** A socket goes with the message, which the sender's owner closes. */
  isDuplicate: boolean;
  /** Bytes of the message. */
  size: number;
}

/** Messages, and bytes of them, that a receiver may leave waiting in the sender before `isFull`. */
const MAX_PENDING = 1024;
const MAX_PENDING_BYTES = 16 * 1024 * 1024;

/** HandoffSender: the sending end of a channel. */
export class HandoffSender {
  readonly #pipe: PipeHandle;
  readonly #onLost: () => void;
  /** Called when `duplicates` has grown. */
  onDuplicated: () => void = ignore;
  /** Gets back each socket, with its message, that was not written when the sender was lost or closed; null: it is closed. */
  onUnsent: ((message: string, handle: TcpHandle) => void) | null = null;
  #pending = 0;
  #pendingBytes = 0;
  #duplicates = 0;
  #onIdle: (() => void) | null = null;
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
   * as soon as the kernel has its duplicate. On failure (the receiver is gone, mostly) the copy stays open.
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
    else if (this.#closed) this.#tellIdle();
  }

  received(count: number): void {
    if (count < 0) this.#lose();
  }

  /** Gives up what the kernel has not taken, which comes back by `onUnsent`; the receiver gets the rest, and the end. */
  cancel(): void {
    this.#lose();
  }

  /** Sends what it was given, and nothing more; then the receiver gets the end. */
  finish(): void {
    this.#isFinishing = true;
    if (this.#pending === 0) this.close();
  }

  /** @param onIdle called once no write is under way any more: then every socket that was sent may be closed */
  close(onIdle: (() => void) | null = null): void {
    this.#onIdle ??= onIdle;
    if (!this.#closed) {
      this.#closed = true;
      this.#pipe.onread = ignore;
      this.#pipe.close();
    }
    if (this.#pending === 0) this.#tellIdle();
  }

  #countDuplicate(): void {
    this.#duplicates++;
    this.onDuplicated();
  }

  #tellIdle(): void {
    const onIdle = this.#onIdle;
    this.#onIdle = null;
    onIdle?.();
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

function ignore(): void {}
