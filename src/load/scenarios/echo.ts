import { Opcode } from '../../protocol/opcode.ts';
import { Counter } from '../counters.ts';
import { rateOf, sendersOf } from '../options.ts';
import { payloadsOf } from '../payloads.ts';
import { SentTimes } from '../sent-times.ts';
import { EchoTraffic } from '../traffic.ts';
import { type Scenario, type ScenarioHost, Slot } from './scenario.ts';

/** A rate that could not be kept is made up for over so much time, in s; what is due before that is left out. */
const CATCH_UP = 0.01;

/** One connection of the scenario echo. */
export class EchoSlot extends Slot {
  /** Messages without a reply. */
  readonly sent: SentTimes;
  /** Place in the period of the next message to send, and of the next reply. */
  sending = 0;
  receiving = 0;
  /** Bytes of that reply that have come and were as expected, while replies are compared as they come. */
  partial = 0;
  /** Whether the bytes that come are compared with the replies, or go through the protocol. */
  isComparing = true;
  /** Messages that a rate asks for and that are not sent yet. */
  owed = 0;

  constructor(index: number, inFlight: number) {
    super(index);
    this.sent = new SentTimes(inFlight);
  }
}

/**
 * Echo: keeps so many messages in flight on each connection; every reply must be its message, byte by byte and in
 * order.
 *
 * A chunk that continues the expected replies, byte by byte, needs no parser: one comparison judges all of it. Any
 * other chunk (a ping in between, a message in fragments, a wrong reply) goes through the WebSocket protocol, with the
 * start of the reply that was compared already, until a message ends where a chunk does.
 */
export class EchoScenario implements Scenario<EchoSlot> {
  readonly keepsConnections = true;
  readonly greets = false;
  readonly #host: ScenarioHost<EchoSlot>;
  readonly traffic: EchoTraffic;
  readonly #inFlight: number;
  readonly #isPaced: boolean;
  readonly #maxOwed: number;
  readonly #canCompare: boolean;
  /** Messages not sent yet of the amount asked for. */
  #left: number;
  #isRunning = false;
  #isFinished = false;
  /** Whose turn it is when the rate asks for messages. */
  #turn = 0;
  /** Messages without a reply, on all connections. */
  #outstanding = 0;
  /** Replies complete in the chunk that is being read. */
  #completed = 0;

  constructor(host: ScenarioHost<EchoSlot>) {
    const { plan, share } = host;
    this.#host = host;
    this.#inFlight = plan.pipelining;
    const payloads =
      plan.message === null
        ? payloadsOf(plan.size, plan.deflate ? 'records' : plan.binary ? 'bytes' : 'text')
        : [plan.message];
    this.traffic = new EchoTraffic(payloads, plan.binary, plan.pipelining, plan.deflate);
    this.#isPaced = share.rate > 0;
    this.#maxOwed = Math.max(1, Math.ceil((rateOf(plan) / sendersOf(plan)) * CATCH_UP));
    this.#left = share.amount > 0 ? share.amount : Number.POSITIVE_INFINITY;
    // How a server compresses is its choice: those replies go through the protocol.
    this.#canCompare = !plan.deflate;
  }

