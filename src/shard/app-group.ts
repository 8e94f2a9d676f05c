import { randomBytes, randomInt } from 'node:crypto';
import { MillraceError } from '../errors.ts';
import { closeEnd } from '../net/handoff-channel.ts';
import { ACCEPT_BACKOFF } from '../net/listener.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import { AckTable } from '../ring/ack-table.ts';
import { createDoorbells, DoorbellWaiter, type Sleeper } from '../ring/doorbell.ts';
import { MAX_THREADS } from '../ring/layout.ts';
import type { AppDescriptor } from './app-descriptor.ts';
import { type Offer, offerChannel } from './channel-offer.ts';
import { ChildChannel } from './child-channel.ts';
import { ControlChannel } from './control-channel.ts';
import { type GroupMessage, type Invite, mailboxOf } from './group-message.ts';
import { createGroupMemory, createInbox, type LinkMemory } from './link-memory.ts';
import { Links } from './links.ts';
import type { Shard } from './shard.ts';

export interface GroupOptions {
  /** Bytes of the ring of each pair of threads, a power of two. */
  readonly ringCapacity: number;
  /** Bytes that may wait for a ring without room. */
  readonly maxOverflow: number;
}

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

/** A child as `childAppStats()` shows it. */
export interface ChildStats {
  readonly descriptor: AppDescriptor;
  /** Its number in `rings`; -1 when it has none. The acceptor is 0. */
  readonly index: number;
  /** 'removed': it keeps its connections and topics, and gets no more. */
  readonly state: 'joining' | 'joined' | 'removed';
  /** Connections sent to it since it joined, and those of them that it has not taken yet. */
  readonly sent: number;
  readonly waiting: number;
}

interface Child {
  readonly descriptor: AppDescriptor;
  index: number;
  offer: Offer | null;
  channel: ChildChannel | null;
  isRemoved: boolean;
  /** Until when connections wait for it, in ms of `performance.now()`. */
  awaitedUntil: number;
  /** Gives it up when it does not answer. */
  patience: NodeJS.Timeout | null;
}

/** Connections that wait for the first child to join, and for how long, in ms. */
const MAX_HELD = 1024;
const HOLD_TIME = 2000;

/** Ms a child has to answer. It may be blocked; or its thread may have ended. */
const ANSWER_TIME = 60_000;

/** The acceptor's own number. */
const ACCEPTOR = 0;

/**
 * AppGroup: an acceptor App with the children that were joined to it. It invites them, spreads connections over them,
 * notices when they end, and keeps the list of threads that share topics.
 */
export class AppGroup implements Sleeper {
  readonly memory: LinkMemory;
  readonly #shard: Shard;
  /** Serves a connection in this thread; `isExcess`: only tells it that there are too many. */
  readonly #serve: (socket: TcpHandle, isExcess: boolean) => void;
  readonly #name = `millrace group ${randomBytes(16).toString('hex')}`;
  readonly #channel: ControlChannel<GroupMessage>;
  readonly #links: Links;
  readonly #children = new Map<AppDescriptor, Child>();
  /** Children by number. */
  readonly #members = new Array<Child | null>(MAX_THREADS).fill(null);
  /** Children that connections go to, in turn. */
  readonly #takers: ChildChannel[] = [];
  #turn = 0;
  readonly #ackMemory = AckTable.create(MAX_THREADS);
  readonly #acks = new AckTable(this.#ackMemory);
  readonly #ackDoorbell = createDoorbells(1);
  readonly #waiter = new DoorbellWaiter(this.#ackDoorbell, 0, this);
  #held: TcpHandle[] = [];
  /** Runs while any are held. */
  #holdTimer: NodeJS.Timeout | undefined;
  #isClosing = false;

