import { randomInt } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { MessageChannel, type Transferable } from 'node:worker_threads';
import { MillraceError } from '../errors.ts';
import { type Channel, createChannel, discardChannel, discardEnd } from '../net/handoff-channel.ts';
import { ACCEPT_BACKOFF } from '../net/listener.ts';
import { testHandoff } from '../net/socket-handoff.ts';
import { canTransferSockets } from '../net/socket-transfer.ts';
import type { TlsCredentials } from '../net/tls-context.ts';
import { CloseCode } from '../protocol/close-code.ts';
import { ControlBlock, Gauge, type ShardState } from '../ring/control-block.ts';
import { AcceptorHost } from './acceptor-host.ts';
import {
  type AcceptorLimits,
  type Balance,
  type FromShard,
  HandoffMode,
  type RouteEntry,
  type TlsSetup,
  type ToAcceptor,
} from './control-message.ts';
import { createLinkMemory, type LinkMemory } from './link-memory.ts';
import { Links } from './links.ts';
import { GRACE, within } from './patience.ts';
import { Publisher } from './publisher.ts';
import { RestartDelay } from './restart-delay.ts';
import { type ShardLife, ShardPool } from './shard-pool.ts';
import { settleCounters } from './stats.ts';
import { type ProfiledThread, profileThreads, recordThread, type ThreadProfile } from './thread-profiler.ts';

export interface SupervisorOptions {
  readonly module: string;
  readonly host: string;
  readonly port: number;
  readonly shards: number;
  readonly balance: Balance;
  readonly limits: AcceptorLimits;
  /** Null: connections are plain. */
  readonly tls: TlsSetup | null;
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
  pool: ShardPool;
  life: ShardLife | null;
  /** The life that is being replaced: its end is no crash. */
  retiring: ShardLife | null;
  /** Where its successor gets ready. */
  nextPool: ShardPool | null;
  /** Null until the shard is ready. */
  routes: readonly RouteEntry[] | null;
  join: Join | null;
  /** The channel whose sending end the acceptor was told to open, and has not opened yet. */
  offered: Channel | null;
  readonly delay: RestartDelay;
  restart: NodeJS.Timeout | null;
  /** Called when the shard has taken up new credentials, with what was wrong, or ended. */
  reloading: ((errors: readonly string[]) => void)[];
  /** Called when the acceptor knows the shard, or it ended. */
  waiting: (() => void)[];
  /** Resolves what waits for the shard to be ready. */
  onReady: (() => void) | null;
  onFailed: ((error: MillraceError) => void) | null;
}

/** Supervisor: main thread. It starts the acceptor and the shards, joins them with channels, and starts anew what dies. */
export class Supervisor extends EventEmitter<SupervisorEvents> {
  readonly control: ControlBlock;
  readonly linkMemory: LinkMemory;
  /** The main thread's side of the rings. */
  readonly links: Links;
  readonly #publisher: Publisher;
  readonly #options: SupervisorOptions;
  readonly #slots: ShardSlot[];
  #mode: HandoffMode = HandoffMode.CHANNEL;
  /** Null until the mode is known. */
  #acceptor: AcceptorHost | null = null;
  #isClosing = false;
  /** What shards that start from now on get. */
  #tls: TlsSetup | null;

