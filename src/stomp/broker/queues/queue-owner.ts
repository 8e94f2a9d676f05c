import { randomInt } from 'node:crypto';
import type { Participant, Peer } from '../../../bus/participant.ts';
import { RecordKind } from '../../../bus/record-kinds.ts';
import { SendStatus } from '../../../bus/send-status.ts';
import { monotonicTime } from '../../../metrics/monotonic-time.ts';
import { type DeadLetterReason, Outcome, Queue, type QueuePort } from '../../queue/queue.ts';
import { QueuedMessage } from '../../queue/queued-message.ts';
import { withHeaders } from '../message-payload.ts';
import { RecordReader } from '../record-buffer.ts';
import { OwnerCounts } from './owner-counts.ts';
import { packOwner, unpackOwner } from './owner-state.ts';
import { destinationOf, hostOf, type QueueOptions, queueKey } from './queue-options.ts';
import { OwnedConsumer, QueuePeer } from './queue-peer.ts';
import { ANSWER_HEADER, Operation, OwnerRecord, Status, Verdict } from './queue-records.ts';

/** Bytes of a record with messages for a thread, from which on it is sent off. */
const RECORD_SIZE = 64 * 1024;
/** Ms until a thread that did not keep up is tried again. */
const RETRY_INTERVAL = 5;
/** Ms from one look for what has waited for too long to the next. */
const EXPIRY_INTERVAL = 500;
/** An epoch that nobody has. */
export const NO_EPOCH = 0;

/** Gets the messages for consumers of the owner's own thread. */
export interface LocalConsumers {
  onMessage(consumer: number, message: QueuedMessage): void;
}

/** A dead letter on its way to its queue, which any thread may own. */
export interface Letter {
  readonly key: string;
  readonly payload: Uint8Array;
}

export interface Letters {
  send(letter: Letter): void;
  /** Those that were not stored yet: the successor of this thread sends them. */
  take(): Letter[];
}

/**
 * QueueOwner: the queues that one thread owns. It does what batches of other threads say, and sends messages to the threads
 * of their consumers, many in one record.
 */
export class QueueOwner implements QueuePort {
  readonly queues = new Map<string, Queue>();
  readonly peers = new Map<number, QueuePeer>();
  /** NO_EPOCH: it has not begun, or has left all to a successor. */
  epoch = NO_EPOCH;
  /** Number of the last message. */
  lastNumber = 0;
  readonly counts: OwnerCounts;
  readonly #participant: Participant;
  readonly #run: number;
  readonly #options: QueueOptions;
  readonly #local: LocalConsumers;
  readonly letters: Letters;
  readonly #waiting = new Set<QueuePeer>();
  #flushing = false;
  #retry: NodeJS.Timeout | null = null;
  #expiry: NodeJS.Timeout | null = null;

  /**
   * @param run of the thread, as one that has clients
   * @param counters of the thread
   */
  constructor(
    participant: Participant,
    run: number,
    counters: Float64Array,
    options: QueueOptions,
    local: LocalConsumers,
    letters: Letters,
  ) {
    this.#participant = participant;
    this.#run = run;
    this.#options = options;
    this.#local = local;
    this.letters = letters;
    this.counts = new OwnerCounts(counters);
    participant.answer(RecordKind.QUEUE, (request, from) => this.onRequest(request, from));
    participant.onPeer((peer, state) => {
      this.#onPeer(peer, state);
    });
    participant.keep('stomp-queues', {
      pack: () => this.#pack(),
      takeOver: (pieces) => {
        this.counts.begin();
        unpackOwner(this, pieces);
        this.#began();
      },
      startAnew: (why) => {
        this.#startAnew(why !== null);
      },
    });
  }

  get isOpen(): boolean {
    return this.epoch !== NO_EPOCH;
  }

