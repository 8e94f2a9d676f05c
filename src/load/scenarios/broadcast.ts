import { FIN, headerLength, writeMaskedHeader } from '../../protocol/frame-header.ts';
import { applyMask, wordsOf } from '../../protocol/mask.ts';
import { Opcode } from '../../protocol/opcode.ts';
import {
  isBroadcast,
  microsecondsSince,
  publisherOf,
  sequenceOf,
  TIME_MODULO,
  timeOf,
  writeBroadcast,
} from '../broadcast-message.ts';
import { Counter } from '../counters.ts';
import { isSpecial, specialBefore } from '../roles.ts';
import { sharedMicroseconds } from '../shared-clock.ts';
import { shareOf } from '../thread-message.ts';
import { type Scenario, type ScenarioHost, Slot } from './scenario.ts';

const MASK_KEY = 0x5a5a_a5a5;
/** Bytes of messages that are written at once at most, unless one is longer. */
const LARGEST_WRITE = 64 * 1024;

/** One connection of the scenario broadcast: it receives, and perhaps publishes. */
export class BroadcastSlot extends Slot {
  /** Its number among the publishers, or -1. */
  readonly publisher: number;
  /** For each publisher, the sequence of its next message. */
  readonly next: Uint32Array;
  /** Whether it was there from the first message on. */
  isComplete = true;
  /** Messages published, and of those the ones that the witness has got. */
  published = 0;
  acknowledged = 0;
  acknowledgedAt = 0;
  /** Messages that a rate asks for and that are not sent yet. */
  owed = 0;

  constructor(index: number, publisher: number, publishers: number) {
    super(index);
    this.publisher = publisher;
    this.next = new Uint32Array(publishers);
  }
}

/**
 * Broadcast: publishers send, and every connection must get every message once, those of a publisher in order. The
 * server relays messages as they are to all connections; the sender may be among them or not.
 *
 * A publisher has so many messages in flight as it is allowed: they count as delivered when one connection of the same
 * thread, its witness, has got them. What the others get is checked by sequence, and at the end against what was
 * published.
 */
export class BroadcastScenario implements Scenario<BroadcastSlot> {
  readonly keepsConnections = true;
  readonly greets = false;
  readonly #host: ScenarioHost<BroadcastSlot>;
  readonly #publishers: number;
  readonly #size: number;
  readonly #opcode: number;
  readonly #frameLength: number;
  readonly #isPaced: boolean;
  /** What each publisher is to publish; null: as much as the time allows. */
  readonly #amounts: readonly number[] | null;
  /** By publisher, those of this thread alone: who publishes, and who is its witness. */
  readonly #publishing: (BroadcastSlot | null)[] = [];
  readonly #witness: number[] = [];
  /** Publishers of this thread that may send again after the chunk that is being read. */
  readonly #pending: BroadcastSlot[] = [];
  #isRunning = false;
  #isFinished = false;
  #turn = 0;
  /** µs of the shared clock when the chunk came that is being read. */
  #now = 0;

  constructor(host: ScenarioHost<BroadcastSlot>) {
    const { plan, share } = host;
    this.#host = host;
    this.#publishers = plan.publishers;
    this.#size = plan.size;
    this.#opcode = plan.binary ? Opcode.BINARY : Opcode.TEXT;
    this.#frameLength = headerLength(plan.size, true) + plan.size;
    this.#isPaced = plan.connectionRate + plan.overallRate > 0;
    this.#amounts =
      share.amount === 0
        ? null
        : Array.from({ length: plan.publishers }, (_, i) => shareOf(plan.amount, plan.publishers, i).size);
  }

  createSlot(index: number): BroadcastSlot {
    const { plan, share } = this.#host;
    const number = share.firstConnection + index;
    const isPublisher = isSpecial(number, plan.publishers, plan.connections);
    const publisher = isPublisher ? specialBefore(number, plan.publishers, plan.connections) : -1;
    const slot = new BroadcastSlot(index, publisher, plan.publishers);
    if (!isPublisher) return slot;
    this.#publishing[publisher] = slot;
    this.#witness[publisher] = (index + 1) % share.connections;
    return slot;
  }

