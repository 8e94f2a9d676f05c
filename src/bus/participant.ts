import { reportError } from '../error-report.ts';
import { invalidArgument } from '../errors.ts';
import { ReceivedRecord } from '../ring/record.ts';
import { TopicReader } from '../ring/topic-bytes.ts';
import { callUser, type UserCode, userCode, watch } from '../user-code.ts';
import { type AnswerHandler, Answers } from './answers.ts';
import { type AskOptions, type AskPort, Asks } from './asks.ts';
import { before } from './before.ts';
import type { Delivery } from './delivery.ts';
import type { LinkHandler, Links } from './links.ts';
import { EVERYTHING, Listener, Listeners, type ListenHandler } from './listeners.ts';
import { type Message, NO_BYTES } from './message.ts';
import { type Ownership, type OwnershipTerms, SharedOwnership, SoleOwnership } from './ownership.ts';
import { isBinary, isCompressed, payloadOf } from './publish-codec.ts';
import { clearResult, noResult, type PublishResult } from './publish-result.ts';
import { type HeldRecord, RecordHold, restore } from './record-hold.ts';
import { MAX_KIND, RecordKind } from './record-kinds.ts';
import { SendStatus } from './send-status.ts';
import {
  HANDOVER_TIMEOUT,
  type HandoverReport,
  type PackedState,
  type StateKeeper,
  StateKeepers,
} from './state-keepers.ts';

/** Why a thread asks no more. */
const REPLACED = 'this thread was replaced';

/** What a thread leaves for its successor, which goes on under the same instance number where it has stopped. */
export interface Handover {
  /** What it kept by name. */
  readonly states: readonly PackedState[];
  /** Records that were read from the rings and not handled; they come before what is in the rings. */
  readonly held: readonly HeldRecord[];
  /** Number of its last request: an answer that comes late must not be taken for one to its successor. */
  readonly lastAsk: number;
}

/** What of it changes hands without a copy when it is posted. */
export function buffersOf({ states, held }: Handover): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { pieces } of states) for (const piece of pieces) buffers.add(piece.buffer as ArrayBuffer);
  for (const { bytes } of held) buffers.add(bytes.buffer as ArrayBuffer);
  return Array.from(buffers);
}

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
 * Takes what threads address to this one, or to those that are interested in a name.
 *
 * @param bytes valid during the call; they may be ring memory
 * @param from the thread that sent them, and its instance number
 * @param name '' when they are addressed to this thread; else it may be one that this thread is not interested in
 */
export type RecordHandler = (bytes: Uint8Array, from: number, instance: number, name: string) => unknown;

