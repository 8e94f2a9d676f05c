import { randomInt } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { MessageChannel, type Transferable, Worker } from 'node:worker_threads';
import { MillraceError } from '../errors.ts';
import { ACCEPT_BACKOFF, bindAddress, boundPort, listenError } from '../net/listener.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import {
  type Channel,
  createChannel,
  discardEnd,
  HandoffSender,
  testHandoff,
} from '../net/socket-handoff.ts';
import { canTransferSockets } from '../net/socket-transfer.ts';
import { ControlBlock, Gauge, type ShardState } from '../ring/control-block.ts';
import {
  type AcceptorData,
  type AcceptorLimits,
  type Balance,
  type FromAcceptor,
  type FromShard,
  HandoffMode,
  type RouteEntry,
  type ToAcceptor,
} from './control-message.ts';
import { createLinkMemory, type LinkMemory } from './link-memory.ts';
import { Links } from './links.ts';
import { Publisher } from './publisher.ts';
import { RestartDelay } from './restart-delay.ts';
import { type ShardLife, ShardPool } from './shard-pool.ts';
import { settleCounters } from './stats.ts';

/** The entry point of the acceptor's thread, in the build. */
const ACCEPTOR_ENTRY = new URL('../../workers/acceptor.js', import.meta.url);

export interface SupervisorOptions {
  readonly module: string;
  readonly host: string;
  readonly port: number;
  readonly shards: number;
  readonly balance: Balance;
  readonly limits: AcceptorLimits;
  readonly data: unknown;
  readonly handoff: HandoffMode | 'auto';
  /** Bytes of the ring of each pair of threads, a power of two. */
  readonly ringCapacity: number;
  /** Bytes that may wait for a ring without room. */
  readonly maxOverflow: number;
}

export interface SupervisorEvents {
  /** A shard ended unexpectedly; it is started anew after `delay` ms. */
  crash: [index: number, error: unknown, delay: number];
  /** `dropped` messages of thread `from` (the number of shards: the main thread) were dropped for shard `to`. */
  overflow: [from: number, to: number, dropped: number];
  /** The acceptor ended unexpectedly; it is started anew at once. */
  acceptorCrash: [error: unknown];
}

/** How long a new acceptor waits for shards that are slow to join it, when it has one, in ms. */
const JOIN_PATIENCE = 250;

/** What makes the acceptor send connections to a shard, once the shard has opened its end of the channel. */
interface Join {
  readonly message: ToAcceptor;
  readonly transfer: readonly Transferable[];
  /** Null in transfer mode. */
  readonly channel: Channel | null;
}

interface ShardSlot {
  readonly index: number;
  life: ShardLife | null;
  /** Null until the shard is ready. */
  routes: readonly RouteEntry[] | null;
  join: Join | null;
  /** The channel whose sending end the acceptor was told to open, and has not opened yet. */
  offered: Channel | null;
  readonly delay: RestartDelay;
  restart: NodeJS.Timeout | null;
  /** Called when the acceptor knows the shard, or it ended. */
  waiting: (() => void)[];
  /** Resolves what waits for the shard to be ready. */
  onReady: (() => void) | null;
  onFailed: ((error: MillraceError) => void) | null;
}

/**
 * Supervisor: main thread. It owns the listening socket, starts the acceptor and the shards, joins them with
 * channels, and starts anew what dies.
 */
export class Supervisor extends EventEmitter<SupervisorEvents> {
  readonly control: ControlBlock;
  readonly linkMemory: LinkMemory;
  /** The main thread's side of the rings. */
  readonly links: Links;
  readonly #publisher: Publisher;
  readonly #options: SupervisorOptions;
  readonly #pool: ShardPool;
  readonly #slots: ShardSlot[];
  #mode: HandoffMode = HandoffMode.CHANNEL;
  #listening: TcpHandle | null = null;
  #port = -1;
  #acceptor: Worker | null = null;
  /** Main's end of the channel that listening sockets go to the acceptor by. */
  #toAcceptor: HandoffSender | null = null;
  readonly #acceptorDelay = new RestartDelay();
  /** What waits for the first listening. */
  #onListening: { resolve(): void; reject(error: MillraceError): void } | null = null;
  #isClosing = false;

