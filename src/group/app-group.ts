import { randomBytes, randomInt } from 'node:crypto';
import type { AddressTable } from '../admission/address-table.ts';
import { createGroupMemory, createInbox, type LinkMemory } from '../bus/link-memory.ts';
import { Links } from '../bus/links.ts';
import { MillraceError } from '../errors.ts';
import { closeEnd } from '../net/handoff-channel.ts';
import { ACCEPT_BACKOFF } from '../net/listener.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import { Obstacle } from '../net/obstacle.ts';
import { MAX_THREADS } from '../ring/layout.ts';
import type { Shard } from '../shard/shard.ts';
import type { AppDescriptor } from './app-descriptor.ts';
import { ChildDispatcher, type Dispatch, type ServeHere } from './child-dispatcher.ts';
import type { Accepted, ChildSender } from './child-sender.ts';
import { type GroupMessage, type Invite, mailboxOf } from './group-message.ts';
import { type ChildListener, listenForChild } from './listen-for-child.ts';
import { NamedPort } from './named-port.ts';

export interface GroupOptions {
  /** Bytes of the ring of each pair of threads, a power of two. */
  readonly ringCapacity: number;
  /** Bytes that may wait for a ring without room. */
  readonly maxOverflow: number;
}

/** A child as `childAppStats()` shows it. */
export interface ChildStats {
  readonly descriptor: AppDescriptor;
  /** Its number in `rings`; -1 when it has none. The acceptor is 0. */
  readonly index: number;
  /**
   * 'stalled': the child has not taken what it was sent for a second, and gets no more unless all are so. 'removed': the
   * child keeps its connections and topics, and gets no more.
   */
  readonly state: 'joining' | 'joined' | 'stalled' | 'removed';
  /** Connections sent to it since it joined, and those of them that it has not taken yet. */
  readonly sent: number;
  readonly waiting: number;
}

interface Child {
  readonly descriptor: AppDescriptor;
  index: number;
  listener: ChildListener | null;
  sender: ChildSender | null;
  isRemoved: boolean;
  /** When connections cease to wait for the child, in ms of `performance.now()`. */
  awaitedUntil: number;
  /** Gives the child up when it does not answer. */
  timeout: NodeJS.Timeout | null;
}

/** How long connections wait for a child to join, in ms. */
const HOLD_TIME = 2000;

/** Ms a child has to answer. A child that does not is blocked, or its thread has ended. */
const ANSWER_TIME = 60_000;

/** The acceptor's own number. */
const ACCEPTOR = 0;

/**
 * AppGroup: an acceptor App with the children that were joined to it. It invites them, gives each a number, notices when
 * they end, and keeps the list of threads that share topics. Connections are its dispatcher's.
 */
export class AppGroup {
  readonly memory: LinkMemory;
  readonly #shard: Shard;
  readonly #addresses: AddressTable | null;
  readonly #dispatcher: ChildDispatcher;
  readonly #name = `millrace group ${randomBytes(16).toString('hex')}`;
  readonly #port: NamedPort<GroupMessage>;
  readonly #links: Links;
  readonly #children = new Map<AppDescriptor, Child>();
  /** Children by number. */
  readonly #members = new Array<Child | null>(MAX_THREADS).fill(null);
  readonly #obstacle = new Obstacle('millrace: addChildAppDescriptor:');
  #isClosing = false;

