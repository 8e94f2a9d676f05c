import { randomInt } from 'node:crypto';
import type { Participant } from '../../../bus/participant.ts';
import { RecordKind } from '../../../bus/record-kinds.ts';
import { reportError } from '../../../error-report.ts';
import { MillraceError } from '../../../errors.ts';
import { StompError, StompFault } from '../../codec/frame.ts';
import type { Outcome } from '../../queue/queue.ts';
import { Batch, type Held, type Sender, type Subscriber } from './batch.ts';
import { NO_EPOCH, type QueueOwner } from './queue-owner.ts';
import { ANSWER_HEADER, Status, Verdict } from './queue-records.ts';

/** Bytes from which on a batch takes no more. */
const BATCH_SIZE = 256 * 1024;
/** Bytes of messages that may wait for one owner. */
const MAX_WAITING = 32 * 1024 * 1024;
/** Ms that messages wait for an owner that is not there, and in which an answer has to come. */
const TIMEOUT = 10_000;
const UNKNOWN =
  'the thread of this queue ended or does not answer; whether the message was stored is not known';
const NO_STATUSES = new Uint8Array(0);
/** Ms from one look whether messages have waited for too long to the next, while the owner is not there. */
const DEADLINE_INTERVAL = 250;
/** Ms until a batch that was refused is tried again. */
const RETRY_INTERVAL = 10;

/**
 * Outbox: what one thread has to tell one owner of queues. What is to be done waits while a batch is under way, so the more
 * there is the fewer records it takes; order is kept. Operations of an owner in the same thread are done at once.
 *
 * What is done when the owner loses what it had: what consumers here have is told to it anew, before all else.
 */
export class Outbox {
  readonly owner: number;
  readonly #participant: Participant;
  readonly #run: number;
  readonly #local: QueueOwner | null;
  /** Those that the owner knows, or will; they are told to it again when it has lost them. */
  readonly #subscribers = new Map<number, Subscriber>();
  /** The first one is under way, or the next to be. */
  #batches: Batch[] = [];
  #isUnderWay = false;
  #isScheduled = false;
  #retry: NodeJS.Timeout | null = null;
  #waitingBytes = 0;
  #epoch = NO_EPOCH;
  #lastBatch = randomInt(1, 2 ** 32);

  /** @param local the owner of this thread; null: it owns nothing */
  constructor(owner: number, participant: Participant, run: number, local: QueueOwner | null) {
    this.owner = owner;
    this.#participant = participant;
    this.#run = run;
    this.#local = local;
  }