  createSlot(index: number): EchoSlot {
    return new EchoSlot(index, this.#inFlight);
  }

  start(now: number): void {
    this.#isRunning = true;
    if (this.#isPaced) return;
    for (const slot of this.#host.slots)
      if (slot.connection?.isOpen === true) this.#send(slot, this.#inFlight, now);
  }

  stop(): number[] {
    this.#isRunning = false;
    return [];
  }

  isDrained(): boolean {
    return this.#outstanding === 0;
  }

  finish(): void {
    this.#host.counters.add(Counter.LOST, this.#outstanding);
  }

  tick(now: number): void {
    const limit = this.#host.plan.timeout * 1000;
    for (const { sent, connection } of this.#host.slots) {
      if (sent.outstanding === 0 || now - sent.oldest < limit) continue;
      this.#host.counters.add(Counter.TIMEOUTS, 1);
      connection?.destroy(`no reply within ${this.#host.plan.timeout} s`);
    }
    if (this.#left === 0) this.#finishIfDone();
  }

  sendDue(count: number, now: number): void {
    const { slots } = this.#host;
    if (slots.length === 0) return;
    const each = Math.floor(count / slots.length);
    const more = count % slots.length;
    for (let i = 0; i < slots.length; i++) {
      const isNext = (i - this.#turn + slots.length) % slots.length < more;
      const due = each + (isNext ? 1 : 0);
      if (due > 0) this.#owe(slots[i]!, due, now);
    }
    this.#turn = (this.#turn + more) % slots.length;
  }

  onOpen(slot: EchoSlot): void {
    slot.sending = 0;
    slot.receiving = 0;
    slot.partial = 0;
    slot.isComparing = this.#canCompare;
    slot.owed = 0;
    if (this.#isRunning && !this.#isPaced) this.#send(slot, this.#inFlight, performance.now());
  }

  onBytes(slot: EchoSlot, bytes: Buffer, start: number, end: number): void {
    const connection = slot.connection!;
    if (slot.isComparing && this.#compare(slot, bytes, start, end)) {
      this.#replied(slot);
      return;
    }
    if (slot.isComparing) {
      slot.isComparing = false;
      // The parser has not seen the start of this reply, which is known byte by byte.
      const at = slot.receiving * this.traffic.replyLength;
      if (slot.partial > 0) connection.receive(this.traffic.replies, at, at + slot.partial);
      slot.partial = 0;
    }
    connection.receive(bytes, start, end);
    const { remaining, spillLength, message } = connection.protocol;
    slot.isComparing = this.#canCompare && remaining === 0 && spillLength === 0 && message.opcode === 0;
    this.#replied(slot);
  }

  onMessage(slot: EchoSlot, bytes: Uint8Array, offset: number, length: number, isBinary: boolean): void {
    const { period, opcode } = this.traffic;
    const isKind = isBinary === (opcode === Opcode.BINARY);
    const expected = slot.sent.outstanding - this.#completed;
    let skipped = 0;
    if (expected === 0 || !isKind || !this.traffic.isPayload(slot.receiving, bytes, offset, length)) {
      this.#host.counters.add(Counter.MISMATCHES, 1);
      skipped = isKind ? this.#distance(slot, bytes, offset, length) : 0;
      // One that is not asked for, or comes again: it answers nothing. Else replies were left out, or one is damaged.
      if (skipped >= expected) return;
    }
    if (skipped > 0) this.#skip(slot, skipped);
    slot.receiving = (slot.receiving + 1) % period;
    this.#completed++;
  }

  onLost(slot: EchoSlot): boolean {
    // The messages without a reply go to whoever sends next.
    this.#left += slot.sent.outstanding;
    this.#outstanding -= slot.sent.outstanding;
    slot.sent.clear();
    return false;
  }

  onFailed(): void {
    // Nothing was sent.
  }

  /** Takes the chunk if it continues the replies, none of which is more than asked for. */
  #compare(slot: EchoSlot, bytes: Buffer, start: number, end: number): boolean {
    const { replyLength, period } = this.traffic;
    const arrived = slot.partial + end - start;
    if (arrived > slot.sent.outstanding * replyLength) return false;
    if (!this.traffic.continuesReplies(slot.receiving, slot.partial, bytes, start, end)) return false;
    const completed = arrived < replyLength ? 0 : Math.floor(arrived / replyLength);
    slot.partial = arrived - completed * replyLength;
    slot.receiving = (slot.receiving + completed) % period;
    this.#completed = completed;
    return true;
  }

  /** How many replies behind the next one this one belongs; 0: nowhere, so it is the next one, damaged. */
  #distance(slot: EchoSlot, bytes: Uint8Array, offset: number, length: number): number {
    const { period } = this.traffic;
    for (let i = 1; i < period; i++) {
      if (this.traffic.isPayload((slot.receiving + i) % period, bytes, offset, length)) return i;
    }
    return 0;
  }

  /** Replies that were left out: they do not come any more. */
  #skip(slot: EchoSlot, count: number): void {
    this.#countReplies(slot);
    this.#host.counters.add(Counter.LOST, count);
    slot.receiving = (slot.receiving + count) % this.traffic.period;
    this.#outstanding -= count;
    for (let left = count; left > 0; ) {
      const part = Math.min(left, slot.sent.oldestCount);
      slot.sent.remove(part);
      left -= part;
    }
  }

  /** A chunk was read: counts its replies and sends as many messages. */
  #replied(slot: EchoSlot): void {
    const completed = this.#completed;
    if (completed === 0) return;
    const now = this.#countReplies(slot);
    if (!this.#isRunning) return;
    this.#send(slot, this.#isPaced ? slot.owed : this.#inFlight, now);
    if (this.#left === 0) this.#finishIfDone();
  }

  /** Counts the replies of the chunk so far. */
  #countReplies(slot: EchoSlot): number {
    const now = performance.now();
    const completed = this.#completed;
    this.#completed = 0;
    this.#host.counters.add(Counter.MESSAGES, completed);
    this.#remove(slot, completed, now);
    return now;
  }

  /** The oldest messages in flight have come back. */
  #remove(slot: EchoSlot, count: number, now: number): void {
    const { sent } = slot;
    let latencies = 0;
    for (let left = count; left > 0; ) {
      const part = Math.min(left, sent.oldestCount);
      const latency = now - sent.oldest;
      this.#host.recordLatency(latency, part);
      latencies += latency * part;
      sent.remove(part);
      left -= part;
    }
    this.#outstanding -= count;
    this.#host.counters.addToConnection(slot.index, count, latencies);
  }

  #owe(slot: EchoSlot, due: number, now: number): void {
    const isOpen = slot.connection?.isOpen === true;
    const most = isOpen ? Math.max(this.#maxOwed, due) : 0;
    const missed = Math.max(0, slot.owed + due - most);
    slot.owed += due - missed;
    this.#host.counters.add(Counter.MISSED, missed);
    if (isOpen) this.#send(slot, slot.owed, now);
  }

  /** Sends messages, as far as their number in flight and the amount allow: in one write unless they are large. */
  #send(slot: EchoSlot, wanted: number, now: number): void {
    const { batch, period } = this.traffic;
    const count = Math.min(wanted, this.#inFlight - slot.sent.outstanding, this.#left);
    if (count <= 0) return;
    this.#left -= count;
    if (this.#isPaced) slot.owed -= count;
    slot.sent.push(now, count);
    this.#outstanding += count;
    this.#host.counters.add(Counter.SENT, count);
    for (let left = count; left > 0; ) {
      const part = Math.min(left, batch);
      slot.connection!.send(this.traffic.requests(slot.sending, part));
      slot.sending = (slot.sending + part) % period;
      left -= part;
    }
  }

  #finishIfDone(): void {
    if (this.#isFinished || !this.isDrained()) return;
    this.#isFinished = true;
    this.#host.finish();
  }
}
