import { Counter } from '../metrics/counter.ts';
import { FRAME_HEADROOM } from '../protocol/frame-parser.ts';
import { favorBuffer } from '../protocol/mask.ts';
import { HeldInput } from './held-input.ts';
import { IdleTimer } from './idle-timer.ts';
import { WriteWrap } from './node-internals.ts';
import { ReadPace } from './read-pace.ts';
import type { Transport } from './transport.ts';
import { TurnClock } from './turn-clock.ts';
import { ViewTable } from './view-table.ts';
import { WriteBatch } from './write-batch.ts';
import { allocateTarget, BacklogPool, BlockPool, Cork, SlabPool } from './write-memory.ts';

/** Bytes one read can bring. A socket that keeps filling it yields to the others, see Transport. */
export const RECEIVE_SIZE = 256 * 1024;

/** Uncorked bytes that may wait for the end of the turn, over all sockets; more are written at once. */
const MAX_DIRTY = 4 * 1024 * 1024;

/** What all loops of this thread read into: what is in it is dealt with before anything else is read. */
class ReceiveMemory {
  readonly bytes: Uint8Array = allocateTarget(FRAME_HEADROOM + RECEIVE_SIZE);
  /** Another number with each read of any loop, and with each turn that has an end: whether `bytes` are the same still. */
  stamp = 0;

  constructor() {
    favorBuffer(this.bytes);
  }
}

let receiveMemory: ReceiveMemory | null = null;

export interface TurnListener {
  onTurnEnd(): void;
}

/**
 * What all sockets of one thread share: the receive buffer, the cork, memory for queues, the timer, and the
 * list of sockets that were written to outside their own read.
 *
 * A turn is one round of the event loop. Bytes sent to a socket from its own handler leave when the handler
 * is done; bytes sent to any other leave at the end of the turn, in one write a socket.
 */
export class IoLoop {
  readonly received: ReceiveMemory = (receiveMemory ??= new ReceiveMemory());
  /** Every read of every socket lands here, behind room for the cut start of a frame. */
  readonly receiveBuffer: Uint8Array = this.received.bytes;
  /** The part of it that libuv reads into. */
  readonly readTarget: Uint8Array = this.receiveBuffer.subarray(FRAME_HEADROOM);
  readonly slabs = new SlabPool();
  readonly cork = new Cork(this.slabs);
  readonly blocks = new BlockPool();
  readonly backlogs = new BacklogPool();
  /** Views of messages, for handlers that take one during their call. */
  readonly messageViews = new ViewTable(this.receiveBuffer);
  /** Sockets whose corked bytes are written together. */
  readonly batch = new WriteBatch(this);
  readonly timer = new IdleTimer();
  /** How long one socket may be handled before the others. */
  readonly pace: ReadPace;
  /** What was read of sockets that had to stop. */
  readonly held = new HeldInput();
  readonly turns = new TurnClock();
  /** Indexed by Counter; shared memory where the thread belongs to a server. */
  readonly counters: Float64Array;
  /** The socket whose bytes are being handled; its frames go through the cork. */
  corked: Transport | null = null;
  /** A write request that is not in flight. */
  spareRequest = new WriteWrap();

  #dirty: Transport[] = [];
  #dirtyBytes = 0;
  #yielded: Transport[] = [];
  #later: (() => void)[] = [];
  #failed: { transport: Transport; error: number }[] = [];
  #hungry: Transport[] = [];
  #turnScheduled = false;
  readonly #turnListeners: TurnListener[] = [];

  constructor(counters: Float64Array, pace: ReadPace = new ReadPace()) {
    this.counters = counters;
    this.pace = pace;
  }

  /** Has `listener` called at the end of every turn in which something was to be done at its end. */
  addTurnListener(listener: TurnListener): void {
    this.#turnListeners.push(listener);
  }

  /** Something is to be done at the end of this turn. */
  requestTurnEnd(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    setImmediate(this.#endTurn);
  }

  /** The socket has bytes in its queue that are to leave at the end of this turn. */
  markDirty(transport: Transport): void {
    this.#dirty.push(transport);
    this.requestTurnEnd();
  }

  /** Counts bytes queued for the end of the turn, and writes all at once when they become too many. */
  addDirtyBytes(size: number): void {
    this.#dirtyBytes += size;
    if (this.#dirtyBytes > MAX_DIRTY) this.flushDirty();
  }

  /** The socket had its share of this turn; it goes on in the next. */
  yieldRead(transport: Transport): void {
    this.counters[Counter.YIELDS]!++;
    this.#yielded.push(transport);
    this.requestTurnEnd();
  }

  /** Something that was stopped for the sake of others goes on in the next turn. */
  runNextTurn(goOn: () => void): void {
    this.counters[Counter.YIELDS]!++;
    this.#later.push(goOn);
    this.requestTurnEnd();
  }

  /** A write failed; the socket closes at the end of this turn, not under the hands of the caller that wrote. */
  destroyLater(transport: Transport, error = 0): void {
    this.#failed.push({ transport, error });
    this.requestTurnEnd();
  }

  /** The socket could be written more to, but others are to have their turn: its context is told in the next one. */
  wantWritable(transport: Transport): void {
    this.#hungry.push(transport);
    this.requestTurnEnd();
  }

  flushDirty(): void {
    this.#dirtyBytes = 0;
    if (this.#dirty.length === 0) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const transport of dirty) transport.flushQueue();
    if (this.#dirty.length === 0) {
      dirty.length = 0;
      this.#dirty = dirty;
    }
  }

  readonly #endTurn = (): void => {
    this.#turnScheduled = false;
    this.received.stamp = (this.received.stamp + 1) | 0;
    this.batch.endTurn();
    // Direct sends first: a socket's publishes that are older were written before them.
    this.flushDirty();
    for (const listener of this.#turnListeners) listener.onTurnEnd();
    this.flushDirty();
    if (this.#failed.length > 0) this.#destroyFailed();
    if (this.#hungry.length > 0) this.#feedHungry();
    const yielded = this.#yielded;
    const later = this.#later;
    this.pace.endTurn(yielded.length + later.length);
    if (yielded.length > 0) {
      this.#yielded = [];
      for (const transport of yielded) transport.takeTurn();
    }
    if (later.length === 0) return;
    this.#later = [];
    for (const goOn of later) goOn();
  };

  #feedHungry(): void {
    const hungry = this.#hungry;
    this.#hungry = [];
    for (const transport of hungry) {
      if (!transport.isClosed && !transport.blocked) transport.context.onWritable(transport);
    }
  }

  #destroyFailed(): void {
    const failed = this.#failed;
    this.#failed = [];
    for (const { transport, error } of failed) transport.destroy(error);
  }
}
