import { MessageChannel, type Transferable } from 'node:worker_threads';
import { type Channel, createChannel, discardChannel, discardEnd } from '../net/handoff-channel.ts';
import { ACCEPT_BACKOFF } from '../net/listener.ts';
import { Obstacle } from '../net/obstacle.ts';
import { HandoffMode, type RouteEntry, type ToAcceptor } from '../shard/control-message.ts';
import type { AcceptorHost } from './acceptor-host.ts';
import type { ShardLife } from './shard-pool.ts';

/** What makes the acceptor send connections to a shard, once the shard has opened its end of the channel. */
interface Offer {
  readonly message: ToAcceptor;
  readonly transfer: readonly Transferable[];
  /** Null in transfer mode. */
  readonly channel: Channel | null;
}

/**
 * ShardJoin: joins a shard and the acceptor with a channel, and again when either of them is another one. The shard
 * opens its end first, then the acceptor; an end that nobody will open is closed here.
 *
 *     ready ─▶ connect ─▶ shard: connected ─▶ acceptor: shard known
 */
export class ShardJoin {
  readonly #index: number;
  readonly #acceptor: AcceptorHost;
  /** The shard of now, once it was ready. */
  #life: ShardLife | null = null;
  /** Null until the shard is ready. */
  #routes: readonly RouteEntry[] | null = null;
  /** The shard was told to open its end, and has not opened it yet. */
  #offer: Offer | null = null;
  /** The channel whose sending end the acceptor was told to open, and has not opened yet. */
  #offered: Channel | null = null;
  /** Offers that another has overtaken, and whose end the shard has neither opened nor closed, oldest first. */
  readonly #overtaken: Channel[] = [];
  readonly #obstacle: Obstacle;
  #isClosing = false;

  constructor(index: number, acceptor: AcceptorHost) {
    this.#index = index;
    this.#acceptor = acceptor;
    this.#obstacle = new Obstacle(`millrace: shard ${index} cannot be joined with the acceptor:`);
  }

  /** The shard has loaded its module, and is to have connections. */
  get isReady(): boolean {
    return this.#routes !== null;
  }

  /** The shard was told to open its end, and has not. */
  get isOffered(): boolean {
    return this.#offer !== null;
  }

  /** The shard has loaded its module. */
  ready(life: ShardLife, routes: readonly RouteEntry[]): void {
    this.#life = life;
    this.#routes = routes;
    void this.connect();
  }

  /** No channel is made for the shard any more. */
  retire(): void {
    this.#routes = null;
  }

  /** The shard's thread is gone. */
  clear(): void {
    this.#life = null;
    this.#routes = null;
    const channel = this.#offer?.channel ?? null;
    if (channel !== null) discardChannel(channel);
    this.#offer = null;
    for (const { receiver } of this.#overtaken.splice(0)) discardEnd(receiver);
  }

  close(): void {
    this.#isClosing = true;
  }

  /** Joins the shard with the acceptor of now. A new acceptor joins all shards that are ready. */
  async connect(): Promise<void> {
    const life = this.#life;
    const routes = this.#routes;
    const acceptor = this.#acceptor.current;
    if (life === null || routes === null || acceptor === null || this.#isClosing) return;
    if (this.#acceptor.mode === HandoffMode.TRANSFER) {
      this.#offerPort(life, routes);
      return;
    }
    let channel: Channel;
    try {
      channel = await createChannel();
    } catch (error) {
      // No descriptors, mostly.
      this.#obstacle.tell(error);
      this.connectSoon();
      return;
    }
    this.#obstacle.clear();
    if (this.#life !== life || this.#acceptor.current !== acceptor || this.#isClosing) {
      discardChannel(channel);
      return;
    }
    // An offer the shard has not taken up is void; if it does so now, it finds that end closed.
    const before = this.#offer?.channel ?? null;
    if (before !== null) {
      discardEnd(before.sender);
      this.#overtaken.push(before);
    }
    this.#offer = {
      message: { type: 'shard-up', index: this.#index, routes, end: channel.senderFd },
      transfer: [],
      channel,
    };
    life.post({ type: 'channel', fd: channel.receiverFd });
  }

  /** Joins them after a while, if the shard is the same then. */
  connectSoon(): void {
    const life = this.#life;
    setTimeout(() => {
      if (this.#life === life) void this.connect();
    }, ACCEPT_BACKOFF);
  }

  /** The shard has opened its end, `fd` (-1: a port). */
  connected(fd: number): void {
    // Another channel may have been offered since.
    if (this.discarded(fd)) return;
    const offer = this.#offer;
    if (offer === null || (offer.channel?.receiverFd ?? -1) !== fd) return;
    this.#offer = null;
    if (this.#acceptor.current === null || this.#routes === null) {
      // The next one gets a channel of its own, and a shard that is to end needs none.
      if (offer.channel !== null) discardEnd(offer.channel.sender);
      return;
    }
    this.#offered = offer.channel;
    this.#acceptor.tell(offer.message, offer.transfer);
  }

  /** The end `fd` is the shard's to close, or closed by it. Returns whether its offer was overtaken. */
  discarded(fd: number): boolean {
    const at = this.#overtaken.findIndex(({ receiverFd }) => receiverFd === fd);
    if (at >= 0) this.#overtaken.splice(at, 1);
    return at >= 0;
  }

  /** The acceptor has opened its end. */
  known(): void {
    this.#offered = null;
  }

  /** The acceptor's thread is gone: what it was told to open, it did not. */
  acceptorEnded(): void {
    if (this.#offered !== null) discardEnd(this.#offered.sender);
    this.#offered = null;
  }

  #offerPort(life: ShardLife, routes: readonly RouteEntry[]): void {
    const { port1, port2 } = new MessageChannel();
    this.#offer = {
      message: { type: 'shard-up', index: this.#index, routes, end: port1 },
      transfer: [port1],
      channel: null,
    };
    life.post({ type: 'transfer-port', port: port2 }, [port2]);
  }
}
