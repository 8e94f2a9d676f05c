import { MessageChannel, type Transferable } from 'node:worker_threads';
import { type Channel, createChannel, discardChannel, discardEnd } from '../net/handoff-channel.ts';
import { ACCEPT_BACKOFF } from '../net/listener.ts';
import { Obstacle } from '../net/obstacle.ts';
import { HandoffMode, type RouteEntry, type ToAcceptor } from '../shard/control-message.ts';
import type { AcceptorHost } from './acceptor-host.ts';
import type { ShardInstance } from './shard-pool.ts';

/** A channel, or a port, that the shard was told to open: `message` then has the acceptor send connections through it. */
interface Pending {
  readonly message: ToAcceptor;
  readonly transfer: readonly Transferable[];
  /** Null in transfer mode. */
  readonly channel: Channel | null;
}

/**
 * ShardAttachment: attaches a shard to the acceptor by a channel, and again when either of them is another one. The shard
 * opens its end first, then the acceptor; an end that neither will open is closed here.
 *
 *     ready ─▶ attach ─▶ shard: connected ─▶ acceptor: shard known
 */
export class ShardAttachment {
  readonly #index: number;
  readonly #acceptor: AcceptorHost;
  /** The instance of now, once it was ready. */
  #instance: ShardInstance | null = null;
  /** Null until the shard is ready. */
  #routes: readonly RouteEntry[] | null = null;
  /** The shard was told to open its end, and has not opened it yet. */
  #pending: Pending | null = null;
  /** The channel whose sending end the acceptor was told to open, and has not opened yet. */
  #opening: Channel | null = null;
  /** Channels that another has overtaken, and whose end the shard has neither opened nor closed, oldest first. */
  readonly #overtaken: Channel[] = [];
  readonly #obstacle: Obstacle;
  #isClosing = false;

  constructor(index: number, acceptor: AcceptorHost) {
    this.#index = index;
    this.#acceptor = acceptor;
    this.#obstacle = new Obstacle(`millrace: shard ${index} cannot be attached to the acceptor:`);
  }

  /** The shard has loaded its module, and is to have connections. */
  get isReady(): boolean {
    return this.#routes !== null;
  }

  /** The shard was told to open its end, and has not. */
  get isPending(): boolean {
    return this.#pending !== null;
  }

  /** The shard has loaded its module. */
  ready(instance: ShardInstance, routes: readonly RouteEntry[]): void {
    this.#instance = instance;
    this.#routes = routes;
    void this.attach();
  }

  /** No channel is made for the shard any more. */
  retire(): void {
    this.#routes = null;
  }

  /** The shard's thread is gone. */
  clear(): void {
    this.#instance = null;
    this.#routes = null;
    const channel = this.#pending?.channel ?? null;
    if (channel !== null) discardChannel(channel);
    this.#pending = null;
    for (const { receiver } of this.#overtaken.splice(0)) discardEnd(receiver);
  }

  close(): void {
    this.#isClosing = true;
  }

  /** Attaches the shard to the acceptor of now. To a new acceptor all shards that are ready are attached. */
  async attach(): Promise<void> {
    const instance = this.#instance;
    const routes = this.#routes;
    const acceptor = this.#acceptor.current;
    if (instance === null || routes === null || acceptor === null || this.#isClosing) return;
    if (this.#acceptor.mode === HandoffMode.TRANSFER) {
      this.#attachPort(instance, routes);
      return;
    }
    let channel: Channel;
    try {
      channel = await createChannel();
    } catch (error) {
      // No descriptors, mostly.
      this.#obstacle.tell(error);
      this.attachSoon();
      return;
    }
    this.#obstacle.clear();
    if (this.#instance !== instance || this.#acceptor.current !== acceptor || this.#isClosing) {
      discardChannel(channel);
      return;
    }
    // A channel that the shard has not opened is void; if the shard opens it now, it finds the other end closed.
    const before = this.#pending?.channel ?? null;
    if (before !== null) {
      discardEnd(before.sender);
      this.#overtaken.push(before);
    }
    this.#pending = {
      message: { type: 'shard-up', index: this.#index, routes, end: channel.senderFd },
      transfer: [],
      channel,
    };
    instance.post({ type: 'channel', fd: channel.receiverFd });
  }

  /** Attaches the shard after a while, if the instance is the same then. */
  attachSoon(): void {
    const instance = this.#instance;
    setTimeout(() => {
      if (this.#instance === instance) void this.attach();
    }, ACCEPT_BACKOFF);
  }

  /** The shard has opened its end, `fd` (-1: a port). */
  connected(fd: number): void {
    // The shard may have been told of another channel since.
    if (this.discarded(fd)) return;
    const pending = this.#pending;
    if (pending === null || (pending.channel?.receiverFd ?? -1) !== fd) return;
    this.#pending = null;
    if (this.#acceptor.current === null || this.#routes === null) {
      // The next acceptor gets a channel of its own, and a shard that is to end needs none.
      if (pending.channel !== null) discardEnd(pending.channel.sender);
      return;
    }
    this.#opening = pending.channel;
    this.#acceptor.tell(pending.message, pending.transfer);
  }

  /** The end `fd` is the shard's to close, or closed by it. Returns whether that channel was overtaken. */
  discarded(fd: number): boolean {
    const at = this.#overtaken.findIndex(({ receiverFd }) => receiverFd === fd);
    if (at >= 0) this.#overtaken.splice(at, 1);
    return at >= 0;
  }

  /** The acceptor has opened its end. */
  known(): void {
    this.#opening = null;
  }

  /** The acceptor's thread is gone: the end that it was told to open, it did not open. */
  acceptorEnded(): void {
    if (this.#opening !== null) discardEnd(this.#opening.sender);
    this.#opening = null;
  }

  #attachPort(instance: ShardInstance, routes: readonly RouteEntry[]): void {
    const { port1, port2 } = new MessageChannel();
    this.#pending = {
      message: { type: 'shard-up', index: this.#index, routes, end: port1 },
      transfer: [port1],
      channel: null,
    };
    instance.post({ type: 'transfer-port', port: port2 }, [port2]);
  }
}