  constructor(options: SupervisorOptions) {
    super();
    this.#options = options;
    this.#tls = options.tls;
    const { shards } = options;
    this.control = new ControlBlock(shards);
    // Random: who names topics must not be able to choose where they land in the tables.
    this.linkMemory = createLinkMemory(shards, randomInt(2 ** 32), options.ringCapacity, options.maxOverflow);
    this.links = new Links(this.linkMemory, shards, (to, dropped) =>
      this.emit('overflow', shards, to, dropped),
    );
    this.#publisher = new Publisher(this.links);
    this.#slots = Array.from({ length: shards }, (_, index) => ({
      index,
      pool: new ShardPool(),
      life: null,
      retiring: null,
      nextPool: null,
      routes: null,
      join: null,
      offered: null,
      delay: new RestartDelay(),
      restart: null,
      reloading: [],
      waiting: [],
      onReady: null,
      onFailed: null,
    }));
  }

  /** The port that is listened on. */
  get port(): number {
    return this.#acceptor?.port ?? -1;
  }

  get mode(): HandoffMode {
    return this.#mode;
  }

  /** Resolves when connections are accepted. Rejects, leaving nothing behind, when anything is in the way. */
  async start(): Promise<void> {
    try {
      this.#mode = await chooseMode(this.#options.handoff);
      this.#acceptor = this.#hostAcceptor();
      await this.#acceptor.start();
      await Promise.all(this.#slots.map((slot) => this.#startFirst(slot)));
      await this.#acceptor.listen();
    } catch (error) {
      // Not by force: a thread that is cut off between two steps can leave a descriptor behind.
      await this.close(CloseCode.GOING_AWAY, 0);
      throw error;
    }
  }

  /** Publishes from the main thread. Returns whether the topic has a subscriber. */
  publish(topic: string, message: Uint8Array, isBinary: boolean, compress: boolean): boolean {
    return this.#publisher.publish(topic, message, isBinary, compress);
  }

  /** Has all shards use these credentials; resolves with what was wrong with those of their server names. */
  async reloadTls(credentials: TlsCredentials): Promise<readonly string[]> {
    this.#tls = { ...this.#tls!, credentials };
    const answers = this.#slots.flatMap(({ life, reloading }) => {
      if (life === null) return [];
      life.post({ type: 'tls', credentials });
      return new Promise<readonly string[]>((resolve) => reloading.push(resolve));
    });
    const errors = new Set<string>();
    const all = answers.map(async (answer) => {
      for (const error of await answer) errors.add(error);
    });
    // A shard whose event loop hangs does so later.
    await within(Promise.all(all), GRACE);
    return [...errors];
  }

  /** Records all threads for as long as `recorded` takes. */
  profile(interval: number, recorded: () => Promise<void>): Promise<ThreadProfile[]> {
    const acceptor = this.#acceptor;
    const threads: ProfiledThread[] = [{ thread: 'main', post: recordThread }];
    if (acceptor !== null && acceptor.current !== null) {
      threads.push({
        thread: 'acceptor',
        post: (message, transfer) => {
          acceptor.tell(message, transfer);
        },
      });
    }
    for (const { index, life } of this.#slots) {
      if (life === null) continue;
      threads.push({
        thread: `shard ${index}`,
        post: (message, transfer) => {
          life.post(message, transfer);
        },
      });
    }
    return profileThreads(threads, interval, recorded);
  }

  /** Accepts no more, ends all connections with `code`, and ends the threads; after `deadline` ms by force. */
  async close(code: number, deadline: number): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    await this.#acceptor?.stop();
    const ends: Promise<void>[] = [];
    for (const { life, restart } of this.#slots) {
      if (restart !== null) clearTimeout(restart);
      if (life === null) continue;
      life.post({ type: 'drain', code, deadline });
      ends.push(life.ended);
    }
    // A shard whose event loop hangs does not answer; its thread is ended all the same.
    await within(Promise.allSettled(ends), deadline + GRACE);
    const pools = this.#slots.flatMap(({ pool, nextPool }) =>
      nextPool === null ? [pool] : [pool, nextPool],
    );
    await Promise.all([this.#acceptor?.terminate(), ...pools.map((pool) => pool.destroy())]);
  }

  // The acceptor.

  #hostAcceptor(): AcceptorHost {
    return new AcceptorHost({ ...this.#options, mode: this.#mode }, this.control, {
      onShardKnown: (index) => {
        this.#shardKnown(this.#slots[index]!);
      },
      onShardLost: (index) => {
        this.#connectSoon(this.#slots[index]!);
      },
      onEnded: () => {
        for (const slot of this.#slots) {
          if (slot.offered !== null) discardEnd(slot.offered.sender);
          slot.offered = null;
        }
      },
      onCrash: (cause) => {
        this.emit('acceptorCrash', cause);
      },
      join: () => this.#joinAll(),
    });
  }

  /** Joins a new acceptor with the shards. One that is busy does not hold up the others for long. */
  async #joinAll(): Promise<void> {
    const slots = this.#slots.filter(({ routes }) => routes !== null);
    if (slots.length === 0) return;
    const known = slots.map((slot) => new Promise<void>((resolve) => slot.waiting.push(resolve)));
    for (const slot of slots) void this.#connect(slot);
    await Promise.race(known);
    await within(Promise.all(known), JOIN_PATIENCE);
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
    slot.restart = null;
    slot.routes = null;
    let failure: MillraceError | null = null;
    const life = this.#launch(slot, slot.pool, false, (message) => {
      if (message.type === 'failed') failure = badModule(this.#options.module, message);
      else this.#onShardMessage(slot, message);
    });
    slot.life = life;
    const ended = (error: unknown): void => {
      if (slot.life === life && slot.retiring !== life) this.#shardEnded(slot, failure ?? error);
    };
    life.ended.then(() => {
      ended(new Error('the shard returned'));
    }, ended);
  }

  #launch(
    { index }: ShardSlot,
    pool: ShardPool,
    isSuccessor: boolean,
    onMessage: (message: FromShard) => void,
  ): ShardLife {
    const { module, data, limits, shards } = this.#options;
    return pool.start(
      {
        index,
        count: shards,
        control: this.control.memory,
        module,
        data,
        limits,
        tls: this.#tls,
        links: this.linkMemory,
        isSuccessor,
      },
      onMessage,
    );
  }

  // Reloading.

  /**
   * Replaces the shards one by one: each only when its successor has loaded the module.
   *
   * @throws MillraceError MILLRACE_BAD_MODULE when it cannot be loaded; that shard and those behind it stay
   */
  async reload(code: number, deadline: number): Promise<void> {
    for (const slot of this.#slots) {
      if (this.#isClosing) return;
      await this.#replace(slot, code, deadline);
    }
  }

  async #replace(slot: ShardSlot, code: number, deadline: number): Promise<void> {
    // One that is being started may have loaded the old module.
    if (slot.life !== null && slot.routes === null) {
      await new Promise<void>((resolve) => slot.waiting.push(resolve));
    }
    const old = slot.life;
    // One that crashed loads the module anew anyhow.
    if (old === null || slot.routes === null || this.#isClosing) return;
    const tls = this.#tls;
    const pool = new ShardPool();
    slot.nextPool = pool;
    let successor: ShardLife;
    try {
      successor = await this.#prepare(slot, pool);
    } catch (error) {
      slot.nextPool = null;
      await pool.destroy();
      if (this.#isClosing) return;
      throw error;
    }
    if (this.#isClosing) return;
    if (slot.life !== old) {
      slot.nextPool = null;
      await pool.destroy();
      return;
    }
    await this.#retire(slot, old, code, deadline);
    if (this.#isClosing) return;
    slot.pool = pool;
    slot.nextPool = null;
    slot.life = successor;
    if (tls !== this.#tls && this.#tls !== null) {
      successor.post({ type: 'tls', credentials: this.#tls.credentials });
    }
    const known = new Promise<void>((resolve) => slot.waiting.push(resolve));
    successor.post({ type: 'take-over' });
    // From here on it is a shard like any other: if it ends, it is started anew.
    const ended = (error: unknown): void => {
      if (slot.life === successor && slot.retiring !== successor) this.#shardEnded(slot, error);
    };
    successor.ended.then(() => {
      ended(new Error('the shard returned'));
    }, ended);
    await within(known, GRACE);
  }

  /** Resolves when the successor of a shard has loaded the module, and waits. */
  #prepare(slot: ShardSlot, pool: ShardPool): Promise<ShardLife> {
    return new Promise((resolve, reject) => {
      let failure: MillraceError | null = null;
      const life = this.#launch(slot, pool, true, (message) => {
        if (message.type === 'failed') failure = badModule(this.#options.module, message);
        else if (message.type === 'prepared') resolve(life);
        else if (slot.life === life) this.#onShardMessage(slot, message);
      });
      life.ended.catch((error: unknown) => {
        reject(failure ?? crashed(slot.index, error));
      });
    });
  }

  /** Ends a shard politely: what was sent to it arrives, and its connections get `deadline` ms to leave. */
  async #retire(slot: ShardSlot, life: ShardLife, code: number, deadline: number): Promise<void> {
    slot.retiring = life;
    // No channel is made for it any more.
    slot.routes = null;
    this.#acceptor?.tell({ type: 'shard-retires', index: slot.index });
    life.post({ type: 'drain', code, deadline });
    await within(Promise.allSettled([life.ended]), deadline + GRACE);
    // Its thread may hang, and must not live beside its successor.
    await slot.pool.destroy();
    slot.retiring = null;
    this.#clear(slot);
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
      if (this.#acceptor?.current === null || slot.routes === null) {
        // The next one gets a channel of its own, and a shard that is to end needs none.
        if (join.channel !== null) discardEnd(join.channel.sender);
        return;
      }
      slot.offered = join.channel;
      this.#acceptor?.tell(join.message, join.transfer);
    } else if (message.type === 'tls-loaded') {
      slot.reloading.shift()?.(message.errors);
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
    const acceptor = this.#acceptor?.current ?? null;
    if (life === null || routes === null || acceptor === null || this.#isClosing) return;
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
    let channel: Channel;
    try {
      channel = await createChannel();
    } catch {
      // No descriptors, mostly.
      this.#connectSoon(slot);
      return;
    }
    if (slot.life !== life || this.#acceptor?.current !== acceptor || this.#isClosing) {
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

  /** The thread of a shard is gone. */
  #clear(slot: ShardSlot): void {
    slot.life = null;
    slot.routes = null;
    const channel = slot.join?.channel ?? null;
    if (channel !== null) discardChannel(channel);
    slot.join = null;
    for (const resolve of slot.waiting.splice(0)) resolve();
    for (const resolve of slot.reloading.splice(0)) resolve([]);
    this.control.clearShard(slot.index);
    settleCounters(this.control.counters(slot.index));
    this.links.clearShard(slot.index);
    if (this.#isClosing) return;
    for (const { life } of this.#slots) life?.post({ type: 'shard-down', index: slot.index });
    this.#acceptor?.tell({ type: 'shard-down', index: slot.index });
  }

  #shardEnded(slot: ShardSlot, error: unknown): void {
    this.#clear(slot);
    if (this.#isClosing) return;
    if (slot.onFailed !== null) {
      slot.onFailed(error instanceof MillraceError ? error : crashed(slot.index, error));
      return;
    }
    const delay = slot.delay.next(performance.now());
    this.emit('crash', slot.index, error, delay);
    slot.restart = setTimeout(() => {
      if (!this.#isClosing) this.#startShard(slot);
    }, delay);
  }

  /** A shard's state, as the control block has it. */
  state(index: number): ShardState {
    return this.control.gauge(index, Gauge.STATE) as ShardState;
  }
}

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