  constructor(options: SupervisorOptions) {
    super();
    this.#options = options;
    const { shards } = options;
    this.control = new ControlBlock(shards);
    // Random: who names topics must not be able to choose where they land in the tables.
    this.linkMemory = createLinkMemory(shards, randomInt(2 ** 32), options.ringCapacity, options.maxOverflow);
    this.links = new Links(this.linkMemory, shards, (to, dropped) =>
      this.emit('overflow', shards, to, dropped),
    );
    this.#publisher = new Publisher(this.links);
    this.#pool = new ShardPool(shards);
    this.#slots = Array.from({ length: shards }, (_, index) => ({
      index,
      life: null,
      routes: null,
      join: null,
      offered: null,
      delay: new RestartDelay(),
      restart: null,
      waiting: [],
      onReady: null,
      onFailed: null,
    }));
  }

  /** The port that is listened on. */
  get port(): number {
    return this.#port;
  }

  get mode(): HandoffMode {
    return this.#mode;
  }

  /** Resolves when connections are accepted. Rejects, leaving nothing behind, when anything is in the way. */
  async start(): Promise<void> {
    try {
      this.#mode = await chooseMode(this.#options.handoff);
      if (this.#mode === HandoffMode.CHANNEL) this.#bind();
      await this.#startAcceptor();
      await Promise.all(this.#slots.map((slot) => this.#startFirst(slot)));
      await this.#listen();
    } catch (error) {
      await this.#end();
      throw error;
    }
  }

  /** Publishes from the main thread. Returns whether the topic has a subscriber. */
  publish(topic: string, message: Uint8Array, isBinary: boolean): boolean {
    return this.#publisher.publish(topic, message, isBinary);
  }

  /** Accepts no more, ends all connections with `code`, and ends the threads; after `deadline` ms by force. */
  async close(code: number, deadline: number): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#tellAcceptor({ type: 'stop' });
    this.#listening?.close();
    this.#listening = null;
    const ends: Promise<void>[] = [];
    for (const { life, restart } of this.#slots) {
      if (restart !== null) clearTimeout(restart);
      if (life === null) continue;
      life.post({ type: 'drain', code, deadline });
      ends.push(life.ended);
    }
    // A shard whose event loop hangs does not answer; its thread is ended all the same.
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadline + GRACE);
    });
    await Promise.race([Promise.allSettled(ends), limit]);
    clearTimeout(timer);
    await this.#end();
  }

  async #end(): Promise<void> {
    this.#isClosing = true;
    this.#listening?.close();
    this.#listening = null;
    this.#toAcceptor?.close();
    await Promise.all([this.#acceptor?.terminate(), this.#pool.destroy()]);
  }

  // Listening.

  #bind(): void {
    const { host, port } = this.#options;
    // Here, so that an address in use is told before any thread exists. The acceptor listens, on its duplicate:
    // a handle that listens in this thread would take half of the connections.
    this.#listening = bindAddress(host, port);
    this.#port = boundPort(this.#listening);
  }

  /** Lets the acceptor accept; resolves when it does. */
  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onListening = { resolve, reject };
      this.#sendListener();
    });
  }

  /** Gives the acceptor a duplicate of the listening socket; the original stays, and with it the backlog. */
  #sendListener(): void {
    if (this.#mode === HandoffMode.TRANSFER) {
      const { host, port } = this.#options;
      this.#tellAcceptor({ type: 'listen', host, port: this.#port === -1 ? port : this.#port });
      return;
    }
    if (this.#listening === null || this.#toAcceptor === null) return;
    this.#toAcceptor.sendDuplicate('listener', this.#listening);
  }

  // The acceptor.

  async #startAcceptor(): Promise<void> {
    const { shards, limits, balance } = this.#options;
    const channel = this.#mode === HandoffMode.CHANNEL ? await createChannel() : null;
    if (this.#isClosing) {
      if (channel !== null) discardChannel(channel);
      return;
    }
    if (channel !== null) {
      this.#toAcceptor?.close();
      this.#toAcceptor = new HandoffSender(channel.sender);
    }
    const data: AcceptorData = {
      mode: this.#mode,
      control: this.control.memory,
      shards,
      limits,
      balance,
      listenFd: channel === null ? -1 : channel.receiverFd,
    };
    let worker: Worker;
    try {
      worker = new Worker(ACCEPTOR_ENTRY, { workerData: data, name: 'millrace acceptor' });
    } catch (error) {
      if (channel !== null) discardEnd(channel.receiver);
      throw error;
    }
    this.#acceptor = worker;
    let cause: unknown = new Error('the acceptor thread exited');
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      this.#acceptor = null;
      if (!this.#isClosing) void this.#restartAcceptor(cause);
    });
    worker.on('message', (message: FromAcceptor) => {
      this.#onAcceptorMessage(message);
    });
  }

  #onAcceptorMessage(message: FromAcceptor): void {
    switch (message.type) {
      case 'listening':
        if (this.#mode === HandoffMode.TRANSFER) this.#port = message.port;
        this.#onListening?.resolve();
        this.#onListening = null;
        break;
      case 'listen-failed':
        if (this.#onListening === null) this.#sendListenerSoon();
        this.#onListening?.reject(listenError(this.#options.host, this.#options.port, message.error));
        break;
      case 'listener-lost':
        this.#sendListenerSoon();
        break;
      case 'shard-known':
        this.#shardKnown(this.#slots[message.index]!);
        break;
      case 'shard-lost':
        this.#connectSoon(this.#slots[message.index]!);
        break;
    }
  }

  #sendListenerSoon(): void {
    setTimeout(() => {
      this.#sendListener();
    }, ACCEPT_BACKOFF);
  }

  /** Connections live on in the shards; who connects meanwhile waits in the kernel's backlog. */
  async #restartAcceptor(cause: unknown): Promise<void> {
    for (const slot of this.#slots) {
      if (slot.offered !== null) discardEnd(slot.offered.sender);
      slot.offered = null;
    }
    // What it had accepted and not handed over died with it.
    settleCounters(this.control.counters(this.#options.shards));
    this.emit('acceptorCrash', cause);
    await sleep(this.#acceptorDelay.next(performance.now()));
    for (let isStarted = false; !isStarted && !this.#isClosing; ) {
      // Without descriptors it cannot be started now.
      isStarted = await this.#startAcceptor().then(
        () => true,
        () => sleep(ACCEPT_BACKOFF, false),
      );
    }
    const acceptor = this.#acceptor;
    await this.#joinAll();
    // It may have died meanwhile, and be replaced in turn.
    if (this.#acceptor === acceptor) this.#sendListener();
  }

  /** Joins a new acceptor with the shards. One that is busy does not hold up the others for long. */
  async #joinAll(): Promise<void> {
    const slots = this.#slots.filter(({ routes }) => routes !== null);
    if (slots.length === 0) return;
    const known = slots.map((slot) => new Promise<void>((resolve) => slot.waiting.push(resolve)));
    for (const slot of slots) void this.#connect(slot);
    await Promise.race(known);
    await Promise.race([Promise.all(known), sleep(JOIN_PATIENCE)]);
  }

  #tellAcceptor(message: ToAcceptor, transfer: readonly Transferable[] = []): void {
    this.#acceptor?.postMessage(message, transfer);
  }

  // The shards.

  /** The first start: an app module that cannot be used is the caller's mistake. */
  #startFirst(slot: ShardSlot): Promise<void> {
    return new Promise((resolve, reject) => {
      slot.onReady = resolve;
      slot.onFailed = reject;
      this.#startShard(slot);
    });
  }

  #startShard(slot: ShardSlot): void {
    const { module, data, limits, shards } = this.#options;
    slot.restart = null;
    slot.routes = null;
    let failure: MillraceError | null = null;
    const life = this.#pool.start(
      {
        index: slot.index,
        count: shards,
        control: this.control.memory,
        module,
        data,
        limits,
        links: this.linkMemory,
      },
      (message) => {
        if (message.type === 'failed') failure = badModule(module, message);
        else this.#onShardMessage(slot, message);
      },
    );
    slot.life = life;
    const ended = (error: unknown): void => {
      if (slot.life === life) this.#shardEnded(slot, failure ?? error);
    };
    life.ended.then(() => {
      ended(new Error('the shard returned'));
    }, ended);
  }

  #onShardMessage(slot: ShardSlot, message: FromShard): void {
    if (message.type === 'ready') {
      slot.routes = message.routes;
      void this.#connect(slot);
    } else if (message.type === 'connected') {
      const { join } = slot;
      // Another channel may have been offered since.
      if (join === null || (join.channel?.receiverFd ?? -1) !== message.fd) return;
      slot.join = null;
      if (this.#acceptor === null) {
        // The next one gets a channel of its own.
        if (join.channel !== null) discardEnd(join.channel.sender);
        return;
      }
      slot.offered = join.channel;
      this.#tellAcceptor(join.message, join.transfer);
    } else if (message.type === 'overflow') {
      this.emit('overflow', slot.index, message.to, message.dropped);
    }
  }

  /** The acceptor sends connections to the shard from here on. */
  #shardKnown(slot: ShardSlot): void {
    slot.offered = null;
    slot.onReady?.();
    slot.onReady = null;
    slot.onFailed = null;
    for (const resolve of slot.waiting.splice(0)) resolve();
  }

  /** Joins a shard and the acceptor: the shard gets its end first. */
  async #connect(slot: ShardSlot): Promise<void> {
    const { index, life, routes } = slot;
    // A new acceptor joins all shards that are ready.
    if (life === null || routes === null || this.#acceptor === null || this.#isClosing) return;
    if (this.#mode === HandoffMode.TRANSFER) {
      const { port1, port2 } = new MessageChannel();
      slot.join = {
        message: { type: 'shard-port', index, routes, port: port1 },
        transfer: [port1],
        channel: null,
      };
      life.post({ type: 'transfer-port', port: port2 }, [port2]);
      return;
    }
    const acceptor = this.#acceptor;
    let channel: Channel;
    try {
      channel = await createChannel();
    } catch {
      // No descriptors, mostly.
      this.#connectSoon(slot);
      return;
    }
    if (slot.life !== life || this.#acceptor !== acceptor || this.#isClosing) {
      discardChannel(channel);
      return;
    }
    // An offer the shard has not taken up is void; if it does so now, it finds that end closed.
    const before = slot.join?.channel ?? null;
    if (before !== null) discardEnd(before.sender);
    slot.join = {
      message: { type: 'shard-up', index, routes, fd: channel.senderFd },
      transfer: [],
      channel,
    };
    life.post({ type: 'channel', fd: channel.receiverFd });
  }

  #connectSoon(slot: ShardSlot): void {
    const { life } = slot;
    setTimeout(() => {
      if (slot.life === life) void this.#connect(slot);
    }, ACCEPT_BACKOFF);
  }

  #shardEnded(slot: ShardSlot, error: unknown): void {
    slot.life = null;
    slot.routes = null;
    const channel = slot.join?.channel ?? null;
    if (channel !== null) discardChannel(channel);
    slot.join = null;
    for (const resolve of slot.waiting.splice(0)) resolve();
    this.control.clearShard(slot.index);
    settleCounters(this.control.counters(slot.index));
    this.links.clearShard(slot.index);
    if (this.#isClosing) return;
    for (const { life } of this.#slots) life?.post({ type: 'shard-down', index: slot.index });
    this.#tellAcceptor({ type: 'shard-down', index: slot.index });
    if (slot.onFailed !== null) {
      slot.onFailed(error instanceof MillraceError ? error : crashed(slot.index, error));
      return;
    }
    const delay = slot.delay.next(performance.now());
    this.emit('crash', slot.index, error, delay);
    slot.restart = setTimeout(() => {
      this.#startShard(slot);
    }, delay);
  }

  /** A shard's state, as the control block has it. */
  state(index: number): ShardState {
    return this.control.gauge(index, Gauge.STATE) as ShardState;
  }
}

