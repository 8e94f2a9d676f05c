import { Opcode } from '../../../protocol/opcode.ts';
import {
  isBroadcast,
  microsecondsSince,
  publisherOf,
  sequenceOf,
  TIME_MODULO,
  timeOf,
} from '../../broadcast-message.ts';
import { Counter } from '../../counters.ts';
import { sharedMicroseconds } from '../../shared-clock.ts';
import { shareOf } from '../../thread-message.ts';
import type { Scenario, ScenarioHost } from '../scenario.ts';
import { Acknowledger } from './acknowledger.ts';
import { clientFrame, connectFrame, errorOf, SUBSCRIPTION_NAME, versionOf } from './client-frame.ts';
import { Destinations, roleOf } from './destinations.ts';
import { FrameReader } from './frame-reader.ts';
import { MessageBatch } from './message-batch.ts';
import type { ReceivedFrame } from './received-frame.ts';
import { RunTally } from './run-tally.ts';
import { SendWriter, TEMPORARY } from './send-writer.ts';
import { StompSlot } from './stomp-slot.ts';

/** Bytes of messages that are written at once at most, unless one is longer. */
const LARGEST_WRITE = 64 * 1024;
/** Some brokers give no RECEIPT for SUBSCRIBE: after so many ms it counts as done. */
const RECEIPT_WAIT = 1000;
/** How often publishers look at what consumers of other threads have got, in ms. */
const POLL = 1;

const SUBSCRIPTION = Buffer.from('subscription');
const DESTINATION = Buffer.from('destination');
const MESSAGE_ID = Buffer.from('message-id');
const REDELIVERED = Buffer.from('redelivered');
const TRUE = Buffer.from('true');
const RECEIPT_ID = Buffer.from('receipt-id');

/** The receipt of SUBSCRIBE. */
const SUBSCRIPTION_ID = Buffer.from(SUBSCRIPTION_NAME);
const SUBSCRIBED = 'subscribed';

/**
 * Stomp: publishers send to topics and queues of a STOMP broker in turn. Every subscriber of a topic must get every message
 * once, those of a publisher in order. Of the consumers of a queue one must get each message, and acknowledges it.
 *
 * A publisher has so many messages in flight as it is allowed: one of a topic is settled when the first subscriber has got it,
 * one of a queue when a consumer has. Threads tell each other by the {@link RunTally}.
 */
export class StompScenario implements Scenario<StompSlot> {
  readonly keepsConnections = true;
  readonly greets = true;
  readonly #host: ScenarioHost<StompSlot>;
  readonly #tally: RunTally;
  readonly #destinations: Destinations;
  readonly #names: readonly Buffer[];
  readonly #batch: MessageBatch;
  readonly #acknowledger: Acknowledger;
  readonly #sends: SendWriter;
  readonly #isPaced: boolean;
  /** What each publisher is to publish; null: as much as the time allows. */
  readonly #amounts: readonly number[] | null;
  readonly #own: StompSlot[] = [];
  /** Publishers of this thread that may send again after the chunk that is being read; by number. */
  readonly #byNumber: (StompSlot | undefined)[] = [];
  readonly #pending: StompSlot[] = [];
  #isRunning = false;
  #isFinished = false;
  #turn = 0;
  /** µs of the shared clock when the chunk came that is being read. */
  #now = 0;

  constructor(host: ScenarioHost<StompSlot>, memory: SharedArrayBuffer) {
    const { plan, share } = host;
    this.#host = host;
    this.#tally = new RunTally(plan.publishers, plan.pipelining, memory);
    this.#destinations = new Destinations(plan, this.#tally.run);
    this.#names = this.#destinations.names.map((name) => Buffer.from(name));
    this.#batch = new MessageBatch(plan.binary ? Opcode.BINARY : Opcode.TEXT);
    this.#sends = new SendWriter(host, this.#destinations, this.#batch);
    this.#acknowledger = new Acknowledger(plan.ackMode, this.#batch, host.counters);
    this.#isPaced = plan.connectionRate + plan.overallRate > 0;
    this.#amounts =
      share.amount === 0
        ? null
        : Array.from({ length: plan.publishers }, (_, i) => shareOf(plan.amount, plan.publishers, i).size);
  }

