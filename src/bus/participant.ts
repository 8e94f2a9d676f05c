import { reportError } from '../error-report.ts';
import { invalidArgument } from '../errors.ts';
import type { ReceivedRecord } from '../ring/record.ts';
import type { Delivery } from './delivery.ts';
import type { LinkHandler, Links } from './links.ts';
import { EVERYTHING, Listener, Listeners, type ListenHandler } from './listeners.ts';
import type { Message } from './message.ts';
import { isBinary, isCompressed, payloadOf } from './publish-codec.ts';
import type { PublishResult } from './publish-result.ts';
import { MAX_KIND, RecordKind } from './record-kinds.ts';
import { SendStatus } from './send-status.ts';

/** What a thread is among the others. The order is that of the numbers in shared memory. */
const ROLES = ['shard', 'main', 'bridge', 'app'] as const;
export type Role = (typeof ROLES)[number];

/** A thread as the others know it. */
export interface Peer {
  /** Its number, which a successor has too. */
  readonly id: number;
  /** 1 for the first thread with this number, one more for each that follows. */
  readonly instance: number;
  readonly role: Role;
}

/**
 * Takes what threads address to this one.
 *
 * @param bytes valid during the call; they may be ring memory
 * @param from the thread that sent them, and its instance number
 */
export type RecordHandler = (bytes: Uint8Array, from: number, instance: number) => void;

export type PeerHandler = (peer: Peer, state: 'up' | 'gone') => void;

/**
 * Participant: one thread as it takes part in what all share: the way of everything that one thread tells another. It
 * exists as long as its thread; what it is linked to may change, as an App can join others and leave them.
 */
export class Participant implements LinkHandler {
  readonly role: Role;
  #links: Links | null = null;
  #id: number;
  readonly #handlers: (RecordHandler | undefined)[] = [];
  readonly #delivery: Delivery;
  readonly #listeners = new Listeners();
  readonly #peers = new Map<number, Peer>();
  readonly #peerHandlers: PeerHandler[] = [];

  /**
   * @param id its number, until it is linked under another
   * @param delivery brings publishes to the sockets of this thread and to the others
   */
  constructor(role: Role, id: number, delivery: Delivery) {
    this.role = role;
    this.#id = id;
    this.#delivery = delivery;
  }

  /** Its number among the others. */
  get id(): number {
    return this.#id;
  }

  /** Its instance number; 0: it is linked to nobody. */
  get instance(): number {
    return this.#links === null ? 0 : this.#links.instance;
  }

  /** The other threads that are up, by number. */
  get peers(): ReadonlyMap<number, Peer> {
    return this.#peers;
  }