  /** The own thread, as one that has clients. */
  get self(): QueuePeer {
    return this.peer(this.#participant.id, this.#run);
  }

  /** A batch of another thread; its bytes are the owner's. Returns the answer. */
  onRequest(request: Uint8Array, from: number): Uint8Array {
    const reader = new RecordReader(request);
    const run = reader.uint32();
    const epoch = reader.uint32();
    const batch = reader.uint32();
    const peer = this.peer(from, run);
    if (epoch !== this.epoch) return this.#answer(Verdict.OTHER_EPOCH, []);
    if (batch === peer.lastBatch) return peer.lastAnswer;
    const statuses: Status[] = [];
    this.#perform(reader, peer, statuses);
    this.counts.update();
    peer.lastBatch = batch;
    peer.lastAnswer = this.#answer(Verdict.DONE, statuses);
    return peer.lastAnswer;
  }

  #perform(reader: RecordReader, peer: QueuePeer, statuses: Status[]): void {
    let key = '';
    while (!reader.isAtEnd) {
      const operation = reader.uint8() as Operation;
      switch (operation) {
        case Operation.SEND:
        case Operation.SEND_MORE:
          if (operation === Operation.SEND) key = reader.text();
          statuses.push(this.send(key, reader.copy()));
          break;
        case Operation.SUBSCRIBE:
          statuses.push(this.subscribe(peer, reader.uint32(), reader.uint32(), reader.text()));
          break;
        case Operation.UNSUBSCRIBE:
          this.unsubscribe(peer, reader.uint32(), numbersOf(reader));
          break;
        case Operation.SETTLE: {
          const consumer = peer.consumers.get(reader.uint32());
          const outcome = reader.uint8() as Outcome;
          for (let rest = reader.uint32(); rest > 0; rest--)
            consumer?.queue.settle(consumer, reader.float64(), outcome);
          if (consumer !== undefined) this.#settled(consumer.queue);
          break;
        }
        case Operation.HELD:
          this.#held(peer, reader);
          break;
      }
    }
  }

  /** The thread of this number, in this run: what an earlier one had goes back. */
  peer(id: number, run: number): QueuePeer {
    const known = this.peers.get(id);
    if (known?.run === run) return known;
    if (known !== undefined) this.#forget(known);
    const peer = new QueuePeer(id, run);
    this.peers.set(id, peer);
    return peer;
  }

  // Operations. The own thread calls them without a batch.

  send(key: string, payload: Uint8Array): Status {
    const queue = this.#queue(key);
    if (queue === null) {
      this.counts.totals.refused++;
      return Status.TOO_MANY_QUEUES;
    }
    const now = monotonicTime();
    const message = new QueuedMessage(++this.lastNumber, payload, now);
    let status: Status = Status.DONE;
    if (this.counts.totals.bytes + message.cost > this.#options.maxQueueMemory) {
      this.counts.totals.refused++;
      status = Status.MEMORY_FULL;
    } else if (!queue.add(message, now)) {
      status = Status.QUEUE_FULL;
    }
    if (queue.isIdle) this.queues.delete(key);
    return status;
  }

  subscribe(peer: QueuePeer, number: number, window: number, key: string): Status {
    if (peer.consumers.has(number)) return Status.DONE;
    const queue = this.#queue(key);
    if (queue === null) return Status.TOO_MANY_QUEUES;
    const consumer = new OwnedConsumer(queue, peer, number, window);
    peer.consumers.set(number, consumer);
    queue.addConsumer(consumer);
    queue.dispatch(monotonicTime());
    return Status.DONE;
  }

  /** @param sent what its client was sent and did not settle */
  unsubscribe(peer: QueuePeer, number: number, sent: ReadonlySet<number>): void {
    const consumer = peer.consumers.get(number);
    if (consumer === undefined) return;
    peer.consumers.delete(number);
    consumer.queue.removeConsumer(consumer, sent);
    this.#settled(consumer.queue);
  }

