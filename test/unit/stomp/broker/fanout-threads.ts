import { createLinkMemory, type LinkMemory } from '../../../../src/bus/link-memory.ts';
import { Links } from '../../../../src/bus/links.ts';
import { Counter, Level } from '../../../../src/metrics/counter.ts';
import { latin1Port, textPort } from '../../../../src/net/native-ports.ts';
import { Shard } from '../../../../src/shard/shard.ts';
import type {
  BrokerSession,
  BrokerSubscription,
  Token,
} from '../../../../src/stomp/broker/destination-kind.ts';
import { Fanout } from '../../../../src/stomp/broker/fanout.ts';
import { TempQueues } from '../../../../src/stomp/broker/temp-queues.ts';
import { Topics } from '../../../../src/stomp/broker/topics.ts';
import { Users } from '../../../../src/stomp/broker/users.ts';
import { StompHeaders, type StompVersion } from '../../../../src/stomp/codec/frame.ts';
import { FrameParser } from '../../../../src/stomp/codec/frame-parser.ts';
import { SharedMessage } from '../../../../src/stomp/codec/frame-writer.ts';
import { type AckMode, Subscription, Subscriptions } from '../../../../src/stomp/session/subscriptions.ts';
import { BusReader } from '../../bus/bus-reader.ts';

const TEXT = { ...latin1Port, ...textPort };
const LIMITS = { maxHeaders: 100, maxLineLength: 65_536, maxBodyLength: 2 ** 24, maxFrameLength: 2 ** 25 };

/** Threads that are all in this one, with the rings of several. */
export class FanoutThreads {
  readonly memory: LinkMemory;
  readonly all: FanoutThread[];

  constructor(threads: number, limits: Partial<FanoutThread['limits']> = {}, capacity = 64 * 1024) {
    this.memory = createLinkMemory(threads, 5, capacity);
    this.all = Array.from({ length: threads }, (_, id) => new FanoutThread(this.memory, id, limits));
  }

  stop(): void {
    for (const { shard } of this.all) shard.unlink();
  }
}

export class FanoutThread {
  readonly shard: Shard;
  readonly fanout: Fanout;
  readonly topics: Topics;
  readonly users: Users;
  readonly temp: TempQueues;
  readonly limits = { maxPatternSegments: 1000, maxTopicBacklog: 10_000, maxTempQueues: 3 };

  constructor(memory: LinkMemory | null, id: number, limits: Partial<FanoutThread['limits']> = {}) {
    Object.assign(this.limits, limits);
    this.shard = new Shard(id, null, memory === null ? null : new Links(memory, id, () => {}));
    const { participant, counters, bus } = this.shard;
    this.fanout = new Fanout(participant, counters, TEXT, bus, this.limits);
    this.topics = new Topics(this.fanout);
    this.users = new Users(this.fanout);
    this.temp = new TempQueues(this.fanout, this.limits.maxTempQueues);
  }

  get subscriptions(): number {
    return this.shard.counters[Level.TOPIC_SUBSCRIPTIONS]!;
  }

  get messages(): number {
    return this.shard.counters[Counter.TOPIC_MESSAGES]!;
  }
}

/** A message as a client got it. */
export interface Got {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isBinary: boolean;
}

interface Options {
  readonly version?: StompVersion;
  readonly user?: string;
  readonly host?: string;
  readonly isTcp?: boolean;
  readonly prefersBinary?: boolean;
}

let clients = 0;

/** A session and its client in one. */
export class FanoutClient implements BrokerSession {
  readonly id = `s${++clients}`;
  readonly user: string | undefined;
  readonly host: string;
  readonly version: StompVersion;
  readonly subscriber: BusReader | null;
  readonly prefersBinary: boolean;
  readonly bufferedAmount = 0;
  isConnected = true;
  readonly errors: string[] = [];
  readonly thread: FanoutThread;
  readonly #subscriptions = new Subscriptions<Token>(this.id, 100);
  #next = 0;
  readonly #got: Got[] = [];
  /** What came by `deliver`. */
  readonly #own: { bytes: Uint8Array; isBinary: boolean }[] = [];

