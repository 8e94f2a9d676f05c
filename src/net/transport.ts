import { Counter } from '../metrics/counter.ts';
import { type TimeStamp, timeStamp } from '../metrics/monotonic-time.ts';
import { copyBytes } from '../protocol/copy-bytes.ts';
import { FRAME_HEADROOM } from '../protocol/frame-parser.ts';
import type { Output } from '../protocol/sender.ts';
import type { TimerNode } from './idle-timer.ts';
import { type IoLoop, RECEIVE_SIZE } from './io-loop.ts';
import {
  HANDLE_OWNER,
  kLastWriteWasAsync,
  kReadBytesOrError,
  runTicks,
  type ShutdownRequest,
  ShutdownWrap,
  type SocketHandle,
  streamBaseState,
  type TcpHandle,
  UV_EOF,
  type WriteRequest,
  WriteWrap,
} from './node-internals.ts';
import { TlsStream } from './tls-stream.ts';
import { BATCHED_SIZE } from './write-batch.ts';
import { type Backlog, SLAB_SIZE, type Slab } from './write-memory.ts';

// Of its own constants the compiler knows the values, of imported ones it does not.
const SLAB = SLAB_SIZE;

/**
 * Events of all sockets in one role (HTTP, a WebSocket route). They must not throw.
 *
 * @typeParam Owner what the context keeps for each of its sockets
 */
export interface TransportContext<Owner = unknown> {
  /** Bytes arrived; the memory is valid during the call, and may be written to. */
  onChunk(transport: Transport<Owner>, bytes: Uint8Array, start: number, end: number): void;
  /** The kernel took a write that had been waiting: there is less backpressure than before. */
  onWritable(transport: Transport<Owner>): void;
  /** The peer sent FIN; the other direction is still open. */
  onEnd(transport: Transport<Owner>): void;
  /** The socket is gone; comes last, once. `error` is 0 or a negative errno. */
  onClosed(transport: Transport<Owner>, error: number): void;
  /** A deadline may have passed. Returns the second of the next visit, or 0 for none. */
  onTimer(transport: Transport<Owner>, now: number): number;
}

/** Reads that fill the receive buffer, in a row, before the other sockets get their turn. */
const MAX_FULL_READS = 2;

/** Bytes queued on a socket outside its own handler that are written without waiting for the turn's end. */
const FLUSH_QUEUE_AT = 64 * 1024;

const Phase = { OPEN: 0, ENDING: 1, SHUT: 2, CLOSED: 3 } as const;
type Phase = (typeof Phase)[keyof typeof Phase];

/** What is true of a socket, as bits of one field: each field costs every idle connection 8 bytes. */
const Flag = {
  READING: 1,
  PAUSED: 2,
  /** The peer's FIN was read. */
  ENDED: 4,
  /** Our FIN left. */
  FIN_SENT: 8,
  /** A write failed; the socket closes at the end of the turn. */
  FAILED: 16,
  /** What was corked during its last read waits to be written. */
  BATCHED: 32,
  /** The socket had its share of this turn. */
  YIELDED: 64,
  /** Bytes that were read wait to be handled. */
  HELD: 128,
  TLS: 256,
} as const;

/** Reading does not start, or need not. */
const NO_START = Flag.READING | Flag.PAUSED | Flag.ENDED | Flag.YIELDED | Flag.HELD;

/** What is read nevertheless must wait. */
const MUST_WAIT = Flag.YIELDED | Flag.HELD;

/**
 * Transport: one socket. It moves bytes between a libuv handle and a context, and is the Output that frames
 * are written into.
 *
 * Written bytes take the shortest of three ways, always in order:
 * 1. into the cork, when this socket's bytes are being handled: one write when the handler is done;
 * 2. into the queue, from anywhere else: one write at the end of the turn;
 * 3. into the queue behind a write in flight, when the kernel takes no more (`blocked`).
 */
export class Transport<Owner = unknown> implements Output, TimerNode {
  readonly io: IoLoop;
  readonly handle: SocketHandle;
  context: TransportContext<Owner>;
  /** What the context keeps for this socket. */
  owner: Owner;
  /** A number that the giver of the socket keeps here: the row of the address table, mostly. */
  tag = -1;
  /** Second of the last read, or of the last write the kernel took after making it wait. */
  lastActive: number;

