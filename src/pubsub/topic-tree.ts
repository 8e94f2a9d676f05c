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
  readonly subscribers: Set<S>;
}

/** Gets each subscriber of a publish. */
export interface Delivery<S> {
  deliver(subscriber: S): void;
}

export class TopicTree<S extends Subscriber> {
  readonly #topics = new Map<string, Topic<S>>();

  /** Topics that have a subscriber. */
  get size(): number {
    return this.#topics.size;
  }

  /** Returns the topic's new number of subscribers, or -1 when it was subscribed already. */
  subscribe(subscriber: S, name: string): number {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = { name, subscribers: new Set() };
      this.#topics.set(name, topic);
    } else if (topic.subscribers.has(subscriber)) {
      return -1;
    }
    topic.subscribers.add(subscriber);
    subscriber.subscriptions ??= new Set();
    subscriber.subscriptions.add(topic);
    return topic.subscribers.size;
  }

  /** Returns the topic's new number of subscribers, or -1 when it was not subscribed. */
  unsubscribe(subscriber: S, name: string): number {
    const topic = this.#topics.get(name);
    if (topic === undefined || !topic.subscribers.delete(subscriber)) return -1;
    subscriber.subscriptions?.delete(topic);
    if (subscriber.subscriptions?.size === 0) subscriber.subscriptions = null;
    if (topic.subscribers.size === 0) this.#topics.delete(name);
    return topic.subscribers.size;
  }

  isSubscribed(subscriber: S, name: string): boolean {
    return this.#topics.get(name)?.subscribers.has(subscriber) ?? false;
  }

  /** The names of the subscriber's topics, in the order they were subscribed. */
  topicsOf(subscriber: S): string[] {
    return subscriber.subscriptions === null ? [] : Array.from(subscriber.subscriptions, ({ name }) => name);
  }

  subscriberCount(name: string): number {
    return this.#topics.get(name)?.subscribers.size ?? 0;
  }

  /**
   * Hands every subscriber of the topic but `except` to `delivery`. Returns whether there was one. Subscribers
   * that come or go meanwhile are met or not, but none is met twice.
   */
  publish(name: string, except: S | null, delivery: Delivery<S>): boolean {
    const topic = this.#topics.get(name);
    if (topic === undefined) return false;
    let found = false;
    for (const subscriber of topic.subscribers) {
      if (subscriber === except) continue;
      found = true;
      delivery.deliver(subscriber);
    }
    return found;
  }
}