  constructor(thread: FanoutThread, options: Options = {}) {
    this.thread = thread;
    this.user = options.user;
    this.host = options.host ?? 'host';
    this.version = options.version ?? '1.2';
    this.subscriber = options.isTcp === true ? null : new BusReader(thread.shard);
    this.prefersBinary = options.prefersBinary ?? false;
  }

  deliver(subscription: BrokerSubscription, message: SharedMessage, token: Token): void {
    if (!this.isConnected || subscription.isEnded) return;
    const id = subscription.ack === 'auto' ? undefined : this.#subscriptions.deliver(subscription, token);
    const head = SharedMessage.head(this.version, subscription.id, id) + message.lines;
    const bytes = Buffer.concat([Buffer.from(head), message.tail(this.version)]);
    if (this.subscriber === null) this.#own.push({ bytes, isBinary: true });
    else this.subscriber.send(bytes);
  }

  refuse(error: unknown): void {
    this.errors.push((error as Error).message);
    this.end();
  }

  /** All that it got so far. */
  get got(): readonly Got[] {
    const frames = this.subscriber?.frames() ?? [];
    const all = [
      ...frames.map(({ opcode, payload }) => ({ bytes: payload, isBinary: opcode === 2 })),
      ...this.#own.splice(0),
    ];
    for (const { bytes, isBinary } of all) this.#read(bytes, isBinary);
    return this.#got;
  }

  #read(bytes: Uint8Array, isBinary: boolean): void {
    const parser = new FrameParser('server', LIMITS, TEXT, {
      onFrame: ({ command, headers, body }) => {
        if (command !== 'MESSAGE') throw new Error(command);
        const list: Record<string, string> = {};
        for (let i = headers.size - 1; i >= 0; i--) list[headers.nameAt(i)] = headers.valueAt(i);
        this.#got.push({ headers: list, body: Buffer.from(body).toString(), isBinary });
      },
    });
    parser.version = this.version;
    if (parser.read(bytes) !== bytes.length) throw new Error('a frame that is not whole');
  }

  get bodies(): string[] {
    return this.got.map(({ body }) => body);
  }

  kindOf(destination: string) {
    const { topics, users, temp } = this.thread;
    return [topics, users, temp, temp.replies].find(({ prefix }) => destination.startsWith(prefix))!;
  }

  send(
    destination: string,
    body: string | Uint8Array,
    headers: readonly (readonly [string, string])[] = [],
  ): void {
    const list = new StompHeaders();
    list.append('destination', destination);
    for (const [name, value] of headers) list.append(name, value);
    const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body);
    const request = this.thread.temp.addressed(this, { destination, headers: list, body: bytes });
    void this.kindOf(destination).send(this, request);
    // It is used again.
    bytes.fill(0xdd);
  }

  subscribe(
    destination: string,
    options: { id?: string | undefined; ack?: AckMode; window?: number; selector?: string } = {},
  ): BrokerSubscription {
    const { ack = 'auto', window = 100, selector } = options;
    const id = 'id' in options ? options.id : `sub-${this.#next++}`;
    const subscription = new Subscription<Token>(id, destination, ack, window);
    this.#subscriptions.add(subscription);
    const headers = new StompHeaders();
    if (selector !== undefined) headers.append('selector', selector);
    void this.kindOf(destination).subscribe(this, subscription, headers);
    return subscription;
  }

  unsubscribe(subscription: BrokerSubscription): void {
    const left = this.#subscriptions.remove(subscription);
    void this.kindOf(subscription.destination).unsubscribe(this, subscription, left, null);
  }

  ack(id: string): void {
    const deliveries = this.#subscriptions.settle(id);
    if (deliveries.length === 0) return;
    const { destination } = deliveries[0]!.subscription;
    void this.kindOf(destination).settle(this, deliveries, true, new StompHeaders());
  }

  end(): void {
    if (!this.isConnected) return;
    this.isConnected = false;
    for (const subscription of Array.from(this.#subscriptions.all())) this.unsubscribe(subscription);
    this.thread.temp.ended(this);
  }
}

/** A few rounds of the event loop, in which all that was sent arrives. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
}
