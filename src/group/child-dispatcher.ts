import { LookTimer } from '../acceptor/intake.ts';
import { type AddressTable, NO_ADDRESS } from '../admission/address-table.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import { AckTable } from '../ring/ack-table.ts';
import { createDoorbells, DoorbellWaiter, type Sleeper } from '../ring/doorbell.ts';
import { MAX_THREADS } from '../ring/layout.ts';
import { type Accepted, ChildSender } from './child-sender.ts';

/** What happened to a connection that was to go to a child. */
export const Dispatch = {
  /** A child has it, or will. */
  TAKEN: 0,
  /** There is no child: the acceptor is to serve it. */
  NONE: 1,
  /** All children have as many waiting as they may. */
  FULL: 2,
} as const;
export type Dispatch = (typeof Dispatch)[keyof typeof Dispatch];

/** Serves a connection in this thread; `isExcess`: only tells it that there are too many. */
export type ServeHere = (socket: TcpHandle, row: number, isExcess: boolean) => void;

/** The acceptor's own number, and column of the address table. */
const HERE = 0;

/** Connections that wait for the first child to join. */
const MAX_HELD = 1024;

/**
 * ChildDispatcher: spreads the connections of an acceptor App over its children, in turn, and closes its copy of each when the
 * child says that it has taken the connection. Connections that come before the first child is there wait for a while.
 */
export class ChildDispatcher implements Sleeper {
  readonly ackMemory: SharedArrayBuffer = AckTable.create(MAX_THREADS);
  readonly ackDoorbell: SharedArrayBuffer = createDoorbells(1);
  readonly #serve: ServeHere;
  /** Counts connections by address, in this thread's column and those of the children; null: they are not counted. */
  readonly #addresses: AddressTable | null;
  /** When the last child that has not joined yet ceases to be awaited, in ms of `performance.now()`. */
  readonly #awaitedUntil: () => number;
  readonly #acks = new AckTable(this.ackMemory);
  readonly #waiter = new DoorbellWaiter(this.ackDoorbell, 0, this);
  /** The senders to all children that joined. */
  readonly #senders = new Set<ChildSender>();
  /** The senders that connections go to. */
  readonly #takers: ChildSender[] = [];
  readonly #looks = new LookTimer(() => {
    let isAnyWaiting = false;
    for (const sender of this.#senders) if (sender.look()) isAnyWaiting = true;
    return isAnyWaiting;
  });
  #turn = 0;
  #held: Accepted[] = [];
  /** Runs while any are held. */
  #holdTimer: NodeJS.Timeout | undefined;
  #isClosing = false;

  constructor(addresses: AddressTable | null, serve: ServeHere, awaitedUntil: () => number) {
    this.#addresses = addresses;
    this.#serve = serve;
    this.#awaitedUntil = awaitedUntil;
  }

  /**
   * A child has connected; `resume` has it take connections.
   *
   * @param fd the accepted end of the channel
   * @param onLost called when the child is gone; the connections that it had not taken are to be served, by `serveLeft`
   */
  open(fd: number, index: number, onLost: (left: readonly Accepted[]) => void): ChildSender {
    const sender = new ChildSender(
      fd,
      index,
      this.#acks,
      () => {
        this.#awaitAcks();
      },
      (left) => {
        this.#senders.delete(sender);
        this.suspend(sender);
        onLost(left);
      },
    );
    this.#senders.add(sender);
    return sender;
  }

  /** The child gets connections from here on. */
  resume(sender: ChildSender): void {
    this.#takers.push(sender);
  }

  /** The child gets no more. */
  suspend(sender: ChildSender): void {
    const at = this.#takers.indexOf(sender);
    if (at >= 0) this.#takers.splice(at, 1);
  }

  /** Gives a connection, unread, to the child whose turn it is. One that is stalled gets it only when all are. */
  dispatch(accepted: Accepted): Dispatch {
    if (this.#give(accepted, false) || this.#give(accepted, true)) {
      this.#awaitAcks();
      this.#looks.start();
      return Dispatch.TAKEN;
    }
    if (this.#takers.length > 0) return Dispatch.FULL;
    return this.#hold(accepted) ? Dispatch.TAKEN : Dispatch.NONE;
  }

  #give(accepted: Accepted, isToStalled: boolean): boolean {
    // A child that is found dead leaves the list.
    for (let tries = this.#takers.length; tries > 0 && this.#takers.length > 0; tries--) {
      const taker = this.#takers[this.#turn++ % this.#takers.length]!;
      if (taker.isStalled !== isToStalled) continue;
      // Before it is sent: the child may close it, and count down, at once.
      this.#count(accepted, taker, 1);
      if (taker.send(accepted)) return true;
      this.#count(accepted, taker, -1);
    }
    return false;
  }

  /** Gives a connection to a child, or has it served in this thread. */
  serve(accepted: Accepted): void {
    if (this.#isClosing) {
      this.#close(accepted);
      return;
    }
    const result = this.dispatch(accepted);
    if (result !== Dispatch.TAKEN) this.#serve(accepted.socket, accepted.row, result === Dispatch.FULL);
  }

  /** A child is gone, and its column cleared: the connections that it had not taken are this thread's again. */
  serveLeft(left: readonly Accepted[]): void {
    for (const { row } of left) if (row !== NO_ADDRESS) this.#addresses?.add(row, HERE, 1);
    for (const accepted of left) this.serve(accepted);
  }

  /** Other children are awaited now, or none: connections that were held go on. */
  releaseHeld(): void {
    clearTimeout(this.#holdTimer);
    for (const accepted of this.#held.splice(0)) this.serve(accepted);
  }

  /** No more connections come. What children have yet to take stays theirs. */
  close(): void {
    this.#isClosing = true;
    for (const accepted of this.#held.splice(0)) this.#close(accepted);
  }

  #close({ socket, row }: Accepted): void {
    if (row !== NO_ADDRESS) this.#addresses?.add(row, HERE, -1);
    socket.close();
  }

  /** Moves a connection from this thread's column to that of the child; -1: and back. */
  #count({ row }: Accepted, { index }: ChildSender, change: 1 | -1): void {
    if (change > 0) this.#addresses?.move(row, HERE, index);
    else this.#addresses?.move(row, index, HERE);
  }

  /** No child is left, after `close`. */
  end(): void {
    this.#waiter.cancel();
    this.#looks.stop();
  }

  // Sleeper: acknowledgements.

  hasWork(): boolean {
    for (const sender of this.#senders) if (sender.hasReleasable) return true;
    return false;
  }

  onWake(): void {
    this.#awaitAcks();
  }

  #awaitAcks(): void {
    do {
      let isWaiting = false;
      for (const sender of this.#senders) {
        sender.release();
        if (sender.waiting > 0) isWaiting = true;
      }
      if (!isWaiting) return;
    } while (!this.#waiter.wait());
  }

  #hold(accepted: Accepted): boolean {
    const rest = this.#awaitedUntil() - performance.now();
    if (rest <= 0 || this.#held.length >= MAX_HELD) return false;
    this.#held.push(accepted);
    if (this.#held.length === 1) {
      this.#holdTimer = setTimeout(() => {
        this.releaseHeld();
      }, rest);
    }
    return true;
  }
}