  /**
   * Stores a message. The promise, if any, is settled when that was done, or the sender was told that it could not be.
   *
   * @throws StompError it could not be done, as is known at once
   */
  send(key: string, payload: Uint8Array, sender: Sender): Promise<void> | undefined {
    const local = this.#atHand();
    if (local !== null) {
      const status = local.send(key, payload);
      local.counts.update();
      if (status !== Status.DONE) throw refusalOf(status);
      sender.done?.();
      return undefined;
    }
    if (this.#waitingBytes + payload.length > MAX_WAITING && this.#waitingBytes > 0)
      throw unavailable('too much waits for this queue already');
    this.#waitingBytes += payload.length;
    return this.#open().send(key, payload, sender);
  }

  /** @throws StompError as `send` */
  subscribe(subscriber: Subscriber): Promise<void> | undefined {
    this.#subscribers.set(subscriber.number, subscriber);
    const local = this.#atHand();
    if (local === null) return this.#open().subscribe(subscriber);
    const { number, window, key } = subscriber;
    const status = local.subscribe(local.self, number, window, key);
    local.counts.update();
    if (status !== Status.DONE) {
      this.#subscribers.delete(number);
      throw refusalOf(status);
    }
    return undefined;
  }

  /**
   * @param sent what its client was sent and did not settle
   * @param unused what it has beside
   */
  unsubscribe(
    subscriber: Subscriber,
    sent: readonly Held[],
    unused: readonly Held[],
  ): Promise<void> | undefined {
    const local = this.#atHand();
    if (local === null) return this.#open().unsubscribe(subscriber, sent, unused);
    this.#subscribers.delete(subscriber.number);
    local.unsubscribe(local.self, subscriber.number, new Set(sent.map(({ number }) => number)));
    local.counts.update();
    return undefined;
  }

  settle(subscriber: Subscriber, outcome: Outcome, held: readonly Held[]): Promise<void> | undefined {
    const local = this.#atHand();
    if (local === null) return this.#open().settle(subscriber, outcome, held);
    local.settle(
      local.self,
      subscriber.number,
      outcome,
      held.map(({ number }) => number),
    );
    local.counts.update();
    return undefined;
  }

  /** The owner says of which epoch it is. */
  onEpoch(epoch: number): void {
    if (epoch === this.#epoch || this.#subscribers.size === 0) return;
    // Its answer to any batch of another epoch is what has all told anew.
    this.#open();
  }

  /** The owner is there: maybe another one, that does not know what is here, or one that does not know this thread. */
  onUp(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    this.#open();
    this.#schedule();
  }

  /** Messages that were not stored yet and are nobody's but this thread's, to be handed over; they are forgotten here. */
  takeUnowned(): { key: string; payload: Uint8Array }[] {
    return this.#batches.flatMap((batch) => batch.takeUnowned());
  }

  /** The owner, if it is in this thread and nothing waits for it. */
  #atHand(): QueueOwner | null {
    if (this.#local === null || this.owner !== this.#participant.id || this.#batches.length > 0) return null;
    return this.#local.isOpen ? this.#local : null;
  }

  /** The batch that takes more. */
  #open(): Batch {
    const last = this.#batches.at(-1);
    if (last !== undefined && last.number === 0 && last.length < BATCH_SIZE) return last;
    const batch = new Batch(performance.now() + TIMEOUT);
    this.#batches.push(batch);
    this.#schedule();
    return batch;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isUnderWay || this.#retry !== null) return;
    this.#isScheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isScheduled = false;
    const batch = this.#batches[0];
    if (batch === undefined || this.#isUnderWay) return;
    if (!this.#participant.isUp(this.owner)) {
      // 'up' comes when it is there again.
      this.#later(DEADLINE_INTERVAL);
      return;
    }
    if (batch.number === 0) {
      this.#lastBatch = nextNumber(this.#lastBatch);
      batch.number = this.#lastBatch;
    }
    this.#isUnderWay = true;
    const request = batch.request(this.#run, this.#epoch);
    this.#participant.ask(this.owner, RecordKind.QUEUE, request, { timeout: TIMEOUT }).then(
      (answer) => {
        this.#isUnderWay = false;
        this.#onAnswer(batch, Buffer.from(answer));
      },
      (error: unknown) => {
        this.#isUnderWay = false;
        this.#onFailure(batch, error);
      },
    );
  };

  #onAnswer(batch: Batch, answer: Buffer): void {
    this.#epoch = answer.readUInt32LE(1);
    if (answer[0] === Verdict.OTHER_EPOCH) {
      this.#tellAnew();
    } else {
      this.#batches.shift();
      this.#waitingBytes -= batch.sentBytes;
      for (const number of batch.ended) this.#subscribers.delete(number);
      for (const subscriber of batch.finish(answer.subarray(ANSWER_HEADER), refusalOf))
        this.#subscribers.delete(subscriber.number);
    }
    if (this.#batches.length > 0) this.#flush();
  }

  #onFailure(batch: Batch, error: unknown): void {
    const code = error instanceof MillraceError ? error.code : undefined;
    if (code === 'MILLRACE_PEER_GONE') {
      // What consumers have is told to the next one as it is then.
      if (batch.isRepetition) this.#batches.shift();
      else this.#failSends(batch, UNKNOWN);
    } else if (code !== 'MILLRACE_ASK_TIMEOUT' && code !== 'MILLRACE_ASK_REFUSED') {
      reportError('the owner of queues in another thread', error);
      this.#failSends(batch, 'the queue failed');
      this.#batches.shift();
      batch.finish(NO_STATUSES, refusalOf);
    }
    // Otherwise the same batch comes again: the owner does none that it has done.
    this.#later(RETRY_INTERVAL);
  }

  /** Tries again in a moment. What has waited for too long fails. */
  #later(ms: number): void {
    const now = performance.now();
    for (const batch of this.#batches) {
      if (now < batch.deadline) continue;
      this.#failSends(batch, batch.number === 0 ? 'the thread of this queue is not there' : UNKNOWN);
      for (const subscriber of batch.failSubscribers(unavailable('the thread of this queue is not there')))
        this.#subscribers.delete(subscriber.number);
    }
    if (ms === DEADLINE_INTERVAL && !this.#batches.some(({ canFail }) => canFail)) return;
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      if (this.#batches.length > 0) this.#schedule();
    }, ms);
  }

  /** The rest of the batch is another one from here on. */
  #failSends(batch: Batch, why: string): void {
    this.#waitingBytes -= batch.sentBytes;
    batch.failSends(unavailable(why));
  }

  /** The owner does not have what it had, or never had anything: it is told what consumers there are, and what they have. */
  #tellAnew(): void {
    if (this.#batches[0]?.isRepetition === true) this.#batches.shift();
    const batch = new Batch(Number.POSITIVE_INFINITY);
    batch.isRepetition = true;
    const pending = new Map<Subscriber, Held[]>();
    for (const one of this.#batches) one.collectHeld(pending);
    for (const subscriber of this.#subscribers.values()) {
      void batch.subscribe(subscriber);
      for (const held of pending.get(subscriber) ?? []) batch.hold(subscriber, held);
      for (const held of subscriber.held()) batch.hold(subscriber, held);
    }
    this.#batches.unshift(batch);
  }
}

function nextNumber(number: number): number {
  return number === 2 ** 32 - 1 ? 1 : number + 1;
}

export function unavailable(why: string): StompError {
  return new StompError(StompFault.UNAVAILABLE, why);
}

/** What a sender or subscriber is told. */
function refusalOf(status: Status): StompError {
  if (status === Status.QUEUE_FULL) return new StompError(StompFault.LIMIT, 'the queue is full');
  if (status === Status.MEMORY_FULL)
    return new StompError(StompFault.LIMIT, 'there is no room for more messages in queues');
  return new StompError(StompFault.LIMIT, 'there are too many queues');
}
