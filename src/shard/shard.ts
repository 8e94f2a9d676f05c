import { type AddressTable, NO_ADDRESS } from '../admission/address-table.ts';
import { Bus } from '../bus/bus.ts';
import type { BusSubscriber } from '../bus/bus-subscriber.ts';
import type { Links } from '../bus/links.ts';
import { Message } from '../bus/message.ts';
import { Participant } from '../bus/participant.ts';
import { type ControlBlock, Gauge, ThreadMetrics } from '../metrics/control-block.ts';
import { Counter } from '../metrics/counter.ts';
import type { Histogram } from '../metrics/histogram.ts';
import { NO_STAMP, sinceStamp, type TimeStamp } from '../metrics/monotonic-time.ts';
import { IoLoop } from '../net/io-loop.ts';
import type { SocketHandle } from '../net/node-internals.ts';
import { Transport, type TransportContext } from '../net/transport.ts';
import { allocate } from '../net/write-memory.ts';
import { ZlibDeflatePort } from '../net/zlib-deflater.ts';
import { BufferPool } from '../protocol/buffer-pool.ts';
import { isTopicTooLong } from '../ring/topic-bytes.ts';
import { Drain, type Drainable, type DrainTerms } from './drain.ts';

/** Added to the rows of the table of joined Apps, to tell them from those of a shard's own. */
export const GROUP_ROW = 2 ** 24;

/** A shard's column of an address table. */
interface AddressColumn {
  readonly table: AddressTable;
  readonly column: number;
}

/** What `subscribe` returns when a limit is reached. */
export const REFUSED = -2;

/**
 * Shard: one thread's sockets, timer, memory, topics and counters. In one-thread use an App has one to itself;
 * in a server each shard thread has one, bound to the server's control block.
 */
export class Shard {
  readonly index: number;
  readonly io: IoLoop;
  readonly bus: Bus;
  /** This thread among the others. */
  readonly participant: Participant;
  readonly metrics: ThreadMetrics;
  readonly counters: Float64Array;
  /** Contexts of compression. */
  readonly deflate: ZlibDeflatePort;
  /** Memory to put messages together in. */
  readonly messagePool = new BufferPool(64 * 1024 * 1024, allocate);
  readonly sockets = new Set<Transport>();
  readonly #control: ControlBlock | null;
  /** Where its sockets are counted by address; null: they are not. */
  #addresses: AddressColumn | null = null;
  /** The same for sockets that came from the App it is joined to, and the table's name, also when it left. */
  #groupAddresses: AddressColumn | null = null;
  #groupTable = '';
  #waiting = 0;
  #links: Links | null = null;
  #spareMessage: Message | null = new Message();
  /** Told of each socket that is gone. */
  onRelease: ((transport: Transport) => void) | null = null;
  /** Topics that may have subscribers here. */
  maxTopics = Number.POSITIVE_INFINITY;
  #onEmpty: (() => void) | null = null;
  /** How its connections end; null: the shard is not to end. */
  #drain: Drain | null = null;

  constructor(index = 0, control: ControlBlock | null = null, links: Links | null = null) {
    this.index = index;
    this.#control = control;
    this.metrics = control === null ? ThreadMetrics.alone() : control.shard(index);
    this.counters = this.metrics.counters;
    this.io = new IoLoop(this.counters);
    this.deflate = new ZlibDeflatePort(this.counters);
    this.bus = new Bus(this.io, null, this.deflate);
    this.participant = new Participant(control === null ? 'app' : 'shard', index, this.bus, this.counters);
    if (links !== null) this.link(links);
  }

  /**
   * Shares its topics with the threads of these links from here on.
   *
   * @param continues in the place of a thread that has left it
   */
  link(links: Links, continues = false): void {
    this.#links = links;
    this.bus.maxTopicLength = Math.min(this.bus.maxTopicLength, links.maxTopicLength);
    this.participant.link(links, continues);
  }

  /** Shares its topics no more. */
  unlink(): void {
    this.participant.unlink();
    this.#links = null;
  }

  /** True from the moment the shard is to end; new connections are told so. */
  get isDraining(): boolean {
    return this.#drain !== null;
  }

  /** The code that its WebSockets are closed with since then; 0: the shard is not to end. */
  get drainCode(): number {
    return this.#drain?.code ?? 0;
  }

  /** Connections have had their time for another request. */
  get isDismissing(): boolean {
    return this.#drain?.isDismissing ?? false;
  }

  /** Has sockets counted by address in this column of the table. */
  countAddresses(table: AddressTable, column: number): void {
    this.#addresses = { table, column };
  }