  // Output
  bytes: Uint8Array;
  blocked = false;

  // TimerNode
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;

  /** When its connection was accepted; NO_STAMP: that is not what a time counts from any more. */
  acceptedAt: TimeStamp;

  #phase: Phase = Phase.OPEN;
  #flags = 0;
  #fullReads = 0;
  /** Bytes that wait to be written, or are being written; null: there are none. */
  #backlog: Backlog | null = null;

  /** @param owner null: the context sets it before it starts to read */
  constructor(io: IoLoop, handle: SocketHandle, context: TransportContext<Owner>, owner: Owner | null) {
    this.io = io;
    this.handle = handle;
    this.context = context;
    this.owner = owner as Owner;
    this.bytes = io.cork.bytes;
    this.lastActive = io.timer.now;
    this.acceptedAt = timeStamp();
    const owned = handle as OwnedHandle;
    owned[HANDLE_OWNER] = this;
    owned.onread = onStreamRead;
    handle.useUserBuffer(io.readTarget);
    if (handle instanceof TlsStream) this.#flags = Flag.TLS;
    io.counters[Counter.SOCKETS_OPENED]!++;
  }

  get isClosed(): boolean {
    return this.#phase === Phase.CLOSED;
  }

  /** The TLS of this socket; null: it is plain. */
  get tls(): TlsStream | null {
    return this.handle instanceof TlsStream ? this.handle : null;
  }

