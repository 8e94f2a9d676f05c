import { createLinkMemory, type LinkMemory } from '../../../../src/bus/link-memory.ts';
import { Links } from '../../../../src/bus/links.ts';
import { type Handover, Participant } from '../../../../src/bus/participant.ts';
import { Publisher } from '../../../../src/bus/publisher.ts';
import { Counter, Level, THREAD_SLOTS } from '../../../../src/metrics/counter.ts';
import { textPort } from '../../../../src/net/native-ports.ts';
import type {
  BrokerSession,
  BrokerSubscription,
  Token,
} from '../../../../src/stomp/broker/destination-kind.ts';
import type { QueueOptions } from '../../../../src/stomp/broker/queues/queue-options.ts';
import { Queues } from '../../../../src/stomp/broker/queues/queues.ts';
import { StompHeaders } from '../../../../src/stomp/codec/frame.ts';
import type { SharedMessage } from '../../../../src/stomp/codec/frame-writer.ts';
import { OverflowPolicy, type QueueLimits } from '../../../../src/stomp/queue/queue.ts';
import { type AckMode, Subscription, Subscriptions } from '../../../../src/stomp/session/subscriptions.ts';

const LIMITS: QueueLimits = {
  maxMessages: 100_000,
  maxBytes: 32 * 1024 * 1024,
  maxAge: 0,
  policy: OverflowPolicy.REFUSE,
  maxDeliveries: 0,
};

export interface Options extends Partial<QueueLimits>, Partial<Omit<QueueOptions, 'limits'>> {}

export function headersOf(headers: Readonly<Record<string, string>>): StompHeaders {
  const list = new StompHeaders();
  for (const [name, value] of Object.entries(headers)) list.append(name, value);
  return list;
}

/** Threads that are all in this one, with the rings of several. */
export class QueueThreads {
  readonly memory: LinkMemory;
  readonly #options: Options;
  readonly #threads: QueueThread[] = [];

  constructor(threads: number, options: Options = {}, capacity = 64 * 1024, maxOverflow = 1024 * 1024) {
    this.memory = createLinkMemory(threads, 1, capacity, maxOverflow);
    this.#options = options;
  }