  /** @param addresses counts connections by address; null: they are not limited */
  constructor(shard: Shard, options: GroupOptions, addresses: AddressTable | null, serve: ServeHere) {
    this.#shard = shard;
    this.#addresses = addresses;
    this.#dispatcher = new ChildDispatcher(addresses, serve, () => this.#awaitedUntil());
    // Random: a user who names topics must not be able to choose where they land in the tables.
    this.memory = createGroupMemory(randomInt(2 ** 32), options.ringCapacity, options.maxOverflow);
    this.memory.inboxes[ACCEPTOR] = createInbox(this.memory);
    this.#links = new Links(this.#memoryCopy(), ACCEPTOR, () => {});
    this.#port = new NamedPort<GroupMessage>(this.#name, (message) => {
      this.#onMessage(message);
    }).unref();
    shard.link(this.#links);
  }

  /** @throws MillraceError MILLRACE_APP_STATE when there are too many children already */
  add(descriptor: AppDescriptor): void {
    const known = this.#children.get(descriptor);
    if (known !== undefined) {
      if (known.isRemoved && known.sender !== null) this.#dispatcher.resume(known.sender);
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
      listener: null,
      sender: null,
      isRemoved: false,
      awaitedUntil: performance.now() + HOLD_TIME,
      timeout: null,
    };
    this.#children.set(descriptor, child);
    this.#invite(child);
  }

  /** No more connections go to the child. Those it has live on, and it goes on sharing topics. */
  remove(descriptor: AppDescriptor): void {
    const child = this.#children.get(descriptor);
    if (child === undefined) return;
    child.isRemoved = true;
    if (child.sender === null) this.#forget(child);
    else this.#dispatcher.suspend(child.sender);
    this.#dispatcher.releaseHeld();
  }

  /** Gives a connection, unread, to the child whose turn it is. */
  dispatch(socket: TcpHandle, row: number): Dispatch {
    return this.#dispatcher.dispatch({ socket, row });
  }

  /** No more connections come. The topics of the children are looked after as long as there are any. */
  close(): void {
    this.#isClosing = true;
    for (const child of this.#children.values()) if (child.sender === null) this.#forget(child);
    this.#dispatcher.close();
    this.#endWhenAlone();
  }

  stats(): ChildStats[] {
    return Array.from(this.#children.values(), ({ descriptor, index, sender, isRemoved }) => {
      const joined = sender?.isGreeted === true ? 'joined' : 'joining';
      const state = sender?.isStalled === true ? 'stalled' : joined;
      return {
        descriptor,
        index,
        state: isRemoved ? 'removed' : state,
        sent: sender?.sent ?? 0,
        waiting: sender?.waiting ?? 0,
      };
    });
  }

  // Joining.

  #onMessage(message: GroupMessage): void {
    if (message.type !== 'hello' && message.type !== 'refusal') return;
    const child = this.#children.get(message.app);
    if (child === undefined || child.sender !== null) return;
    if (message.type === 'hello') {
      void this.#welcome(child);
    } else {
      this.#forget(child);
      console.error(
        `millrace: addChildAppDescriptor: the App of thread ${message.thread} cannot be joined: ${message.reason}`,
      );
      this.#dispatcher.releaseHeld();
    }
  }

  #invite(child: Child): void {
    NamedPort.post<Invite>(mailboxOf(child.descriptor), { type: 'invite', group: this.#name });
    const isNew = child.timeout === null;
    if (child.timeout !== null) clearTimeout(child.timeout);
    child.timeout = setTimeout(() => {
      this.#forget(child);
      // A child that was joined before has ended, which is no news.
      if (!isNew) return;
      console.error(
        `millrace: addChildAppDescriptor: the App ${child.descriptor} has not answered for ${ANSWER_TIME / 1000} s and is given ` +
          'up. Has its thread ended, or is it blocked? Add the descriptor again when it answers.',
      );
    }, ANSWER_TIME);
    child.timeout.unref();
  }

  /** The child is there: it gets a number and a place to connect to. */
  async #welcome(child: Child): Promise<void> {
    child.listener?.close();
    child.listener = null;
    let listener: ChildListener;
    try {
      listener = await listenForChild();
    } catch (error) {
      // No descriptors, mostly.
      setTimeout(() => {
        if (this.#isAwaited(child)) this.#invite(child);
      }, ACCEPT_BACKOFF);
      this.#obstacle.tell(error);
      return;
    }
    if (!this.#isAwaited(child) || child.listener !== null) {
      listener.close();
      return;
    }
    this.#obstacle.clear();
    child.listener = listener;
    if (child.index === -1) this.#number(child);
    const { memory } = this;
    this.#port.post({
      type: 'welcome',
      app: child.descriptor,
      index: child.index,
      path: listener.path,
      links: memory,
      acks: this.#dispatcher.ackMemory,
      ackDoorbell: this.#dispatcher.ackDoorbell,
      addresses: this.#addresses?.memory ?? null,
    });
    listener.accepted.then(
      (fd) => {
        if (child.listener === listener) this.#joined(child, fd);
        else closeEnd(fd);
      },
      () => {
        if (child.listener !== listener) return;
        child.listener = null;
        this.#unnumber(child);
        if (this.#isAwaited(child)) this.#invite(child);
      },
    );
  }

  /** Whether the child is still to join. */
  #isAwaited(child: Child): boolean {
    return this.#children.get(child.descriptor) === child && child.sender === null && !this.#isClosing;
  }

  #number(child: Child): void {
    const index = this.#members.findIndex((member, i) => i !== ACCEPTOR && member === null);
    const { inboxes } = this.memory;
    const inbox = inboxes[index] ?? createInbox(this.memory);
    inboxes[index] = inbox;
    this.#members[index] = child;
    child.index = index;
    this.#links.addThread(index, inbox);
    this.#port.post({ type: 'member-up', index, inbox });
  }

  #unnumber(child: Child): void {
    const { index } = child;
    if (index === -1) return;
    child.index = -1;
    this.#members[index] = null;
    this.#links.clearThread(index);
    this.#addresses?.clear(index);
  }

  #joined(child: Child, fd: number): void {
    child.listener = null;
    if (child.timeout !== null) clearTimeout(child.timeout);
    // The child that had the number before may have counted down until it knew that the number is its no more.
    this.#addresses?.clear(child.index);
    const sender = this.#dispatcher.open(fd, child.index, (left) => {
      this.#lost(child, left);
    });
    child.sender = sender;
    if (!child.isRemoved) this.#dispatcher.resume(sender);
    this.#dispatcher.releaseHeld();
  }

  /** The child closed, or its thread ended, or the channel to it broke. */
  #lost(child: Child, left: readonly Accepted[]): void {
    child.sender = null;
    child.awaitedUntil = 0;
    this.#unnumber(child);
    this.#dispatcher.serveLeft(left);
    if (child.isRemoved || this.#isClosing) this.#forget(child);
    // If only the channel broke, the child says hello again.
    else this.#invite(child);
    this.#endWhenAlone();
  }

  /** A child that is not joined. */
  #forget(child: Child): void {
    this.#children.delete(child.descriptor);
    if (child.timeout !== null) clearTimeout(child.timeout);
    const { listener } = child;
    child.listener = null;
    listener?.close();
    this.#unnumber(child);
  }

  #endWhenAlone(): void {
    if (!this.#isClosing || this.#children.size > 0) return;
    this.#shard.unlink();
    this.#dispatcher.end();
    this.#port.close();
  }

  /** When connections cease to wait for children that have not joined yet; 0: there are none. */
  #awaitedUntil(): number {
    let until = 0;
    for (const { sender, awaitedUntil } of this.#children.values()) {
      if (sender === null) until = Math.max(until, awaitedUntil);
    }
    return until;
  }

  #memoryCopy(): LinkMemory {
    return { ...this.memory, inboxes: this.memory.inboxes.slice() };
  }
}