  /** The socket has had its share of this turn, and is read on in the next: the kernel holds more. */
  get hasMore(): boolean {
    if (this.#phase !== Phase.OPEN) return false;
    return (this.#flags & MUST_WAIT) !== 0 || this.tls?.isResting === true;
  }

  /** Bytes that wait in user space because the kernel does not take them. */
  get bufferedAmount(): number {
    return this.blocked ? this.handle.writeQueueSize + (this.#backlog?.bytes ?? 0) : 0;
  }

  /** Bytes that the kernel took; of TLS as they are encrypted. */
  get taken(): number {
    return this.handle.bytesWritten - this.handle.writeQueueSize;
  }

  /** Bytes that fit behind what is corked, to leave in one write with it. */
  get corkRoom(): number {
    return this.io.corked === this && !this.blocked ? this.io.cork.room : SLAB_SIZE;
  }

  /**
   * Gives the socket to another context: its events are told to that one from here on.
   *
   * @param owner null: that context sets it, before anything is read
   */
  passTo<Next>(context: TransportContext<Next>, owner: Next | null): Transport<Next> {
    const next = this as unknown as Transport<Next>;
    next.context = context;
    next.owner = owner as Next;
    return next;
  }

  startReading(): void {
    if ((this.#flags & NO_START) !== 0 || this.#phase === Phase.CLOSED) return;
    this.#flags |= Flag.READING;
    const error = this.handle.readStart();
    if (error !== 0) this.destroy(error);
  }

  /** Takes no more from the kernel, which then makes the peer wait. */
  pause(): void {
    this.#flags |= Flag.PAUSED;
    this.#stopReading();
  }

  resume(): void {
    this.#flags &= ~Flag.PAUSED;
    if ((this.#flags & MUST_WAIT) === Flag.HELD) this.#yield();
    else this.startReading();
  }

  /**
   * Keeps bytes that could not be handled, as others are to get their turn: the context is given them in the next one,
   * before anything else is read. To be called by the context, from its `onChunk`.
   */
  hold(bytes: Uint8Array, start: number, end: number): void {
    if (this.#phase === Phase.CLOSED) return;
    const { io } = this;
    const held = io.held.of(this);
    if (held?.bytes === bytes) held.start = start;
    else if (held === undefined || bytes === io.receiveBuffer) io.held.add(this, bytes, start, end);
    // What waited behind a request was read before what TLS has handed on since.
    else io.held.addInFront(this, bytes, start, end);
    io.pace.mayStop = io.held.hasRoom;
    this.#flags |= Flag.HELD;
    this.#yield();
  }

  /** Handles bytes that came with the socket (read by another thread) as if they had just been read. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    const { io } = this;
    io.counters[Counter.BYTES_IN]! += end - start;
    this.#handle(bytes, start, end);
  }

  /** From here to `endCork` what is sent on this socket goes out in one write. */
  beginCork(): void {
    const { io } = this;
    if (io.corked === this) return;
    if (io.corked !== null) io.corked.flushCork();
    this.#flushBatch();
    // What was queued in this turn is older than what the cork will hold.
    if (this.#backlog !== null) this.flushQueue();
    io.corked = this;
  }

  /** @param previous the socket that was corked before, which is corked again */
  endCork(previous: Transport | null = null): void {
    if (this.io.corked !== this || previous === this) return;
    this.flushCork();
    this.io.corked = null;
    previous?.beginCork();
  }

  reserve(size: number): number {
    const { cork, corked } = this.io;
    if (corked !== this || this.blocked) return this.#reserveBlock(size);
    const at = cork.start + cork.length;
    if (at + size > SLAB) return this.#reserveMore(size);
    // Nearly never so, and a write of a reference costs more than a look.
    if (this.bytes !== cork.bytes) this.bytes = cork.bytes;
    return at;
  }

  commit(size: number): void {
    const { cork } = this.io;
    if (this.bytes === cork.bytes) cork.length += size;
    else this.#commitBlock(size);
  }

  #commitBlock(size: number): void {
    const { io } = this;
    const backlog = this.#backlog!;
    backlog.blocks[backlog.blocks.length - 1]!.length += size;
    backlog.bytes += size;
    if (this.blocked) return;
    if (io.corked === this || backlog.bytes >= FLUSH_QUEUE_AT) {
      this.flushQueue();
    } else {
      if (!backlog.isDirty) {
        backlog.isDirty = true;
        io.markDirty(this);
      }
      io.addDirtyBytes(size);
    }
  }

  /**
   * Sends bytes that other sockets are sent too, without a copy where nothing waits on this one.
   *
   * @param view bytes that stay as they are until they are written
   * @param slab what they lie in, to be pinned while they are in flight; null: nobody uses their memory again
   */
  writeShared(view: Uint8Array, slab: Slab | null): void {
    const { io } = this;
    this.#flushBatch();
    const isIdle = !this.blocked && this.#backlog === null && (io.corked !== this || io.cork.length === 0);
    if (isIdle) {
      if (this.#write(view) === ASYNC && slab !== null) {
        slab.pins++;
        this.#openBacklog().inFlightSlab = slab;
      }
    } else if (slab !== null) {
      const at = this.reserve(view.length);
      copyBytes(view, this.bytes, at);
      this.commit(view.length);
    } else {
      this.#queueShared(view);
    }
  }

  /** Writes what is corked. */
  flushCork(): void {
    const { cork } = this.io;
    if (cork.length === 0) return;
    const result = this.#write(cork.view());
    if (result === ASYNC) this.#openBacklog().inFlightSlab = cork.pin();
    else cork.written();
  }

  /** Writes what waits for the turn's end, until nothing does or the kernel takes no more. */
  flushQueue(): void {
    this.#flushBatch();
    const backlog = this.#backlog;
    if (backlog === null) return;
    backlog.isDirty = false;
    const { blocks } = backlog;
    while (blocks.length > 0 && !this.blocked) {
      const block = blocks.shift()!;
      backlog.bytes -= block.length;
      const result = this.#write(block.bytes.subarray(0, block.length));
      if (result === ASYNC) backlog.inFlightBlock = block;
      else this.io.blocks.give(block);
    }
    if (blocks.length > 0) return;
    this.#closeBacklog();
    this.#letGo();
  }

  /** Sends FIN behind everything that waits. Reading goes on, so that the peer's FIN is seen. */
  end(): void {
    if (this.#phase !== Phase.OPEN) return;
    if (this.io.corked === this) this.flushCork();
    this.flushQueue();
    this.#phase = Phase.ENDING;
    this.resume();
    this.#shutdownWhenFlushed();
  }

  /** Closes at once. What the kernel has not taken is lost. */
  destroy(error = 0): void {
    if (this.#phase === Phase.CLOSED) return;
    this.#flushBatch();
    this.#phase = Phase.CLOSED;
    this.io.timer.cancel(this);
    this.#dropQueue();
    this.#dropHeld();
    this.handle.onread = ignoreRead;
    this.handle.close(onHandleClosed);
    this.io.counters[Counter.SOCKETS_CLOSED]!++;
    this.context.onClosed(this, error);
  }

  /**
   * Gives the handle away, unread bytes in the kernel and all. Nothing may wait to be written. The context hears
   * no more of this socket.
   */
  detach(): TcpHandle {
    if (this.io.corked === this) this.io.corked = null;
    this.#stopReading();
    this.#phase = Phase.CLOSED;
    this.io.timer.cancel(this);
    this.#dropQueue();
    this.#dropHeld();
    this.handle.onread = ignoreRead;
    this.io.counters[Counter.SOCKETS_CLOSED]!++;
    return this.handle as TcpHandle;
  }

  /** Address of the peer: '' when the kernel no longer knows it. */
  peerName(): { address: string; port: number } {
    const name: { address?: string; port?: number } = {};
    // A Unix socket has no such name.
    const isNamed = this.#phase !== Phase.CLOSED && typeof this.handle.getpeername === 'function';
    const failed = !isNamed || this.handle.getpeername(name) !== 0;
    return failed ? { address: '', port: 0 } : { address: name.address ?? '', port: name.port ?? 0 };
  }

  // Called by the handle, the loop and the timer.

  readCompleted(count: number): void {
    const { io } = this;
    io.counters[Counter.BYTES_IN]! += count;
    io.received.stamp = (io.received.stamp + 1) | 0;
    this.lastActive = io.timer.now;
    if ((this.#flags & Flag.TLS) !== 0 && this.#mustRecordWait(count)) return;
    this.beginCork();
    io.pace.begin(count);
    this.context.onChunk(this, io.receiveBuffer, FRAME_HEADROOM, FRAME_HEADROOM + count);
    this.#endRead();
    if (count < RECEIVE_SIZE) {
      this.#fullReads = 0;
    } else if (++this.#fullReads >= MAX_FULL_READS) {
      this.#fullReads = 0;
      this.#yield();
    }
  }

  /** The turn of this socket has come again. */
  takeTurn(): void {
    const { io } = this;
    this.#flags &= ~Flag.YIELDED;
    const held = this.#phase === Phase.CLOSED ? undefined : io.held.of(this);
    if (held === undefined) {
      this.startReading();
      return;
    }
    if ((this.#flags & Flag.PAUSED) !== 0) return;
    const { bytes, start, end } = held;
    held.start = end;
    this.#handle(bytes, start, end);
    if (this.#phase === Phase.CLOSED || held.start < held.end) return;
    const { error } = held;
    this.#dropHeld();
    if (error === 0) {
      this.startReading();
      return;
    }
    // As between two reads: what the handlers of the last messages left to be done comes before the end.
    runTicks();
    if (!this.isClosed) this.readFailed(error);
  }

  readFailed(error: number): void {
    this.#stopReading();
    this.#flags |= Flag.ENDED;
    if ((this.#flags & Flag.HELD) !== 0) {
      this.io.held.of(this)!.error = error;
      return;
    }
    if (error !== UV_EOF) this.destroy(error);
    else if (this.#phase !== Phase.SHUT) this.context.onEnd(this);
    else if ((this.#flags & Flag.FIN_SENT) !== 0) this.destroy();
  }

  shutdownCompleted(status: number): void {
    this.#flags |= Flag.FIN_SENT;
    if (status !== 0) this.destroy(status);
    // The peer's FIN was seen before: both directions are done.
    else if ((this.#flags & Flag.ENDED) !== 0) this.destroy();
  }

  writeCompleted(status: number): void {
    this.#giveInFlight();
    this.#letGo();
    this.blocked = false;
    if (this.#phase === Phase.CLOSED) return;
    if (status !== 0) {
      this.destroy(status);
      return;
    }
    this.lastActive = this.io.timer.now;
    this.flushQueue();
    if (this.#phase === Phase.ENDING) this.#shutdownWhenFlushed();
    if (!this.isClosed) this.context.onWritable(this);
  }

  onTimer(now: number): number {
    return this.context.onTimer(this, now);
  }

  /** Called by the batch. */
  writeBatched(start: number, length: number): void {
    const { cork } = this.io;
    this.#flags &= ~Flag.BATCHED;
    if (this.#write(cork.viewOf(start, length)) === ASYNC) this.#openBacklog().inFlightSlab = cork.pinKept();
  }

  #handle(bytes: Uint8Array, start: number, end: number): void {
    const { io } = this;
    this.lastActive = io.timer.now;
    const previous = io.corked;
    this.beginCork();
    io.pace.begin(end - start);
    this.context.onChunk(this, bytes, start, end);
    this.endCork(previous);
  }

  /** The others get their turn, then it goes on. */
  #yield(): void {
    this.#stopReading();
    if ((this.#flags & Flag.YIELDED) !== 0 || this.#phase === Phase.CLOSED) return;
    this.#flags |= Flag.YIELDED;
    this.io.yieldRead(this);
  }

  /** TLS hands on all records that it has, also when it reads no more. Returns whether this one is held. */
  #mustRecordWait(size: number): boolean {
    const { io } = this;
    if ((this.#flags & MUST_WAIT) === 0 && !io.pace.noteRecord(this, size)) {
      if (io.pace.isWatching) io.requestTurnEnd();
      return false;
    }
    this.hold(io.receiveBuffer, FRAME_HEADROOM, FRAME_HEADROOM + size);
    return true;
  }

  #dropHeld(): void {
    if ((this.#flags & Flag.HELD) === 0) return;
    this.#flags &= ~Flag.HELD;
    this.io.held.drop(this);
    this.io.pace.mayStop = this.io.held.hasRoom;
  }

  /** What the read brought about is written now, or together with that of the sockets that are read next. */
  #endRead(): void {
    const { io } = this;
    if (io.corked !== this) return;
    const { batch, cork } = io;
    if (cork.length > 0 || batch.count > 0) {
      const mayWait = batch.noteRead();
      if (!mayWait) batch.flush();
      if (mayWait && cork.length > 0 && cork.length <= BATCHED_SIZE) {
        this.#flags |= Flag.BATCHED;
        batch.add(this);
      } else {
        this.flushCork();
      }
    }
    io.corked = null;
  }

  /** Of the bytes of one socket those that came first leave first. */
  #flushBatch(): void {
    if ((this.#flags & Flag.BATCHED) !== 0) this.io.batch.flush();
  }

  #stopReading(): void {
    if ((this.#flags & Flag.READING) === 0) return;
    this.#flags &= ~Flag.READING;
    if (this.#phase !== Phase.CLOSED) this.handle.readStop();
  }

  /** Many sockets can wait with one large message, and it is in memory once. */
  #queueShared(view: Uint8Array): void {
    if (this.io.corked === this) this.flushCork();
    const backlog = this.#openBacklog();
    backlog.blocks.push(this.io.blocks.share(view));
    backlog.bytes += view.length;
    if (!this.blocked) this.flushQueue();
  }

  /** There is no room behind what is corked. */
  #reserveMore(size: number): number {
    const { batch, cork } = this.io;
    batch.flush();
    let at = cork.reserve(size);
    if (at < 0 && cork.length > 0) {
      this.flushCork();
      at = this.blocked ? -1 : cork.reserve(size);
    }
    if (at < 0) return this.#reserveBlock(size);
    this.bytes = cork.bytes;
    return at;
  }

  #reserveBlock(size: number): number {
    const backlog = this.#openBacklog();
    const { blocks } = backlog;
    let block = blocks[blocks.length - 1];
    if (block === undefined || block.isShared || block.length + size > block.bytes.length) {
      // Growing with the queue keeps the number of blocks, and of writes, logarithmic.
      block = this.io.blocks.take(Math.max(size, Math.min(backlog.bytes, FLUSH_QUEUE_AT)));
      blocks.push(block);
    }
    this.bytes = block.bytes;
    return block.length;
  }

  /** Hands bytes to libuv, which writes at once what the kernel takes and keeps the rest. */
  #write(view: Uint8Array): typeof DONE | typeof ASYNC {
    if (this.#phase === Phase.CLOSED || (this.#flags & Flag.FAILED) !== 0) return DONE;
    const { io } = this;
    io.counters[Counter.BYTES_OUT]! += view.length;
    const request = io.spareRequest as OwnedRequest;
    const error = this.handle.writeBuffer(request, view);
    if (error !== 0) {
      // Not now: the caller may be a handler in the middle of a send.
      this.#flags |= Flag.FAILED;
      io.destroyLater(this, error);
      return DONE;
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) return DONE;
    io.spareRequest = new WriteWrap();
    io.counters[Counter.BLOCKED_WRITES]!++;
    request.transport = this;
    request.buffer = view;
    request.oncomplete = onWriteComplete;
    this.blocked = true;
    return ASYNC;
  }

  #shutdownWhenFlushed(): void {
    if (this.blocked || this.#backlog !== null || this.#phase !== Phase.ENDING) return;
    this.#phase = Phase.SHUT;
    const request = new ShutdownWrap() as OwnedShutdown;
    request.transport = this;
    request.oncomplete = onShutdownComplete;
    const error = this.handle.shutdown(request);
    if (error !== 0) this.destroy(error);
  }

  /** An idle socket must not hold the memory it wrote from last; the cork is there anyhow. */
  #letGo(): void {
    this.bytes = this.io.cork.bytes;
  }

  #openBacklog(): Backlog {
    this.#backlog ??= this.io.backlogs.take();
    return this.#backlog;
  }

  /** Gives it back when there is none any more. */
  #closeBacklog(): void {
    const backlog = this.#backlog;
    if (backlog === null || backlog.blocks.length > 0) return;
    if (backlog.inFlightSlab !== null || backlog.inFlightBlock !== null) return;
    this.#backlog = null;
    this.io.backlogs.give(backlog);
  }

  #giveInFlight(): void {
    const backlog = this.#backlog;
    if (backlog === null) return;
    if (backlog.inFlightSlab !== null) this.io.slabs.unpin(backlog.inFlightSlab);
    if (backlog.inFlightBlock !== null) this.io.blocks.give(backlog.inFlightBlock);
    backlog.inFlightSlab = null;
    backlog.inFlightBlock = null;
    this.#closeBacklog();
  }

  #dropQueue(): void {
    const backlog = this.#backlog;
    if (backlog === null) return;
    for (const block of backlog.blocks) this.io.blocks.give(block);
    backlog.blocks.length = 0;
    backlog.bytes = 0;
    this.#closeBacklog();
  }
}

const DONE = 0;
const ASYNC = 1;

interface OwnedHandle extends SocketHandle {
  [HANDLE_OWNER]: Transport;
}
interface OwnedRequest extends WriteRequest {
  transport: Transport;
  /** Keeps the memory of a write in flight alive. */
  buffer: Uint8Array;
}
interface OwnedShutdown extends ShutdownRequest {
  transport: Transport;
}

/** The transport that drives a handle. */
export function transportOf(handle: SocketHandle): Transport {
  return (handle as OwnedHandle)[HANDLE_OWNER];
}

function onStreamRead(this: OwnedHandle): void {
  const transport = this[HANDLE_OWNER];
  const count = streamBaseState[kReadBytesOrError]!;
  if (count > 0) transport.readCompleted(count);
  else if (count < 0) transport.readFailed(count);
}

function onWriteComplete(this: OwnedRequest, status: number): void {
  this.transport.writeCompleted(status);
}

function onShutdownComplete(this: OwnedShutdown, status: number): void {
  this.transport.shutdownCompleted(status);
}

function onHandleClosed(): void {}
function ignoreRead(): void {}