  start(now: number): void {
    this.#isRunning = true;
    if (this.#isPaced) return;
    for (const slot of this.#own()) this.#publish(slot, now);
  }

  stop(): number[] {
    this.#isRunning = false;
    return Array.from({ length: this.#publishers }, (_, i) => this.#publishing[i]?.published ?? 0);
  }

  isDrained(published: readonly number[]): boolean {
    return this.#host.slots.every((slot) => missingOf(slot, published) === 0);
  }

  finish(published: readonly number[]): void {
    let lost = 0;
    for (const slot of this.#host.slots) lost += missingOf(slot, published);
    this.#host.counters.add(Counter.LOST, lost);
  }

  tick(now: number): void {
    if (!this.#isRunning) return;
    for (const slot of this.#own()) this.#checkWitness(slot, now);
    if (this.#amounts === null || this.#isFinished || !this.isDrained(this.#amounts)) return;
    this.#isFinished = true;
    this.#host.finish();
  }

  sendDue(count: number, now: number): void {
    const own = this.#own();
    for (let i = 0; i < count && own.length > 0; i++) own[(this.#turn + i) % own.length]!.owed++;
    this.#turn = (this.#turn + count) % Math.max(1, own.length);
    for (const slot of own) {
      this.#publish(slot, now);
      // What could not be sent is left out, but for one message that goes as soon as there is room.
      const missed = Math.max(0, slot.owed - 1);
      slot.owed -= missed;
      this.#host.counters.add(Counter.MISSED, missed);
    }
  }

  onOpen(slot: BroadcastSlot): void {
    if (!this.#isRunning) return;
    slot.isComplete = false;
    if (slot.publisher >= 0) this.#publish(slot, performance.now());
  }

  onBytes(slot: BroadcastSlot, bytes: Buffer, start: number, end: number): void {
    const now = performance.now();
    this.#now = sharedMicroseconds(now) % TIME_MODULO;
    slot.connection!.receive(bytes, start, end);
    for (const publisher of this.#pending) {
      publisher.acknowledgedAt = now;
      if (this.#isRunning) this.#publish(publisher, now);
    }
    this.#pending.length = 0;
  }

  onMessage(slot: BroadcastSlot, bytes: Uint8Array, offset: number, length: number, isBinary: boolean): void {
    const { counters } = this.#host;
    const isKind = isBinary === (this.#opcode === Opcode.BINARY);
    const publisher = isKind && this.#isOurs(bytes, offset, length) ? publisherOf(bytes, offset) : -1;
    if (publisher < 0 || publisher >= this.#publishers) {
      counters.add(Counter.MISMATCHES, 1);
      return;
    }
    const sequence = sequenceOf(bytes, offset);
    const expected = slot.next[publisher]!;
    if (sequence < expected) {
      counters.add(Counter.MISMATCHES, 1);
      return;
    }
    // Who came late does not know what was before.
    if (sequence > expected && slot.isComplete) counters.add(Counter.LOST, sequence - expected);
    slot.next[publisher] = sequence + 1;
    const latency = microsecondsSince(timeOf(bytes, offset), this.#now);
    counters.add(Counter.MESSAGES, 1);
    counters.addToConnection(slot.index, 1, latency / 1000);
    this.#host.recordLatency(latency / 1000, 1);
    if (this.#witness[publisher] === slot.index) this.#acknowledge(publisher, sequence + 1);
  }

  onLost(slot: BroadcastSlot): boolean {
    slot.isComplete = false;
    return false;
  }

  onFailed(): void {}

  /** The publishers of this thread. */
  #own(): BroadcastSlot[] {
    return this.#publishing.filter((slot) => slot !== null && slot !== undefined);
  }

  #isOurs(bytes: Uint8Array, offset: number, length: number): boolean {
    return isBroadcast(bytes, offset, length, this.#size, this.#host.run);
  }

  #acknowledge(publisher: number, count: number): void {
    const slot = this.#publishing[publisher]!;
    if (slot.acknowledged === count) return;
    slot.acknowledged = count;
    if (!this.#pending.includes(slot)) this.#pending.push(slot);
  }

  /** A witness that is gone, or gets nothing, is replaced, and what was in flight is forgotten. */
  #checkWitness(slot: BroadcastSlot, now: number): void {
    const { slots, plan } = this.#host;
    const witness = slots[this.#witness[slot.publisher]!]!;
    if (slot.published === slot.acknowledged) return;
    const isLate = now - slot.acknowledgedAt > plan.timeout * 1000;
    if (witness.connection?.isOpen === true && !isLate) return;
    if (isLate) {
      this.#host.counters.add(Counter.TIMEOUTS, 1);
      this.#host.countError(`a message was not delivered within ${plan.timeout} s`);
    }
    const other = slots.find(
      (other) => other !== slot && other !== witness && other.connection?.isOpen === true,
    );
    if (other !== undefined) this.#witness[slot.publisher] = other.index;
    slot.acknowledged = slot.published;
    slot.acknowledgedAt = now;
    this.#publish(slot, now);
  }

  /** Publishes as many messages as may be in flight, or as the rate asks for. */
  #publish(slot: BroadcastSlot, now: number): void {
    if (slot.connection?.isOpen !== true) return;
    const amount = this.#amounts?.[slot.publisher] ?? Number.POSITIVE_INFINITY;
    const room = this.#host.plan.pipelining - (slot.published - slot.acknowledged);
    let count = Math.min(room, amount - slot.published, this.#isPaced ? slot.owed : room);
    if (count <= 0) return;
    if (this.#isPaced) slot.owed -= count;
    if (slot.published === slot.acknowledged) slot.acknowledgedAt = now;
    this.#host.counters.add(Counter.SENT, count);
    const most = Math.max(1, Math.floor(LARGEST_WRITE / this.#frameLength));
    for (; count > 0; count -= most) this.#write(slot, Math.min(count, most), sharedMicroseconds(now));
  }

  #write(slot: BroadcastSlot, count: number, time: number): void {
    const out = Buffer.allocUnsafe(count * this.#frameLength);
    const words = wordsOf(out);
    const { run } = this.#host;
    for (let i = 0; i < count; i++) {
      const at = i * this.#frameLength;
      const start = writeMaskedHeader(out, at, FIN | this.#opcode, this.#size, MASK_KEY);
      writeBroadcast(out, start, this.#size, run, slot.publisher, slot.published++, time);
      applyMask(out, words, start, this.#size, MASK_KEY);
    }
    slot.connection!.send(out);
  }
}

/** Messages that a connection has not got. One that came late cannot miss any; nor has the server to send back one's own. */
function missingOf({ isComplete, next, publisher }: BroadcastSlot, published: readonly number[]): number {
  if (!isComplete) return 0;
  let missing = 0;
  for (let i = 0; i < next.length; i++) {
    const isOwn = i === publisher && next[i] === 0;
    if (!isOwn) missing += Math.max(0, (published[i] ?? 0) - next[i]!);
  }
  return missing;
}