  settle(peer: QueuePeer, number: number, outcome: Outcome, messages: Iterable<number>): void {
    const consumer = peer.consumers.get(number);
    if (consumer === undefined) return;
    for (const message of messages) consumer.queue.settle(consumer, message, outcome);
    this.#settled(consumer.queue);
  }

  #settled(queue: Queue): void {
    queue.dispatch(monotonicTime());
    if (queue.isIdle) this.queues.delete(queue.name);
  }

  /** A consumer has a message of the epoch before. */
  #held(peer: QueuePeer, reader: RecordReader): void {
    const consumer = peer.consumers.get(reader.uint32());
    const number = reader.float64();
    const deliveries = reader.uint32();
    const since = reader.float64();
    const payload = reader.copy();
    if (consumer === undefined || consumer.taken.has(number)) return;
    consumer.queue.restoreTaken(consumer, new QueuedMessage(number, payload, since, deliveries));
    this.counts.recovered();
  }

  /** Null: there are too many. */
  #queue(key: string): Queue | null {
    const known = this.queues.get(key);
    if (known !== undefined) return known;
    return this.queues.size >= this.#options.maxQueues ? null : this.makeQueue(key);
  }

  makeQueue(key: string): Queue {
    const queue = new Queue(key, this.#options.limits, this, this.counts.totals);
    this.queues.set(key, queue);
    if (this.#options.limits.maxAge > 0) this.#expiry ??= setInterval(this.#expire, EXPIRY_INTERVAL).unref();
    return queue;
  }

  readonly #expire = (): void => {
    const now = monotonicTime();
    for (const queue of this.queues.values()) {
      queue.expire(now);
      if (queue.isIdle) this.queues.delete(queue.name);
    }
    this.counts.update();
    if (this.queues.size > 0 || this.#expiry === null) return;
    clearInterval(this.#expiry);
    this.#expiry = null;
  };

  // What queues tell.

  deliver(consumer: OwnedConsumer, message: QueuedMessage): void {
    const { peer } = consumer;
    peer.parcels.push({ consumer, message });
    if (peer.run !== this.#run) {
      const { record } = peer;
      if (record.length === 0) {
        record.uint8(OwnerRecord.DELIVER);
        record.uint32(peer.run);
      }
      record.uint32(consumer.number);
      record.float64(message.number);
      record.uint32(message.deliveries);
      record.float64(message.since);
      record.bytes(message.payload);
      if (record.length >= RECORD_SIZE && !peer.isBlocked) return this.#sendOff(peer);
    }
    this.#waiting.add(peer);
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(this.#flush);
  }

  deadLetter(queue: Queue, { payload, deliveries }: QueuedMessage, reason: DeadLetterReason): void {
    const { deadLetterQueue } = this.#options;
    const key = queueKey(hostOf(queue.name), deadLetterQueue);
    if (deadLetterQueue === '' || key === queue.name) return;
    const origin = destinationOf(queue.name);
    const headers = [
      'original-destination',
      origin,
      'dead-letter-reason',
      reason,
      'deliveries',
      `${deliveries}`,
    ];
    this.letters.send({ key, payload: withHeaders(payload, headers) });
  }

  // Sending.

  readonly #flush = (): void => {
    this.#flushing = false;
    const peers = Array.from(this.#waiting);
    this.#waiting.clear();
    for (const peer of peers) {
      if (peer.run === this.#run) this.#handOut(peer);
      else if (!peer.isBlocked) this.#sendOff(peer);
    }
    this.counts.update();
  };

  #handOut(peer: QueuePeer): void {
    const { parcels } = peer;
    peer.parcels = [];
    for (const { consumer, message } of parcels) {
      // It may have ended meanwhile.
      if (consumer.taken.get(message.number) === message) this.#local.onMessage(consumer.number, message);
    }
  }

  #sendOff(peer: QueuePeer): void {
    if (peer.parcels.length === 0) return;
    const status = this.#participant.sendTo(peer.id, RecordKind.QUEUE, peer.record.view);
    if (status === SendStatus.DROPPED) {
      peer.isBlocked = true;
      this.#retry ??= setTimeout(this.#tryAgain, RETRY_INTERVAL);
      return;
    }
    // Of one that is gone this thread is told, and takes back what it had.
    peer.parcels = [];
    peer.record.clear();
  }

  readonly #tryAgain = (): void => {
    this.#retry = null;
    for (const peer of this.peers.values()) {
      if (!peer.isBlocked) continue;
      peer.isBlocked = false;
      this.#sendOff(peer);
    }
  };

  #answer(verdict: Verdict, statuses: readonly Status[]): Uint8Array {
    const isAllDone = statuses.every((status) => status === Status.DONE);
    const answer = Buffer.alloc(ANSWER_HEADER + (isAllDone ? 0 : statuses.length));
    answer[0] = verdict;
    answer.writeUInt32LE(this.epoch, 1);
    if (!isAllDone) answer.set(statuses, ANSWER_HEADER);
    return answer;
  }

  // Threads that come and go, and this one.

  #onPeer(peer: Peer, state: 'up' | 'gone'): void {
    if (state === 'up') {
      if (this.isOpen) this.#announce(peer);
      return;
    }
    const known = this.peers.get(peer.id);
    if (known === undefined) return;
    this.peers.delete(peer.id);
    this.#forget(known);
    this.counts.update();
  }

  /** What its consumers have goes back, all of it before any of it is given away again. */
  #forget(peer: QueuePeer): void {
    this.#waiting.delete(peer);
    peer.parcels = [];
    peer.record.clear();
    const queues = new Set<Queue>();
    for (const consumer of peer.consumers.values()) {
      consumer.queue.removeConsumer(consumer);
      queues.add(consumer.queue);
    }
    peer.consumers.clear();
    for (const queue of queues) this.#settled(queue);
  }

  /** Threads that have consumers compare the epoch with the one they know. */
  #announce(peer: Peer): void {
    if (peer.role === 'main') return;
    const record = Buffer.alloc(5);
    record[0] = OwnerRecord.ANNOUNCE;
    record.writeUInt32LE(this.epoch, 1);
    this.#participant.sendTo(peer.id, RecordKind.QUEUE, record, peer.instance);
  }

  #startAnew(isAfterLoss: boolean): void {
    this.queues.clear();
    this.peers.clear();
    this.#waiting.clear();
    if (isAfterLoss) this.counts.lost();
    this.counts.begin();
    this.epoch = randomInt(1, 2 ** 32);
    // Above all numbers of those before, which had less than 2,048 messages in each ms.
    this.lastNumber = Math.floor(monotonicTime()) * 2048;
    this.#began();
  }

  #began(): void {
    // What clients of a thread before this one had goes back: they have left before it did.
    this.peer(this.#participant.id, this.#run);
    this.counts.update();
    setImmediate(() => {
      if (!this.isOpen) return;
      for (const peer of this.#participant.peers.values()) this.#announce(peer);
      const now = monotonicTime();
      for (const queue of this.queues.values()) queue.dispatch(now);
    });
  }

  *#pack(): Iterable<Uint8Array> {
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#expiry !== null) clearInterval(this.#expiry);
    for (const peer of this.peers.values()) {
      if (peer.run !== this.#run) this.#sendOff(peer);
      // What is not off the successor gives away again.
      for (const { consumer, message } of peer.parcels)
        consumer.queue.settle(consumer, message.number, Outcome.UNUSED);
    }
    yield* packOwner(this);
    this.epoch = NO_EPOCH;
  }
}

function numbersOf(reader: RecordReader): Set<number> {
  const numbers = new Set<number>();
  for (let rest = reader.uint32(); rest > 0; rest--) numbers.add(reader.float64());
  return numbers;
}
