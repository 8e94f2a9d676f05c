import { TopicClient } from '../../support/clients/topic-client.ts';

/** The checked topics are forward/0 to forward/4. */
export const TOPIC_COUNT = 5;
/** Topic, publisher and number in front of every message. */
export const STAMP = 9;

export function topicName(topic: number): string {
  return `forward/${topic}`;
}

/** A message that did not reach a client which was subscribed when it was published. */
export interface Missing {
  readonly from: number;
  readonly to: number;
  /** Says which message of which publisher. */
  readonly message: string;
}

/** What every client has published, and everything that went wrong. */
export class TopicsModel {
  /** Duplicates, wrong order, messages after an unsubscribe: none of it is ever allowed. */
  readonly faults: string[] = [];
  /** Losses by pair of shards, each message once. */
  readonly missing = new Map<string, Set<string>>();
  /** Clients that are connected. */
  readonly living = new Set<CheckedClient>();
  received = 0;
  published = 0;
  /** The number of the next client. */
  nextId = 1;
  readonly #shards = new Map<number, number>();

  shardOf(publisher: number): number {
    return this.#shards.get(publisher) ?? -1;
  }

  joined(client: CheckedClient): void {
    this.#shards.set(client.id, client.shard);
    if (client.client.isClosed) return;
    this.living.add(client);
    void client.client.closed.then(() => {
      this.living.delete(client);
    });
  }

  lost({ from, to, message }: Missing): void {
    const pair = `${from} to ${to}`;
    const known = this.missing.get(pair) ?? new Set();
    this.missing.set(pair, known.add(message));
  }
}

/** How far a client has got with one publisher on one topic. */
interface Progress {
  /** The number of the message that comes next. */
  next: number;
}

interface Floor {
  readonly sent: ReadonlyMap<number, number>;
  /** Publishers from this number on had not begun. */
  readonly nextId: number;
}

/** A client that stamps what it publishes, and checks the stamps of what it gets. */
export class CheckedClient {
  readonly id: number;
  readonly shard: number;
  /** Messages published so far, by topic. */
  readonly sent: number[] = Array.from({ length: TOPIC_COUNT }, () => 0);
  /** By topic, then by publisher; null: not subscribed. */
  readonly #progress: (Map<number, Progress> | null)[] = Array.from({ length: TOPIC_COUNT }, () => null);
  /**
   * By topic, what the publishers had sent when the subscription was acknowledged: from here on nothing may be
   * missing. Null before that.
   */
  readonly #floors: (Floor | null)[] = Array.from({ length: TOPIC_COUNT }, () => null);
  readonly #model: TopicsModel;
  readonly client: TopicClient;

  private constructor(model: TopicsModel, client: TopicClient) {
    this.#model = model;
    this.client = client;
    this.id = model.nextId++;
    this.shard = client.shard;
    client.onMessage = (payload) => {
      this.#onMessage(payload);
    };
  }

  static async join(model: TopicsModel, port: number, topics: readonly number[]): Promise<CheckedClient> {
    const checked = new CheckedClient(model, await TopicClient.connect(port));
    for (const topic of topics) await checked.subscribe(topic);
    model.joined(checked);
    return checked;
  }

  isSubscribed(topic: number): boolean {
    return this.#progress[topic] !== null;
  }

  get subscriptions(): number {
    return this.#progress.filter((progress) => progress !== null).length;
  }

  async subscribe(topic: number): Promise<void> {
    // Messages may come before the answer, and before what must come.
    this.#progress[topic] = new Map();
    this.#floors[topic] = null;
    await this.client.subscribe(topicName(topic));
    const sent = Array.from(this.#model.living, (client) => [client.id, client.sent[topic]!] as const);
    this.#floors[topic] = { sent: new Map(sent), nextId: this.#model.nextId };
  }

  async unsubscribe(topic: number): Promise<void> {
    await this.client.unsubscribe(topicName(topic));
    this.#progress[topic] = null;
  }

  publish(topic: number, size: number): void {
    const payload = Buffer.alloc(STAMP + size, 0x2e);
    payload.writeUInt8(topic, 0);
    payload.writeUInt32LE(this.id, 1);
    payload.writeUInt32LE(this.sent[topic]!++, 5);
    this.#model.published++;
    this.client.forward(payload);
  }

  /** At the very end: has everything come of those that live? */
  finish(): void {
    this.#progress.forEach((progress, topic) => {
      if (progress === null) return;
      for (const { id, sent } of this.#model.living) {
        if (id === this.id) continue;
        const next = progress.get(id)?.next ?? this.#floor(topic, id);
        this.#skip(id, topic, next, sent[topic]!);
      }
    });
  }

  #onMessage(payload: Buffer): void {
    this.#model.received++;
    const topic = payload.readUInt8(0);
    const publisher = payload.readUInt32LE(1);
    const number = payload.readUInt32LE(5);
    const progress = this.#progress[topic];
    if (progress === null || progress === undefined) {
      this.#fault(publisher, topic, number, 'came after the unsubscribe');
      return;
    }
    if (publisher === this.id) this.#fault(publisher, topic, number, 'came back to its publisher');
    const known = progress.get(publisher);
    if (known === undefined) {
      progress.set(publisher, { next: number + 1 });
      this.#skip(publisher, topic, this.#floor(topic, publisher), number);
    } else if (number < known.next) {
      this.#fault(publisher, topic, number, `came when ${known.next} was next`);
    } else {
      this.#skip(publisher, topic, known.next, number);
      known.next = number + 1;
    }
  }

  /** The number of a publisher's first message that must come. */
  #floor(topic: number, publisher: number): number {
    const floor = this.#floors[topic];
    if (floor === null || floor === undefined) return Number.POSITIVE_INFINITY;
    // Of one that had left before, anything may still have been under way.
    const fallback = publisher >= floor.nextId ? 0 : Number.POSITIVE_INFINITY;
    return floor.sent.get(publisher) ?? fallback;
  }

  #skip(publisher: number, topic: number, from: number, to: number): void {
    for (let number = from; number < to; number++) {
      const message = `${publisher} ${topic} ${number}`;
      this.#model.lost({ from: this.#model.shardOf(publisher), to: this.shard, message });
    }
  }

  #fault(publisher: number, topic: number, number: number, what: string): void {
    this.#model.faults.push(
      `client ${this.id}, topic ${topic}: message ${number} of publisher ${publisher} ${what}`,
    );
  }
}