  /** Takes part from here on. */
  link(links: Links): void {
    this.#links = links;
    this.#id = links.thread;
    this.#delivery.link(links);
    links.listen(ROLES.indexOf(this.role), this);
    for (const topic of this.#listeners.topics()) links.addInterest(links.hash(topic));
    if (this.#listeners.hearsAll) links.addInterestInAll();
  }

  /** Takes part no more: the others hear that it is gone, and it that all others are. */
  unlink(): void {
    const links = this.#links;
    if (links === null) return;
    links.close();
    this.#links = null;
    this.#delivery.link(null);
    for (const peer of Array.from(this.#peers.values())) this.#tell(peer, 'gone');
  }

  /**
   * Publishes a message to all that are interested, in this thread and the others; it leaves at the end of the turn. The
   * message may be used again after the call, but not by handlers that are called meanwhile. The result is true until
   * the next publish of this thread.
   */
  publish(message: Message): PublishResult {
    const result = this.#delivery.publish(message);
    if (this.#listeners.size > 0) this.#hearOwn(message, result);
    return result;
  }

  /**
   * Has `handler` hear what is published to a topic, or to any (EVERYTHING), in this thread or another: what another
   * thread published from the return of this call on is not missed. It counts for nobody as a subscriber.
   */
  listen(topic: string | typeof EVERYTHING, handler: ListenHandler): Listener {
    const listener = new Listener(topic, handler);
    if (this.#listeners.add(listener) && this.#links !== null) {
      if (topic === EVERYTHING) this.#links.addInterestInAll();
      else this.#links.addInterest(this.#links.hash(topic));
    }
    return listener;
  }

  /** Ends what `listen` began. */
  unlisten(listener: Listener): void {
    const { topic } = listener;
    if (!this.#listeners.remove(listener) || this.#links === null) return;
    if (topic === EVERYTHING) this.#links.removeInterestInAll();
    else this.#links.removeInterest(this.#links.hash(topic));
  }

  /** Publishes that local listeners did not hear, because too many waited for them. */
  get missed(): number {
    return this.#listeners.missed;
  }

  /**
   * Sends a record to one thread, behind all that this thread published or sent before. It leaves at the end of the turn.
   * What was WRITTEN or QUEUED arrives once, unless that thread ends first: then `onPeer` says 'gone', and no successor
   * gets it. What it sends to itself arrives within the call.
   *
   * @param bytes copied, up to 64 MiB
   * @param instance the thread it is for; 0: whichever has this number now
   */
  sendTo(id: number, kind: RecordKind, bytes: Uint8Array, instance = 0): SendStatus {
    if (id === this.#id) return this.#sendToItself(kind, bytes, instance);
    return this.#links === null ? SendStatus.GONE : this.#links.sendTo(id, kind, bytes, instance);
  }

  #sendToItself(kind: RecordKind, bytes: Uint8Array, instance: number): SendStatus {
    if (instance !== 0 && instance !== this.instance) return SendStatus.GONE;
    this.#handle(kind, bytes, this.#id, this.instance);
    return SendStatus.WRITTEN;
  }

  /** Whether a thread is up, as far as is known here; this one is. */
  isUp(id: number): boolean {
    return id === this.#id || this.#peers.has(id);
  }

  /**
   * Has `handler` called for each record of a kind that is addressed to this thread. What it throws is reported, and
   * costs nobody else anything.
   *
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT when the kind has a handler already, or is PUBLISH
   */
  on(kind: RecordKind, handler: RecordHandler): void {
    if (!Number.isInteger(kind) || kind < 0 || kind > MAX_KIND || kind === RecordKind.PUBLISH) {
      throw invalidArgument(`Records of kind ${String(kind)} cannot be taken`);
    }
    if (this.#handlers[kind] !== undefined)
      throw invalidArgument(`Records of kind ${String(kind)} are taken already`);
    this.#handlers[kind] = handler;
  }

  /**
   * Has `handler` told of each thread that is up now, and of each that comes or goes. 'up' comes before the first record
   * that the thread sent to this one, 'gone' behind the last.
   */
  onPeer(handler: PeerHandler): void {
    this.#peerHandlers.push(handler);
    for (const peer of Array.from(this.#peers.values())) callPeerHandler(handler, peer, 'up');
  }

  /** @internal of Links */
  onRecord(record: ReceivedRecord): boolean {
    const { kind } = record;
    if (kind === RecordKind.PUBLISH) {
      this.#delivery.onRemotePublish(record);
      if (this.#listeners.size > 0) this.#hear(record);
      return true;
    }
    if (!record.isAddressed || this.#handlers[kind] === undefined) return false;
    return this.#handle(kind, record.body(), record.sender, this.#links!.senderInstance(record));
  }

  /** @internal of Links */
  onLife(id: number, instance: number, role: number, isUp: boolean): void {
    if (isUp) this.#tell({ id, instance, role: ROLES[role]! }, 'up');
    else this.#tell(this.#peers.get(id)!, 'gone');
  }

  /** A publish of this thread, for its own listeners. */
  #hearOwn(message: Message, result: PublishResult): void {
    const { name, payload, isBinary, compress, exceptListener } = message;
    if (!this.#listeners.has(name)) return;
    const listening = this.#listeners.count(name, exceptListener);
    result.local += listening;
    if (listening > 0) result.isHeard = true;
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    const kept = { ...result };
    this.#listeners.tell(name, bytes, isBinary, compress, this.#id, exceptListener);
    // Handlers may have published meanwhile.
    Object.assign(result, kept);
  }

  /** A publish of another thread. */
  #hear(record: ReceivedRecord): void {
    const topic = record.name();
    if (!this.#listeners.has(topic)) return;
    const { flags, sender } = record;
    this.#listeners.tell(topic, payloadOf(record), isBinary(flags), isCompressed(flags), sender, null);
  }

  #handle(kind: number, bytes: Uint8Array, from: number, instance: number): boolean {
    const handler = this.#handlers[kind];
    if (handler === undefined) return false;
    try {
      handler(bytes, from, instance);
    } catch (error) {
      reportError(`a record of kind ${kind} between threads`, error);
    }
    return true;
  }

  #tell(peer: Peer, state: 'up' | 'gone'): void {
    if (state === 'up') this.#peers.set(peer.id, peer);
    else this.#peers.delete(peer.id);
    for (const handler of this.#peerHandlers) callPeerHandler(handler, peer, state);
  }
}

function callPeerHandler(handler: PeerHandler, peer: Peer, state: 'up' | 'gone'): void {
  try {
    handler(peer, state);
  } catch (error) {
    reportError('a handler of threads that come and go', error);
  }
}