  /**
   * Counts the sockets that come from the App it is joined to, in `column` of the group's table; those it has from before
   * count again.
   */
  countGroupAddresses(table: AddressTable, column: number): void {
    if (table.name === this.#groupTable) {
      // Sockets on their way count in the column already.
      for (const [row, count] of this.#countRows(GROUP_ROW)) table.add(row, column, count);
    } else {
      for (const transport of this.sockets) {
        if (transport.tag >= GROUP_ROW) transport.tag = NO_ADDRESS;
      }
    }
    this.#groupTable = table.name;
    this.#groupAddresses = { table, column };
  }

  /** The group's column is another thread's from here on. */
  forgetGroupAddresses(): void {
    this.#groupAddresses = null;
  }

  /** One more connection, or one less, has not said yet what it wants. */
  addWaiting(change: 1 | -1): void {
    this.#waiting += change;
    this.#control?.setGauge(this.index, Gauge.WAITING, this.#waiting);
  }

  /** Takes a socket over; the context sets its owner. `address` is the row it is counted in. */
  adopt<Owner>(
    handle: SocketHandle,
    context: TransportContext<Owner>,
    address: number = NO_ADDRESS,
  ): Transport<Owner> {
    const transport = new Transport<Owner>(this.io, handle, context, null);
    transport.tag = address;
    this.sockets.add(transport);
    return transport;
  }

  /** A context reports that a socket is gone. */
  release(transport: Transport): void {
    if (!this.sockets.delete(transport)) return;
    this.onRelease?.(transport);
    this.discarded(transport.tag);
    if (this.sockets.size === 0) this.#onEmpty?.();
  }

  /**
   * Returns the topic's new number of subscribers on this shard, -1 when it was subscribed already, or REFUSED.
   *
   * @param most topics that it may be subscribed to
   */
  subscribe(subscriber: BusSubscriber, name: string, most: number = Number.POSITIVE_INFINITY): number {
    // What was published before is not for the subscriber, and what was published to its other topics comes first.
    this.bus.flushTo(subscriber);
    // A handler that was told of a dropped message may have closed it, and nobody would unsubscribe it again.
    if (!subscriber.isOpen) return -1;
    if (this.#isOverLimit(subscriber, name, most)) {
      this.count(Counter.SUBSCRIPTIONS_REFUSED);
      return REFUSED;
    }
    const topic = this.bus.topics.subscribe(subscriber, name);
    if (topic === undefined) return -1;
    const count = topic.subscribers.size;
    this.#links?.setCount(name, topic.hash, count, count - 1);
    return count;
  }

  #isOverLimit(subscriber: BusSubscriber, name: string, most: number): boolean {
    const { topics, maxTopicLength } = this.bus;
    if (isTopicTooLong(name, maxTopicLength)) return true;
    if (topics.size >= this.maxTopics && topics.get(name) === undefined) return true;
    const { subscriptions } = subscriber;
    return subscriptions !== null && subscriptions.size >= most && !topics.isSubscribed(subscriber, name);
  }

  /** Returns the topic's new number of subscribers on this shard, or -1 when it was not subscribed. */
  unsubscribe(subscriber: BusSubscriber, name: string): number {
    this.bus.flushTo(subscriber);
    const topic = this.bus.topics.unsubscribe(subscriber, name);
    if (topic === undefined) return -1;
    const count = topic.subscribers.size;
    this.#links?.setCount(name, topic.hash, count, count + 1);
    return count;
  }

  /**
   * Sends a message to all subscribers of a topic but `except`. Returns whether there was one, on any shard.
   *
   * @param compress in compressed form to those that take it
   */
  publish(
    topic: string,
    payload: Uint8Array | string,
    isBinary: boolean,
    except: BusSubscriber | null,
    compress = false,
  ): boolean {
    // A handler that is called meanwhile may publish, too, and takes another.
    const message = this.#spareMessage ?? new Message();
    this.#spareMessage = null;
    message.set(topic, payload, isBinary, compress);
    message.except = except;
    const { isHeard } = this.participant.publish(message);
    message.clear();
    this.#spareMessage = message;
    return isHeard;
  }

  /** Subscribers of a topic on all shards. */
  subscriberCount(name: string): number {
    return this.bus.topics.subscriberCount(name) + (this.#links?.countElsewhere(name) ?? 0);
  }

  /** Closes every socket at once. */
  destroyAll(): void {
    for (const transport of this.sockets) transport.destroy();
  }

  /**
   * Ends every connection politely, and resolves when all are gone or `deadline` ms have passed; what is left then is
   * closed at once.
   *
   * @param arrived resolves when no more connections come
   */
  async drain(terms: DrainTerms, talk: Drainable, arrived: Promise<void>): Promise<void> {
    const drain = new Drain(this.sockets, terms, talk);
    this.#drain = drain;
    void drain.run();
    let limit: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      limit = setTimeout(resolve, terms.deadline);
    });
    const empty = async (): Promise<void> => {
      await arrived;
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
        if (this.sockets.size === 0) resolve();
      });
    };
    await Promise.race([empty(), timeout]);
    clearTimeout(limit);
    drain.stop();
    this.destroyAll();
  }

  /** A socket that was on its way when the drain began is told like those before it. */
  greet(transport: Transport): void {
    if (this.#drain !== null && !transport.isClosed) void this.#drain.arrived(transport);
  }

  /** A socket of the row, which was given to this shard, is gone. */
  discarded(row: number): void {
    this.#control?.addGauge(this.index, Gauge.LIVE, -1);
    if (row === NO_ADDRESS) return;
    const isGroup = row >= GROUP_ROW;
    const counted = isGroup ? this.#groupAddresses : this.#addresses;
    counted?.table.add(isGroup ? row - GROUP_ROW : row, counted.column, -1);
  }

  /** A socket that the acceptor sent did not arrive. */
  lost(address: number): void {
    this.count(Counter.HANDOFF_FAILED);
    this.discarded(address);
  }

  /** Counts its sockets anew, when none is on its way from the acceptor, which died with some counted. */
  recount(): void {
    this.#control?.setGauge(this.index, Gauge.LIVE, this.sockets.size);
    this.#addresses?.table.recount(this.#addresses.column, this.#countRows(0));
  }

  /** How many sockets it has of each row from `first` on, which is 0 or GROUP_ROW. */
  #countRows(first: number): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    for (const { tag } of this.sockets) {
      if (tag === NO_ADDRESS || tag >= GROUP_ROW !== (first !== 0)) continue;
      counts.set(tag - first, (counts.get(tag - first) ?? 0) + 1);
    }
    return counts;
  }

  /** Observes the time since a connection was accepted, if that is known. */
  observeSince(acceptedAt: TimeStamp, times: Histogram): void {
    if (acceptedAt !== NO_STAMP) times.record(sinceStamp(acceptedAt));
  }

  /** Adds to one of this thread's counters. */
  count(counter: Counter): void {
    this.counters[counter]!++;
  }
}