export type PeerHandler = (peer: Peer, state: 'up' | 'gone') => unknown;

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
  readonly #asks: Asks;
  readonly #answers: Answers;
  readonly #keepers = new StateKeepers(() => this.instance);
  #ownership: Ownership;
  /** Names that records are sent to, and how often this thread is interested in each. */
  readonly #interests = new Map<string, number>();
  /** What became of the record that was sent to a name last. */
  readonly #sent: PublishResult = noResult();
  /** What arrives and is not to be handled yet; null: it is handled. */
  #hold: RecordHold | null = null;
  /** It has left, and a successor goes on in its place. */
  #hasLeft = false;
  readonly #peers = new Map<number, Peer>();
  readonly #peerHandlers: UserCode<PeerHandler>[] = [];

  /**
   * @param id its number, until it is linked under another
   * @param delivery brings publishes to the sockets of this thread and to the others
   * @param counters of its thread, indexed by Counter
   */
  constructor(role: Role, id: number, delivery: Delivery, counters: Float64Array) {
    this.role = role;
    this.#id = id;
    this.#delivery = delivery;
    this.#ownership = new SoleOwnership(id);
    this.#asks = new Asks(this.#askPort(), counters);
    this.#answers = new Answers((to, record, instance) => this.#reply(to, record, instance), counters);
    this.#handlers[RecordKind.REQUEST] = (record, from, instance) => {
      this.#answers.onRequest(record, from, instance);
    };
    this.#handlers[RecordKind.REPLY] = (record, from) => {
      this.#asks.onReply(from, record);
    };
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

  /**
   * Takes part from here on.
   *
   * @param continues in the place of a thread that has left it
   */
  link(links: Links, continues = false): void {
    this.#links = links;
    this.#id = links.thread;
    this.#ownership = links.ownership;
    links.listen(ROLES.indexOf(this.role), this, continues, () => {
      this.#delivery.link(links);
      for (const topic of this.#listeners.topics()) links.addInterest(links.hash(topic));
      for (const name of this.#interests.keys()) links.addInterest(links.hash(name));
      if (this.#listeners.hearsAll) links.addInterestInAll();
    });
  }

  /** Takes part no more: the others hear that it is gone, and it that all others are. */
  unlink(): void {
    const links = this.#links;
    if (links === null) return;
    if (this.#hasLeft) links.leave();
    else links.close();
    this.#links = null;
    this.#delivery.link(null);
    this.#ownership = new SoleOwnership(this.#id);
    for (const peer of Array.from(this.#peers.values())) this.#tell(peer, 'gone');
  }

  /**
   * Publishes a message to all that are interested, in this thread and the others; it leaves at the end of the turn. The
   * message may be used again after the call, but not by handlers that are called meanwhile. The result is true until
   * the next publish of this thread.
   */
  publish(message: Message): PublishResult {
    const result = this.#delivery.publish(message);
    if (!this.#listeners.isEmpty) this.#hearOwn(message, result);
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
    this.#handle(kind, bytes, this.#id, this.instance, '');
    return SendStatus.WRITTEN;
  }

  // Names, which are the engine's own: publishes to a topic of the same name do not meet them.

  /** Bytes of the longest name that records can be sent to. */
  get maxNameLength(): number {
    return this.#links === null ? Number.POSITIVE_INFINITY : this.#links.maxTopicLength;
  }

  /**
   * This thread gets the records that others send to a name: what another thread sent from the return of this call on is
   * not missed. The handlers of their kinds get them, and may get those of other names, which they ignore.
   */
  addInterest(name: string): void {
    const count = this.#interests.get(name) ?? 0;
    this.#interests.set(name, count + 1);
    if (count === 0 && this.#links !== null) this.#links.addInterest(this.#links.hash(name));
  }

  /** Once for each `addInterest`. */
  removeInterest(name: string): void {
    const count = this.#interests.get(name);
    if (count === undefined) throw invalidArgument('Interest removed that was never added');
    if (count > 1) {
      this.#interests.set(name, count - 1);
      return;
    }
    this.#interests.delete(name);
    if (this.#links !== null) this.#links.removeInterest(this.#links.hash(name));
  }

  /** Whether a thread other than this one may be interested in one of these names. */
  isWanted(names: readonly string[]): boolean {
    return this.#links !== null && this.#links.isAnyWanted(names);
  }

  /**
   * Sends a record to each other thread that may be interested in one of these names, behind all that this thread published
   * or sent before. It leaves at the end of the turn. Those that are interested in several get it once. The result is true
   * until the next one.
   *
   * @param names of which the record has the first
   * @param bytes copied, up to 64 MiB
   */
  sendToInterested(kind: RecordKind, names: readonly string[], bytes: Uint8Array): PublishResult {
    clearResult(this.#sent);
    this.#links?.sendToInterested(kind, names, bytes, this.#sent);
    return this.#sent;
  }

  /** Whether a thread is up, as far as is known here; this one is. */
  isUp(id: number): boolean {
    return id === this.#id || this.#peers.has(id);
  }

  /**
   * Has `handler` called for each record of a kind that is addressed to this thread, or sent to a name. What it throws is
   * reported, and costs nobody else anything.
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
    const code = userCode(handler);
    this.#peerHandlers.push(code);
    for (const peer of Array.from(this.#peers.values())) callUser(code, peerHandlerFailed, peer, 'up');
  }

  // Requests.

  /**
   * Sends a request of this kind to a thread, this one included. Resolves with the answer's bytes. What is asked of one
   * thread gets there in the order in which it was asked.
   *
   * @throws (it rejects) MillraceError
   *   MILLRACE_ASK_REFUSED when it was not begun, so that it can be made again: dropped on the way, too many wait here or
   *   are under way there, nobody answers that kind, this thread ends;
   *   MILLRACE_ASK_FAILED when the handler there threw or rejected;
   *   MILLRACE_PEER_GONE when the thread is not there, or ended before it answered, and MILLRACE_ASK_TIMEOUT when the
   *   answer was not there in time: what was asked may have been done then
   */
  ask(id: number, kind: RecordKind, bytes: Uint8Array, options?: AskOptions): Promise<Uint8Array> {
    return this.#asks.ask(id, kind, bytes, options);
  }

  /**
   * Has `handler` answer the requests of a kind, with bytes or a promise of them. It gets bytes of its own. What it throws
   * is told to whoever asked.
   *
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT when requests of the kind are answered already
   */
  answer(kind: RecordKind, handler: AnswerHandler): void {
    if (this.#answers.handle(kind, handler)) return;
    throw invalidArgument(`Requests of kind ${String(kind)} are answered already`);
  }

  // Owners.

  /** Number of the thread that owns a name: the same in all threads, for as long as the server runs. */
  ownerOf(name: string): number {
    return this.#ownership.ownerOf(name);
  }

  /**
   * Has a keeper keep state in this thread: it is told how to begin, and packs the state when the thread is replaced.
   * `name` is the keeper's own.
   *
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT when another keeper has the name
   */
  keep(name: string, keeper: StateKeeper): void {
    this.#keepers.add(name, keeper);
  }

  /** Instance of this thread in which the keeper's state began; another one says that state was lost. */
  epochOf(name: string): number {
    return this.#keepers.epochOf(name);
  }

  /**
   * The thread is only about to begin: until `begin` what arrives is held, nothing can be asked, and keepers do not know
   * how to begin.
   *
   * @param owners of the threads that it will be linked to
   */
  prepare(owners: OwnershipTerms): void {
    this.#ownership = new SharedOwnership(owners);
    this.#hold = new RecordHold();
    this.#asks.refuse('the app module of this thread is being loaded');
    this.#keepers.defer();
  }

  /**
   * Keepers begin with what the former instance of this thread has left, and what is held is handled; null: with nothing.
   * Returns what was taken over, and what was lost. Never rejects.
   */
  async begin(handover: Handover | null): Promise<HandoverReport> {
    const isLost = handover === null && this.instance > 1;
    if (handover !== null) this.#asks.continueFrom(handover.lastAsk);
    const report = await this.#keepers.begin(
      handover?.states ?? [],
      isLost ? 'the thread before it ended, and has left nothing' : null,
      performance.now() + HANDOVER_TIMEOUT,
    );
    this.#asks.open();
    const held = [...(handover?.held ?? []), ...(this.#hold?.take() ?? [])];
    this.#hold = null;
    const record = new ReceivedRecord(NO_BYTES, new TopicReader());
    for (const one of held) {
      restore(record, one);
      // By way of the links, which tell first that its sender is up: that one may be gone since.
      (this.#links ?? this).onRecord(record);
    }
    this.#links?.reconcile();
    this.#links?.resume();
    return report;
  }

  /**
   * Ends what this thread has to do with others, so that a successor can go on in its place, where nothing is missing and
   * nothing comes again: what arrives is held, but for answers; handlers that are under way get done; what this thread has
   * asked is answered; the rings are left between two messages; what waits for room in those of others is sent; state is
   * packed. Each has its part of `HANDOVER_TIMEOUT`; what it has not done by then fails. Never rejects.
   */
  async handOver(): Promise<Handover> {
    const start = performance.now();
    const part = HANDOVER_TIMEOUT / 4;
    const links = this.#links;
    const hold = new RecordHold();
    this.#hold = hold;
    await before(start + part, this.#answers.idle());
    this.#answers.abandon();
    this.#asks.refuse(REPLACED);
    await before(start + 2 * part, this.#asks.idle());
    this.#asks.close(REPLACED);
    await links?.stop(start + 3 * part);
    await links?.sent(start + 3 * part);
    const states = await this.#keepers.pack(start + 4 * part);
    this.#hasLeft = true;
    return { states, held: hold.take(), lastAsk: this.#asks.lastId };
  }

  #askPort(): AskPort {
    return {
      instanceAt: (id) => {
        if (id === this.#id) return Math.max(this.instance, 1);
        return this.#links === null ? 0 : this.#links.instanceAt(id);
      },
      sendRequest: (id, record, instance) => {
        if (id !== this.#id) return this.sendTo(id, RecordKind.REQUEST, record, instance);
        queueMicrotask(() => {
          this.#answers.onRequest(record, id, instance);
        });
        return SendStatus.WRITTEN;
      },
    };
  }

  #reply(to: number, record: Uint8Array, instance: number): boolean {
    if (to !== this.#id) return this.sendTo(to, RecordKind.REPLY, record, instance) <= SendStatus.QUEUED;
    this.#asks.onReply(to, record);
    return true;
  }

  /** @internal of Links */
  onRecord(record: ReceivedRecord): boolean {
    const { kind } = record;
    if (this.#hold !== null && kind !== RecordKind.REPLY) {
      this.#hold.add(record);
      if (this.#hold.isFull) this.#links?.pause();
      return true;
    }
    if (kind === RecordKind.PUBLISH) {
      this.#delivery.onRemotePublish(record);
      if (!this.#listeners.isEmpty) this.#hear(record);
      return true;
    }
    if (this.#handlers[kind] === undefined) return false;
    const name = record.isAddressed ? '' : record.name();
    return this.#handle(kind, record.body(), record.sender, this.#links!.senderInstance(record), name);
  }

  /** @internal of Links */
  onInstance(id: number, instance: number, role: number, isUp: boolean): void {
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

  #handle(kind: number, bytes: Uint8Array, from: number, instance: number, name: string): boolean {
    const handler = this.#handlers[kind];
    if (handler === undefined) return false;
    let result: unknown;
    try {
      result = handler(bytes, from, instance, name);
    } catch (error) {
      recordHandlerFailed(kind, error);
    }
    if (result === undefined) return true;
    watch(result, (error) => {
      recordHandlerFailed(kind, error);
    });
    return true;
  }

  #tell(peer: Peer, state: 'up' | 'gone'): void {
    if (state === 'up') this.#peers.set(peer.id, peer);
    else {
      this.#peers.delete(peer.id);
      this.#asks.peerGone(peer.id, peer.instance);
    }
    for (const handler of this.#peerHandlers) {
      // The handler before may have found out that it is gone already, and all were told.
      if (state === 'up' && this.#peers.get(peer.id) !== peer) return;
      callUser(handler, peerHandlerFailed, peer, state);
    }
  }
}

function recordHandlerFailed(kind: number, error: unknown): void {
  reportError(`a record of kind ${kind} between threads`, error);
}

function peerHandlerFailed(error: unknown): void {
  reportError('a handler of threads that come and go', error);
}
