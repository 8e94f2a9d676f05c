import { Intake } from '../acceptor/intake.ts';
import { HandoffSender } from '../net/handoff-sender.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import type { AckTable } from '../ring/ack-table.ts';
import { GREETING, rowText } from './group-message.ts';

/** Sockets that may wait for a child that does not take them. */
const MAX_WAITING = 1024;

/** A socket that was accepted, and the row of the address table that it is counted in. */
export interface Accepted {
  readonly socket: TcpHandle;
  readonly row: number;
}

/**
 * ChildSender: sends sockets to one child, through its handoff channel. Each socket is kept until the child says that it has
 * taken it, so that the socket can go elsewhere when the child dies first.
 */
export class ChildSender {
  /** Sockets sent so far. */
  sent = 0;
  readonly #sender: HandoffSender;
  /** The child's number. */
  readonly index: number;
  readonly #acks: AckTable;
  /** Sent and not acknowledged, oldest first, from `#first` on. */
  #waiting: Accepted[] = [];
  #first = 0;
  /** Taken, as far as was looked. */
  #taken = 0;
  #isLost = false;
  readonly #intake = new Intake();

  /**
   * @param fd the accepted end of the channel
   * @param onSent the kernel has a socket: `release` may close more
   * @param onLost called when the child is gone, with the sockets that the child has not taken
   */
  constructor(
    fd: number,
    index: number,
    acks: AckTable,
    onSent: () => void,
    onLost: (left: readonly Accepted[]) => void,
  ) {
    this.index = index;
    this.#acks = acks;
    acks.clear(index);
    this.#sender = new HandoffSender(fd, () => {
      this.#isLost = true;
      this.#sender.close(() => {
        onLost(this.#takeLeft());
      });
    });
    this.#sender.onDuplicated = onSent;
    this.#sender.tell(GREETING);
    this.#sender.watch();
  }

  /** Sockets the child has not taken yet. */
  get waiting(): number {
    return this.#waiting.length - this.#first;
  }

  /** The child has not taken what it was sent for a second. */
  get isStalled(): boolean {
    return this.#intake.isStalled;
  }

  /** Looks whether the child takes what it is sent. Returns whether anything is on its way. */
  look(): boolean {
    const isWaiting = this.waiting > this.#acknowledged;
    this.#intake.look(isWaiting, this.#acks.get(this.index));
    return isWaiting;
  }

  /** Whether the child has got the greeting, and shares topics. */
  get isGreeted(): boolean {
    return this.#acks.get(this.index) !== 0;
  }

  /** Whether `release` would close any. */
  get hasReleasable(): boolean {
    return this.#releasable > 0;
  }

  /** Returns false when the child takes no more for now. If true, the socket is owned here from then on. */
  send(accepted: Accepted): boolean {
    if (this.#isLost || this.waiting >= MAX_WAITING) return false;
    // A failure loses the channel, and this socket must not be among those that are left.
    if (!this.#sender.sendDuplicate(rowText(accepted.row), accepted.socket)) return false;
    this.#waiting.push(accepted);
    this.sent++;
    return true;
  }

  /** Closes the sockets that the child has taken. */
  release(): void {
    this.#close(this.#releasable);
  }

  /** A socket may be closed when the child has taken it, and this thread knows that its write is complete. */
  get #releasable(): number {
    return Math.min(this.#acknowledged, this.#sender.duplicates - this.#taken);
  }

  /** Sockets that the child has taken since this was looked at; the first acknowledgement was of the greeting. */
  get #acknowledged(): number {
    return this.isGreeted ? (this.#acks.get(this.index) - 1 - this.#taken) | 0 : 0;
  }

  /** The child is gone and no write is under way: what the child acknowledged is final. */
  #takeLeft(): readonly Accepted[] {
    this.#close(this.#acknowledged);
    const left = this.#waiting.slice(this.#first);
    this.#waiting = [];
    this.#first = 0;
    return left;
  }

  #close(count: number): void {
    for (let i = 0; i < count && this.waiting > 0; i++) this.#waiting[this.#first++]!.socket.close();
    this.#taken += count;
    if (this.#first === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#first = 0;
    } else if (this.#first >= MAX_WAITING) {
      this.#waiting.splice(0, this.#first);
      this.#first = 0;
    }
  }
}
