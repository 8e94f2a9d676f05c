import { check, openEnd } from './handoff-channel.ts';
import { LENGTH_SIZE, NO_SOCKET } from './handoff-framing.ts';
import { kReadBytesOrError, type PipeHandle, streamBaseState, type TcpHandle } from './node-internals.ts';
import { allocateTarget } from './write-memory.ts';

const NO_BYTES = Buffer.alloc(0);

/**
 * Gets each socket with its message; the bytes are valid during the call. Null: the message has none, or its socket
 * was lost, because this process has no descriptor left for it.
 */
export type OnHandoff = (handle: TcpHandle | null, bytes: Buffer) => void;

/**
 * HandoffReceiver: the receiving end of a channel. A descriptor comes with the first byte of its message, and a read
 * ends behind the piece that brought one: so at most one message with a descriptor begins in a read, and that is its own.
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
      // Once the sender is gone libuv says so behind each read, whatever is still there: libuv is told to go on.
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
    while (bytes.length - position >= LENGTH_SIZE) {
      const bits = bytes.readUInt32LE(position);
      const hasSocket = (bits & NO_SOCKET) === 0;
      const end = position + LENGTH_SIZE + (hasSocket ? bits : (bits ^ NO_SOCKET) >>> 0);
      if (end > bytes.length) break;
      this.#onHandoff(hasSocket ? handle : null, bytes.subarray(position + LENGTH_SIZE, end));
      position = end;
      // The socket that arrived is not that of a message without one: the next message with one has it.
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

function ignore(): void {}