  async start(): Promise<QueueThread[]> {
    for (let id = 0; id < this.memory.owners.threads; id++) {
      const thread = new QueueThread(this.memory, id, this.#options, new Float64Array(THREAD_SLOTS), false);
      this.#threads.push(thread);
      await thread.participant.begin(null);
    }
    return this.#threads;
  }

  /** A thread dies and another one takes its place. */
  async crash(id: number): Promise<QueueThread> {
    const dead = this.#threads[id]!;
    dead.participant.unlink();
    dead.isDead = true;
    // As the supervisor does.
    for (const level of Object.values(Level)) dead.counters[level] = 0;
    const thread = new QueueThread(this.memory, id, this.#options, dead.counters, false);
    this.#threads[id] = thread;
    await thread.participant.begin(null);
    return thread;
  }

  /** A thread hands over to a successor, whose clients have left before. */
  async reload(id: number): Promise<QueueThread> {
    const old = this.#threads[id]!;
    for (const client of old.clients) client.end();
    const handover = await old.participant.handOver();
    old.participant.unlink();
    const thread = new QueueThread(this.memory, id, this.#options, old.counters, true);
    this.#threads[id] = thread;
    await thread.begin(structuredClone(handover));
    return thread;
  }

  /** A queue that this thread owns. */
  queueOf(id: number, name = 'q'): string {
    for (let i = 0; ; i++) {
      const destination = `/queue/${name}${i}`;
      if (this.#threads[0]!.participant.ownerOf(`host\n${destination}`) === id) return destination;
    }
  }

  /** The sum of a metric over all threads. */
  total(name: keyof typeof Counter | keyof typeof Level): number {
    const slot = (Counter as Record<string, number>)[name] ?? (Level as Record<string, number>)[name]!;
    return this.#threads.reduce((sum, { counters }) => sum + counters[slot]!, 0);
  }

  get all(): readonly QueueThread[] {
    return this.#threads;
  }

  stop(): void {
    for (const { participant } of this.#threads) participant.unlink();
  }
}

export class QueueThread {
  readonly participant: Participant;
  readonly queues: Queues;
  readonly counters: Float64Array;
  readonly clients: QueueClient[] = [];
  isDead = false;

  constructor(memory: LinkMemory, id: number, options: Options, counters: Float64Array, continues: boolean) {
    this.counters = counters;
    this.participant = new Participant('shard', id, new Publisher(counters), counters);
    this.participant.prepare(memory.owners);
    const { maxQueues = 1000, maxQueueMemory = 48 * 1024 * 1024, deadLetterQueue = '', ...limits } = options;
    this.queues = new Queues(this.participant, counters, textPort as never, {
      limits: { ...LIMITS, ...limits },
      maxQueues,
      maxQueueMemory,
      deadLetterQueue,
    });
    this.participant.link(new Links(memory, id, () => {}), continues);
  }

  async begin(handover: Handover): Promise<void> {
    const { failures } = await this.participant.begin(handover);
    if (failures.length > 0) throw new Error(failures.join());
  }

  client(): QueueClient {
    const client = new QueueClient(this);
    this.clients.push(client);
    return client;
  }
}

/** A message as a client got it. */
export interface Got {
  readonly subscription: BrokerSubscription;
  /** What acknowledges it; '': nothing does. */
  readonly id: string;
  readonly head: string;
  readonly body: string;
}

let clients = 0;

/** A session and its client in one. */
export class QueueClient implements BrokerSession {
  readonly id = `s${++clients}`;
  readonly user = undefined;
  readonly host = 'host';
  readonly version = '1.2';
  readonly subscriber = null;
  readonly prefersBinary = false;
  bufferedAmount = 0;
  isConnected = true;
  readonly got: Got[] = [];
  readonly errors: string[] = [];
  /** Called for each message. */
  onMessage: (got: Got) => void = () => {};
  readonly #thread: QueueThread;
  readonly #subscriptions = new Subscriptions<Token>(this.id, 100);
  #next = 0;

  constructor(thread: QueueThread) {
    this.#thread = thread;
  }

  deliver(subscription: BrokerSubscription, message: SharedMessage, token: Token): void {
    if (!this.isConnected || subscription.isEnded) return;
    const id = subscription.ack === 'auto' ? '' : this.#subscriptions.deliver(subscription, token);
    const tail = Buffer.from(message.tail(this.version)).toString();
    const end = tail.indexOf('\n\n');
    const got = { subscription, id, head: message.lines + tail.slice(0, end), body: tail.slice(end + 2, -1) };
    this.got.push(got);
    // A thread that is dead does nothing any more.
    if (!this.#thread.isDead) this.onMessage(got);
  }

  refuse(error: unknown): void {
    this.errors.push((error as Error).message);
    this.end();
  }

  get bodies(): string[] {
    return this.got.map(({ body }) => body);
  }

  async send(destination: string, body: string, headers: Record<string, string> = {}): Promise<void> {
    await this.#thread.queues.send(this, {
      destination,
      headers: headersOf(headers),
      body: Buffer.from(body),
    });
  }

  async subscribe(destination: string, ack: AckMode, window = 100): Promise<BrokerSubscription> {
    const subscription = new Subscription<Token>(`${this.#next++}`, destination, ack, window);
    this.#subscriptions.add(subscription);
    await this.#thread.queues.subscribe(this, subscription);
    return subscription;
  }

  async unsubscribe(subscription: BrokerSubscription): Promise<void> {
    const left = this.#subscriptions.remove(subscription);
    await this.#thread.queues.unsubscribe(this, subscription, left);
  }

  async settle(id: string, isAccepted = true, headers: Record<string, string> = {}): Promise<void> {
    const deliveries = this.#subscriptions.settle(id);
    if (deliveries.length > 0)
      await this.#thread.queues.settle(this, deliveries, isAccepted, headersOf(headers));
  }

  end(): void {
    if (!this.isConnected) return;
    this.isConnected = false;
    for (const subscription of Array.from(this.#subscriptions.all())) void this.unsubscribe(subscription);
  }
}

/** Waits until something is so, turn by turn. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}
