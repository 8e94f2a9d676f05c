import { isUtf8 } from 'node:buffer';
import type { Bus, BusGroup } from '../../bus/bus.ts';
import type { BusSubscriber } from '../../bus/bus-subscriber.ts';
import { Message } from '../../bus/message.ts';
import { StompError, StompFault, type StompVersion } from '../codec/frame.ts';
import { SharedMessage } from '../codec/frame-writer.ts';
import type { StompTextPort } from '../codec/text-port.ts';
import { AckMode } from '../session/subscriptions.ts';
import type { BrokerSession, BrokerSubscription } from './destination-kind.ts';
import { messageOf } from './message-payload.ts';

/** What a message that waits takes beside its bytes. */
const WAITING_OVERHEAD = 96;
/** Frames up to this are put together in memory that is used again. */
const SCRATCH_SIZE = 64 * 1024;

/** A message for all subscribers of a thread: what they have in common is made once. */
export class FanoutMessage {
  readonly #text: StompTextPort;
  readonly #payload: Uint8Array;
  #shared: SharedMessage | null = null;
  #kept: SharedMessage | null = null;
  #isText: boolean | null = null;

  /** @param payload may be memory that is used again when the message is delivered */
  constructor(text: StompTextPort, payload: Uint8Array) {
    this.#text = text;
    this.#payload = payload;
  }

  get size(): number {
    return this.#payload.length;
  }

  get shared(): SharedMessage {
    return (this.#shared ??= messageOf(this.#text, this.#payload, ''));
  }

  /** The same in memory of its own. */
  get kept(): SharedMessage {
    return (this.#kept ??= messageOf(this.#text, new Uint8Array(this.#payload), ''));
  }

  /** Its frame is UTF-8: names and values of headers are in any case. */
  isText(tail: Uint8Array): boolean {
    return (this.#isText ??= isUtf8(tail));
  }
}

/** Subscriptions that get the same frames: of one version and id, of clients that take text alike. */
interface Group {
  readonly key: string;
  readonly version: StompVersion;
  readonly prefersBinary: boolean;
  /** The frame up to what all versions have in common. */
  readonly head: Uint8Array;
  readonly members: BusGroup;
}

/** A subscription as its audience keeps it. */
interface Member {
  readonly session: BrokerSession;
  /** Null: it is sent each message by itself. */
  readonly group: Group | null;
  readonly subscriber: BusSubscriber | null;
  /** Messages beyond its window. */
  waiting: { readonly message: SharedMessage; readonly size: number }[];
  waitingBytes: number;
}

/** Puts frames together; what is published while one is delivered takes another. */
class FrameScratch {
  readonly message = new Message();
  readonly #memory = new Uint8Array(SCRATCH_SIZE);

  join(head: Uint8Array, tail: Uint8Array): Uint8Array {
    const length = head.length + tail.length;
    const bytes = length > SCRATCH_SIZE ? new Uint8Array(length) : this.#memory.subarray(0, length);
    bytes.set(head);
    bytes.set(tail, head.length);
    return bytes;
  }
}

let spareScratch: FrameScratch | null = null;

/** What audiences of a thread have in common. */
export interface AudienceContext {
  readonly text: StompTextPort;
  /** Null: no client of this thread has a WebSocket. */
  readonly bus: Bus | null;
  /** Bytes of messages that may wait for a subscription that acknowledges too little. */
  readonly maxBacklog: number;
}

/**
 * Audience: the subscriptions of this thread to one name or pattern. stompjs calls the first subscription of each client
 * `sub-0`, so most of them get the very same frames: these are a group of the bus, which writes the same bytes to all.
 */
export class Audience {
  readonly #context: AudienceContext;
  readonly #members = new Map<BrokerSubscription, Member>();
  readonly #groups = new Map<string, Group>();
  /** Those that are in no group. */
  readonly #single = new Map<BrokerSubscription, Member>();

  constructor(context: AudienceContext) {
    this.#context = context;
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  add(session: BrokerSession, subscription: BrokerSubscription): void {
    const { bus } = this.#context;
    const { subscriber } = session;
    const isGrouped = bus !== null && subscriber !== null && subscription.ack === AckMode.AUTO;
    const group = isGrouped ? this.#groupOf(bus, session, subscription) : null;
    const member: Member = { session, group, subscriber, waiting: [], waitingBytes: 0 };
    this.#members.set(subscription, member);
    if (group === null) this.#single.set(subscription, member);
    else bus!.join(group.members, subscriber!);
  }

  remove(subscription: BrokerSubscription): void {
    const { group, subscriber } = this.#members.get(subscription)!;
    this.#members.delete(subscription);
    if (group === null) {
      this.#single.delete(subscription);
      return;
    }
    this.#context.bus!.leave(group.members, subscriber!);
    if (group.members.subscribers.size === 0) this.#groups.delete(group.key);
  }

  /** Handlers of clients that take too little may be called meanwhile, and may do anything. */
  deliver(message: FanoutMessage): void {
    for (const group of this.#groups.values()) this.#deliverTo(group, message);
    for (const [subscription, member] of this.#single) this.#deliverAlone(subscription, member, message);
  }

  /** Something was acknowledged: there is room for what waits. */
  settled(subscription: BrokerSubscription): void {
    const member = this.#members.get(subscription)!;
    const { waiting } = member;
    let taken = 0;
    while (taken < waiting.length && hasRoom(subscription)) {
      const { message, size } = waiting[taken++]!;
      member.waitingBytes -= size;
      member.session.deliver(subscription, message, null);
    }
    if (taken > 0) member.waiting = waiting.slice(taken);
  }

  #groupOf(bus: Bus, { version, prefersBinary }: BrokerSession, { id }: BrokerSubscription): Group {
    const key = `${version}${prefersBinary ? 'b' : 't'}${id === undefined ? '' : `:${id}`}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const text = SharedMessage.head(version, id);
    const head = new Uint8Array(this.#context.text.byteLength(text));
    this.#context.text.write(head, text, 0);
    const group: Group = { key, version, prefersBinary, head, members: bus.openGroup() };
    this.#groups.set(key, group);
    return group;
  }

  #deliverTo(group: Group, message: FanoutMessage): void {
    const tail = message.shared.tail(group.version);
    const isBinary = group.prefersBinary || !message.isText(tail);
    const scratch = spareScratch ?? new FrameScratch();
    spareScratch = null;
    scratch.message.set('', scratch.join(group.head, tail), isBinary, true);
    this.#context.bus!.sendToGroup(group.members, scratch.message);
    scratch.message.clear();
    spareScratch = scratch;
  }

  #deliverAlone(subscription: BrokerSubscription, member: Member, message: FanoutMessage): void {
    if (subscription.ack === AckMode.AUTO || (member.waiting.length === 0 && hasRoom(subscription))) {
      member.session.deliver(subscription, message.shared, null);
      return;
    }
    const size = message.size + WAITING_OVERHEAD;
    member.waitingBytes += size;
    if (member.waitingBytes > this.#context.maxBacklog) {
      const reason = 'too many messages of a topic wait for acknowledgements';
      member.session.refuse(new StompError(StompFault.LIMIT, reason));
    } else {
      member.waiting.push({ message: message.kept, size });
    }
  }
}

function hasRoom({ unacknowledged, window }: BrokerSubscription): boolean {
  return unacknowledged.size < window;
}
