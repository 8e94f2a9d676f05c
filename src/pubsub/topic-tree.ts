/**
 * The topics of one shard: who gets what. Names are exact strings, as in uWebSockets.js.
 *
 *     topics:      'room/1' ─▶ Topic { subscribers: ws1, ws2 }
 *     subscriber:  ws1      ─▶ { 'room/1', 'news' }
 *
 * A topic exists while it has subscribers. Maps and Sets throughout: names come from outside.
 */
export interface Subscriber {
  /** The topics it is subscribed to, or null for none. Kept by the tree. */
  subscriptions: Set<Topic<Subscriber>> | null;
}

export interface Topic<S> {
  readonly name: string;
  /** A hash of the name, whatever the tree's owner uses. */
  hash: number;
  /** It is in no tree, and has no name. */
  readonly isGroup: boolean;
  readonly subscribers: Set<S>;
  /** Messages published in this turn and not yet delivered, as numbers that grow. Kept by the tree's owner. */
  pending: number[];
  /** The same, of the messages that are being delivered. */
  flushing: number[];
}

export function newTopic<S>(name: string, hash: number, isGroup: boolean): Topic<S> {
  return { name, hash, isGroup, subscribers: new Set(), pending: [], flushing: [] };
}

export class TopicTree<S extends Subscriber> {
  readonly #topics = new Map<string, Topic<S>>();
  readonly #hash: (name: string) => number;

  /** @param hash gives each new topic its `hash` */
  constructor(hash: (name: string) => number = noHash) {
    this.#hash = hash;
  }

  /** Topics that have a subscriber. */
  get size(): number {
    return this.#topics.size;
  }

  /** Every topic that has a subscriber. */
  values(): IterableIterator<Topic<S>> {
    return this.#topics.values();
  }

  /** The owner's hash is another one now. */
  rehash(): void {
    for (const topic of this.#topics.values()) topic.hash = this.#hash(topic.name);
  }

  /** The topic of this name, if it has a subscriber. */
  get(name: string): Topic<S> | undefined {
    return this.#topics.get(name);
  }

  /** Returns the topic, which has one subscriber more, or undefined when it was subscribed already. */
  subscribe(subscriber: S, name: string): Topic<S> | undefined {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = newTopic<S>(name, this.#hash(name), false);
      this.#topics.set(name, topic);
    } else if (topic.subscribers.has(subscriber)) {
      return undefined;
    }
    topic.subscribers.add(subscriber);
    subscriber.subscriptions ??= new Set();
    subscriber.subscriptions.add(topic);
    return topic;
  }

  /** Returns the topic, which has one subscriber less, or undefined when it was not subscribed. */
  unsubscribe(subscriber: S, name: string): Topic<S> | undefined {
    const topic = this.#topics.get(name);
    if (topic === undefined || !topic.subscribers.delete(subscriber)) return undefined;
    subscriber.subscriptions?.delete(topic);
    if (subscriber.subscriptions?.size === 0) subscriber.subscriptions = null;
    if (topic.subscribers.size === 0) this.#topics.delete(name);
    return topic;
  }

  isSubscribed(subscriber: S, name: string): boolean {
    return this.#topics.get(name)?.subscribers.has(subscriber) ?? false;
  }

  /** The names of the subscriber's topics, in the order they were subscribed. */
  topicsOf(subscriber: S): string[] {
    const names: string[] = [];
    for (const { name, isGroup } of subscriber.subscriptions ?? []) if (!isGroup) names.push(name);
    return names;
  }

  subscriberCount(name: string): number {
    return this.#topics.get(name)?.subscribers.size ?? 0;
  }
}

function noHash(): number {
  return 0;
}