/** Ms after the drain's deadline until threads are ended by force. */
const GRACE = 1000;

async function chooseMode(wanted: HandoffMode | 'auto'): Promise<HandoffMode> {
  if (wanted === HandoffMode.TRANSFER) {
    if (canTransferSockets()) return wanted;
    throw new MillraceError(
      'MILLRACE_UNSUPPORTED_RUNTIME',
      `handoff: 'transfer' needs Node.js 24.20, 26.6 or later; this is ${process.version}`,
    );
  }
  try {
    await testHandoff();
    return HandoffMode.CHANNEL;
  } catch (error) {
    if (wanted === 'auto' && canTransferSockets()) return HandoffMode.TRANSFER;
    throw error;
  }
}

/** Closes a channel that nobody opened. */
function discardChannel(channel: Channel): void {
  discardEnd(channel.sender);
  discardEnd(channel.receiver);
}

function badModule(module: string, failure: { message: string; stack: string }): MillraceError {
  const cause = new Error(failure.message);
  cause.stack = failure.stack;
  return new MillraceError('MILLRACE_BAD_MODULE', `Cannot use the app module ${module}: ${failure.message}`, {
    cause,
  });
}

function crashed(index: number, cause: unknown): MillraceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError('MILLRACE_SHARD_CRASHED', `Shard ${index} ended while it started: ${reason}`, {
    cause,
  });
}