  createSlot(index: number): StompSlot {
    const { plan, share } = this.#host;
    const role = roleOf(plan, this.#destinations, share.firstConnection + index);
    const firstNumber = role.name === 'subscriber' ? role.destination : 0;
    const slot = new StompSlot(index, role, plan.publishers, firstNumber);
    if (role.name === 'publisher') {
      this.#own.push(slot);
      this.#byNumber[role.number] = slot;
    }
    return slot;
  }

  start(now: number): void {
    this.#isRunning = true;
    for (const slot of this.#own) slot.progressAt = now;
    if (!this.#isPaced) this.#publishAll(now);
    if (this.#host.plan.workers > 1) this.#poll();
  }

  stop(): number[] {
    this.#isRunning = false;
    return Array.from({ length: this.#host.plan.publishers }, (_, i) => this.#byNumber[i]?.published ?? 0);
  }

  isDrained(published: readonly number[]): boolean {
    return (
      this.#own.every(({ receipts }) => receipts.size === 0) &&
      this.#host.slots.every((slot) => this.#missingOf(slot, published) === 0) &&
      this.#unconsumed(published) === 0
    );
  }

  finish(published: readonly number[]): void {
    const { counters, share } = this.#host;
    let lost = 0;
    for (const slot of this.#host.slots) lost += this.#missingOf(slot, published);
    // What the queues have lost is known to all threads: one of them counts it.
    if (share.firstConnection === 0) lost += this.#unconsumed(published);
    counters.add(Counter.LOST, lost);
    for (const { receipts } of this.#own) {
      for (let i = receipts.size; i > 0; i--) this.#host.countError('a RECEIPT for a SEND never came');
    }
  }

  tick(now: number): void {
    for (const slot of this.#host.slots) this.#checkSubscribed(slot, now);
    if (!this.#isRunning) return;
    for (const slot of this.#own) this.#checkProgress(slot, now);
    const amounts = this.#amounts;
    if (amounts === null || this.#isFinished) return;
    const isSent = this.#own.every(
      ({ role, published }) => role.name === 'publisher' && published >= amounts[role.number]!,
    );
    if (!isSent || !this.isDrained(amounts)) return;
    this.#isFinished = true;
    this.#host.finish();
  }

  sendDue(count: number, now: number): void {
    const own = this.#own;
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

  onOpen(slot: StompSlot): void {
    const reader = new FrameReader((frame) => {
      this.#onFrame(slot, frame);
    });
    slot.begin(reader);
    this.#batch.addText(connectFrame(this.#host.plan));
    slot.connection!.send(this.#batch.take());
  }

  onBytes(slot: StompSlot, bytes: Buffer, start: number, end: number): void {
    const now = performance.now();
    this.#now = sharedMicroseconds(now) % TIME_MODULO;
    slot.connection!.receive(bytes, start, end);
    this.#acknowledger.flush(slot);
    if (this.#batch.length > 0) {
      const acknowledgements = this.#batch.take();
      if (slot.connection?.isOpen === true) slot.connection.send(acknowledgements);
    }
    for (const publisher of this.#pending) if (this.#isRunning) this.#publish(publisher, now);
    this.#pending.length = 0;
  }

  onMessage(slot: StompSlot, bytes: Uint8Array, offset: number, length: number): void {
    const problem = slot.reader?.push(bytes, offset, offset + length) ?? '';
    if (problem === '') return;
    this.#host.counters.add(Counter.MISMATCHES, 1);
    slot.connection?.end(`the broker broke the STOMP protocol: ${problem}`);
  }

  onLost(slot: StompSlot): boolean {
    slot.isComplete = false;
    // Whoever would have answered is gone.
    slot.receipts.clear();
    slot.firstAwaited = slot.published;
    return false;
  }

  onFailed(): void {}

  // What the broker sends.

  #onFrame(slot: StompSlot, frame: ReceivedFrame): void {
    if (frame.command === 'MESSAGE') this.#onDelivery(slot, frame);
    else if (frame.command === 'RECEIPT') this.#onReceipt(slot, frame.text(RECEIPT_ID));
    else if (frame.command === 'ERROR') slot.connection?.end(errorOf(frame));
    else if (slot.version === '') this.#onConnected(slot, versionOf(frame));
    else this.#host.counters.add(Counter.MISMATCHES, 1);
  }

  #onConnected(slot: StompSlot, version: string): void {
    slot.version = version;
    const { role } = slot;
    if (role.name === 'publisher') {
      this.#ready(slot);
      return;
    }
    const isQueue = role.name === 'consumer';
    const frame = clientFrame('SUBSCRIBE', [
      ['id', SUBSCRIPTION_NAME],
      ['destination', this.#destinations.names[role.destination]!],
      ['ack', isQueue ? this.#host.plan.ackMode : 'auto'],
      ['receipt', SUBSCRIBED],
      ...(isQueue ? TEMPORARY.map((line) => line.split(':') as [string, string]) : []),
    ]);
    slot.subscribedAt = performance.now();
    this.#batch.addText(frame);
  }

  #onReceipt(slot: StompSlot, id: string): void {
    if (id === SUBSCRIBED) {
      if (slot.subscribedAt > 0) this.#ready(slot);
      return;
    }
    const number = Number(id);
    if (slot.receipts.delete(number)) {
      this.#host.counters.add(Counter.RECEIPTS, 1);
      this.#mayPublish(slot);
      return;
    }
    const isLate = Number.isInteger(number) && number >= 0 && number < slot.firstAwaited;
    if (!isLate) this.#host.counters.add(Counter.MISMATCHES, 1);
  }

  #ready(slot: StompSlot): void {
    slot.subscribedAt = 0;
    if (this.#isRunning) slot.isComplete = false;
    this.#host.ready(slot);
    if (this.#isRunning && slot.role.name === 'publisher') this.#mayPublish(slot);
  }

  #checkSubscribed(slot: StompSlot, now: number): void {
    if (slot.subscribedAt === 0 || now - slot.subscribedAt < RECEIPT_WAIT) return;
    if (slot.connection?.isOpen === true) this.#ready(slot);
  }

  #onDelivery(slot: StompSlot, frame: ReceivedFrame): void {
    const { counters, plan, run } = this.#host;
    const { role } = slot;
    const { bytes, bodyStart } = frame;
    const isOurs =
      role.name !== 'publisher' &&
      isBroadcast(bytes, bodyStart, frame.bodyEnd - bodyStart, plan.size, run) &&
      frame.has(SUBSCRIPTION, SUBSCRIPTION_ID) &&
      frame.has(DESTINATION, this.#names[role.destination]!) &&
      frame.find(MESSAGE_ID) >= 0;
    const publisher = isOurs ? publisherOf(bytes, bodyStart) : -1;
    const number = isOurs ? sequenceOf(bytes, bodyStart) : -1;
    // What is acknowledged although it is wrong is not delivered again and again.
    if (role.name === 'consumer') this.#acknowledger.acknowledge(slot, frame);
    if (!isOurs || publisher >= plan.publishers || number % this.#destinations.count !== role.destination) {
      counters.add(Counter.MISMATCHES, 1);
      return;
    }
    const isNew =
      role.name === 'consumer'
        ? this.#consume(slot, publisher, number, frame.has(REDELIVERED, TRUE))
        : this.#receive(slot, role.isFirst, publisher, number);
    if (!isNew) return;
    const latency = microsecondsSince(timeOf(bytes, bodyStart), this.#now);
    counters.add(Counter.MESSAGES, 1);
    counters.addToConnection(slot.index, 1, latency / 1000);
    this.#host.recordLatency(latency / 1000, 1);
    const own = this.#byNumber[publisher];
    if (own !== undefined) this.#mayPublish(own);
  }

  /** A subscriber gets a message. Returns whether it is one that it had not, and no later one, as it must be. */
  #receive(slot: StompSlot, isFirst: boolean, publisher: number, number: number): boolean {
    const expected = slot.next[publisher]!;
    if (number < expected) {
      this.#host.counters.add(Counter.MISMATCHES, 1);
      return false;
    }
    const passed = (number - expected) / this.#destinations.count;
    // Who came late does not know what was before.
    if (slot.isComplete) this.#host.counters.add(Counter.LOST, passed);
    slot.next[publisher] = number + this.#destinations.count;
    if (isFirst) this.#tally.witness(publisher, passed + 1);
    return true;
  }

  /**
   * A consumer gets a message. Returns whether nobody had it. It must be so, and this consumer must not have had a later
   * one, unless the broker says that it is delivered again.
   */
  #consume(slot: StompSlot, publisher: number, number: number, isRedelivered: boolean): boolean {
    const { counters } = this.#host;
    const isInOrder = number >= slot.next[publisher]!;
    if (isInOrder) slot.next[publisher] = number + 1;
    if (isRedelivered) counters.add(Counter.REDELIVERED, 1);
    const isFirst = this.#tally.consume(publisher, number);
    if (isFirst) counters.add(Counter.CONSUMED, 1);
    if (!isRedelivered && !(isFirst && isInOrder)) counters.add(Counter.MISMATCHES, 1);
    return isFirst;
  }

  #mayPublish(slot: StompSlot): void {
    if (!this.#pending.includes(slot)) this.#pending.push(slot);
  }

  // Publishing.

  #publishAll(now: number): void {
    for (const slot of this.#own) this.#publish(slot, now);
  }

  #poll(): void {
    if (!this.#isRunning) return;
    this.#publishAll(performance.now());
    setTimeout(() => {
      this.#poll();
    }, POLL);
  }

  #inFlight(slot: StompSlot): number {
    const { role, published, abandoned, receipts } = slot;
    const settled = role.name === 'publisher' ? this.#tally.settled(role.number) : 0;
    return Math.max(published - abandoned - settled, receipts.size);
  }

  /** What is not delivered in time, or not confirmed, is given up, and others take its place. */
  #checkProgress(slot: StompSlot, now: number): void {
    const { role, published, receipts, abandoned } = slot;
    if (role.name !== 'publisher') return;
    const settled = this.#tally.settled(role.number);
    const progress = settled + published - receipts.size;
    const { timeout } = this.#host.plan;
    if (progress !== slot.progress || this.#inFlight(slot) <= 0) {
      slot.progress = progress;
      slot.progressAt = now;
    } else if (now - slot.progressAt > timeout * 1000) {
      this.#host.counters.add(Counter.TIMEOUTS, 1);
      const what = published - abandoned > settled ? 'a message was not delivered' : 'no RECEIPT came';
      this.#host.countError(`${what} within ${timeout} s`);
      slot.abandoned = published - settled;
      slot.firstAwaited = published;
      receipts.clear();
      slot.progressAt = now;
      this.#publish(slot, now);
    }
  }

  /** Publishes as many messages as may be in flight, or as the rate asks for. */
  #publish(slot: StompSlot, now: number): void {
    const { role, connection } = slot;
    if (role.name !== 'publisher' || connection?.isOpen !== true || !slot.isReady) return;
    const amount = this.#amounts?.[role.number] ?? Number.POSITIVE_INFINITY;
    const { pipelining } = this.#host.plan;
    const room = Math.min(pipelining, pipelining - this.#inFlight(slot));
    const count = Math.min(room, amount - slot.published, this.#isPaced ? slot.owed : room);
    if (count <= 0) return;
    if (this.#isPaced) slot.owed -= count;
    this.#host.counters.add(Counter.SENT, count);
    const time = sharedMicroseconds(now);
    for (let i = 0; i < count; i++) {
      this.#sends.add(slot, role.number, time);
      if (this.#batch.length > LARGEST_WRITE) connection.send(this.#batch.take());
    }
    if (this.#batch.length > 0) connection.send(this.#batch.take());
  }

  // What is missing.

  /** Messages that a subscriber has not got. One that came late cannot miss any. */
  #missingOf({ role, isComplete, next }: StompSlot, published: readonly number[]): number {
    if (role.name !== 'subscriber' || !isComplete) return 0;
    let missing = 0;
    for (let i = 0; i < next.length; i++) {
      const end = this.#destinations.nextTo(role.destination, published[i] ?? 0);
      missing += Math.max(0, end - next[i]!) / this.#destinations.count;
    }
    return missing;
  }

  /** Messages that no consumer has got. */
  #unconsumed(published: readonly number[]): number {
    let missing = 0;
    for (let i = 0; i < published.length; i++) {
      missing += Math.max(0, this.#destinations.queued(published[i]!) - this.#tally.consumed(i));
    }
    return missing;
  }
}