  constructor(shard: Shard, options: GroupOptions, serve: (socket: TcpHandle, isExcess: boolean) => void) {
    this.#shard = shard;
    this.#serve = serve;
    // Random: who names topics must not be able to choose where they land in the tables.
    this.memory = createGroupMemory(randomInt(2 ** 32), options.ringCapacity, options.maxOverflow);
    this.memory.inboxes[ACCEPTOR] = createInbox(this.memory);
    this.#links = new Links(this.#memoryCopy(), ACCEPTOR, () => {});
    this.#channel = new ControlChannel<GroupMessage>(this.#name, (message) => {
      this.#onMessage(message);
    }).unref();
    shard.link(this.#links);
  }

  /** @throws MillraceError MILLRACE_APP_STATE when there are too many children already */
  add(descriptor: AppDescriptor): void {
    const known = this.#children.get(descriptor);
    if (known !== undefined) {
      if (known.isRemoved && known.channel !== null) this.#takers.push(known.channel);
      known.isRemoved = false;
      return;
    }
    if (this.#children.size >= MAX_THREADS - 1) {
      throw new MillraceError(
        'MILLRACE_APP_STATE',
        `addChildAppDescriptor: an App can have at most ${MAX_THREADS - 1} children`,
      );
    }
    const child: Child = {
      descriptor,
      index: -1,
      offer: null,
      channel: null,
      isRemoved: false,
      awaitedUntil: performance.now() + HOLD_TIME,
      patience: null,
    };
    this.#children.set(descriptor, child);
    this.#invite(child);
  }

  /** No more connections go to the child. Those it has live on, and it goes on sharing topics. */
  remove(descriptor: AppDescriptor): void {
    const child = this.#children.get(descriptor);
    if (child === undefined) return;
    child.isRemoved = true;
    if (child.channel === null) this.#forget(child);
    else this.#stopSending(child.channel);
    this.#releaseHeld();
  }

  /** Gives a connection, unread, to the child whose turn it is. */
  dispatch(socket: TcpHandle): Dispatch {
    // A child that is found dead leaves the list.
    for (let tries = this.#takers.length; tries > 0 && this.#takers.length > 0; tries--) {
      const taker = this.#takers[this.#turn++ % this.#takers.length]!;
      if (!taker.send(socket)) continue;
      this.#awaitAcks();
      return Dispatch.TAKEN;
    }
    if (this.#takers.length > 0) return Dispatch.FULL;
    return this.#hold(socket) ? Dispatch.TAKEN : Dispatch.NONE;
  }

  /** No more connections come. The topics of the children are looked after as long as there are any. */
  close(): void {
    this.#isClosing = true;
    for (const child of this.#children.values()) if (child.channel === null) this.#forget(child);
    for (const socket of this.#held.splice(0)) socket.close();
    this.#endWhenAlone();
  }

  stats(): ChildStats[] {
    return Array.from(this.#children.values(), ({ descriptor, index, channel, isRemoved }) => {
      const state = channel?.isGreeted === true ? 'joined' : 'joining';
      return {
        descriptor,
        index,
        state: isRemoved ? 'removed' : state,
        sent: channel?.sent ?? 0,
        waiting: channel?.waiting ?? 0,
      };
    });
  }

  // Sleeper: acknowledgements.

  hasWork(): boolean {
    return this.#members.some((child) => child?.channel?.hasTaken === true);
  }

  onWake(): void {
    this.#awaitAcks();
  }

  #awaitAcks(): void {
    do {
      let isWaiting = false;
      for (const child of this.#members) {
        const channel = child?.channel ?? null;
        if (channel === null) continue;
        channel.settle();
        if (channel.waiting > 0) isWaiting = true;
      }
      if (!isWaiting) return;
    } while (!this.#waiter.wait());
  }

  // Joining.

  #onMessage(message: GroupMessage): void {
    if (message.type !== 'hello' && message.type !== 'refusal') return;
    const child = this.#children.get(message.app);
    if (child === undefined || child.channel !== null) return;
    if (message.type === 'hello') {
      void this.#welcome(child);
    } else {
      this.#forget(child);
      console.error(
        `millrace: addChildAppDescriptor: the App of thread ${message.thread} cannot be joined: ${message.reason}`,
      );
      this.#releaseHeld();
    }
  }

  #invite(child: Child): void {
    ControlChannel.post<Invite>(mailboxOf(child.descriptor), { type: 'invite', group: this.#name });
    const isNew = child.patience === null;
    if (child.patience !== null) clearTimeout(child.patience);
    child.patience = setTimeout(() => {
      this.#forget(child);
      // One that was joined before has ended, which is no news.
      if (!isNew) return;
      console.error(
        `millrace: addChildAppDescriptor: the App ${child.descriptor} has not answered for ${ANSWER_TIME / 1000} s and is given ` +
          'up. Has its thread ended, or is it blocked? Add the descriptor again when it answers.',
      );
    }, ANSWER_TIME);
    child.patience.unref();
  }

  /** The child is there: it gets a number and a place to connect to. */
  async #welcome(child: Child): Promise<void> {
    child.offer?.withdraw();
    child.offer = null;
    let offer: Offer;
    try {
      offer = await offerChannel();
    } catch (error) {
      // No descriptors, mostly.
      setTimeout(() => {
        if (this.#isAwaited(child)) this.#invite(child);
      }, ACCEPT_BACKOFF);
      if (!(error instanceof MillraceError)) console.error('millrace: addChildAppDescriptor:', error);
      return;
    }
    if (!this.#isAwaited(child) || child.offer !== null) {
      offer.withdraw();
      return;
    }
    child.offer = offer;
    if (child.index === -1) this.#number(child);
    const { memory } = this;
    this.#channel.post({
      type: 'welcome',
      app: child.descriptor,
      index: child.index,
      path: offer.path,
      links: memory,
      acks: this.#ackMemory,
      ackDoorbell: this.#ackDoorbell,
    });
    offer.accepted.then(
      (fd) => {
        if (child.offer === offer) this.#joined(child, fd);
        else closeEnd(fd);
      },
      () => {
        if (child.offer !== offer) return;
        child.offer = null;
        this.#unnumber(child);
        if (this.#isAwaited(child)) this.#invite(child);
      },
    );
  }

  /** Whether it is to join still. */
  #isAwaited(child: Child): boolean {
    return this.#children.get(child.descriptor) === child && child.channel === null && !this.#isClosing;
  }

  #number(child: Child): void {
    const index = this.#members.findIndex((member, i) => i !== ACCEPTOR && member === null);
    const { inboxes } = this.memory;
    const inbox = inboxes[index] ?? createInbox(this.memory);
    inboxes[index] = inbox;
    this.#members[index] = child;
    child.index = index;
    this.#links.addThread(index, inbox);
    this.#channel.post({ type: 'member-up', index, inbox });
  }

  #unnumber(child: Child): void {
    const { index } = child;
    if (index === -1) return;
    child.index = -1;
    this.#members[index] = null;
    this.#links.clearShard(index);
    this.#channel.post({ type: 'member-down', index });
  }

  #joined(child: Child, fd: number): void {
    child.offer = null;
    if (child.patience !== null) clearTimeout(child.patience);
    const channel = new ChildChannel(
      fd,
      child.index,
      this.#acks,
      () => {
        this.#awaitAcks();
      },
      (left) => {
        this.#lost(child, channel, left);
      },
    );
    child.channel = channel;
    if (!child.isRemoved) this.#takers.push(channel);
    this.#releaseHeld();
  }

  /** The child closed, or its thread ended, or the channel to it broke. */
  #lost(child: Child, channel: ChildChannel, left: readonly TcpHandle[]): void {
    child.channel = null;
    child.awaitedUntil = 0;
    this.#stopSending(channel);
    this.#unnumber(child);
    for (const socket of left) this.#dispatchOrServe(socket);
    if (child.isRemoved || this.#isClosing) this.#forget(child);
    // If only the channel broke, the child says hello again.
    else this.#invite(child);
    this.#endWhenAlone();
  }

  #stopSending(channel: ChildChannel): void {
    const at = this.#takers.indexOf(channel);
    if (at >= 0) this.#takers.splice(at, 1);
  }

  /** A child that is not joined. */
  #forget(child: Child): void {
    this.#children.delete(child.descriptor);
    if (child.patience !== null) clearTimeout(child.patience);
    const { offer } = child;
    child.offer = null;
    offer?.withdraw();
    this.#unnumber(child);
  }

  #endWhenAlone(): void {
    if (!this.#isClosing || this.#children.size > 0) return;
    this.#shard.unlink();
    this.#waiter.cancel();
    this.#channel.close();
  }

  // Connections that come while the first child is joining.

  #hold(socket: TcpHandle): boolean {
    let until = 0;
    for (const { channel, awaitedUntil } of this.#children.values()) {
      if (channel === null) until = Math.max(until, awaitedUntil);
    }
    const rest = until - performance.now();
    if (rest <= 0 || this.#held.length >= MAX_HELD) return false;
    this.#held.push(socket);
    if (this.#held.length === 1) {
      this.#holdTimer = setTimeout(() => {
        this.#releaseHeld();
      }, rest);
    }
    return true;
  }

  #releaseHeld(): void {
    clearTimeout(this.#holdTimer);
    for (const socket of this.#held.splice(0)) this.#dispatchOrServe(socket);
  }

  #dispatchOrServe(socket: TcpHandle): void {
    if (this.#isClosing) {
      socket.close();
      return;
    }
    const result = this.dispatch(socket);
    if (result !== Dispatch.TAKEN) this.#serve(socket, result === Dispatch.FULL);
  }

  #memoryCopy(): LinkMemory {
    return { ...this.memory, inboxes: this.memory.inboxes.slice() };
  }
}
