import { buffersOf, type Handover } from '../bus/participant.ts';
import { HANDOVER_TIMEOUT, type HandoverReport } from '../bus/state-keepers.ts';
import { messageOf } from '../error-report.ts';
import { MillraceError } from '../errors.ts';
import type { TlsCredentials } from '../net/tls-context.ts';
import type { FromShard, ModuleFailure, ShardData, TlsSetup } from '../shard/control-message.ts';
import type { DrainTerms } from '../shard/drain.ts';
import type { HeapUse } from '../shard/heap-watch.ts';
import type { ProfiledThread } from '../shard/thread-profiler.ts';
import { deadline, GRACE, isFulfilled, within } from '../shard/timeout.ts';
import type { AcceptorHost } from './acceptor-host.ts';
import { RestartDelay } from './restart-delay.ts';
import { ShardJoin } from './shard-join.ts';
import { type ShardLife, ShardPool } from './shard-pool.ts';

/** What every life of the shard is started with. */
export type ShardHostOptions = Omit<ShardData, 'port' | 'isSuccessor'>;

export interface ShardHostEvents {
  /**
   * Its thread is gone; what it had in shared memory is to be cleared. `isHandedOver`: but for its place in the rings,
   * where its successor goes on.
   */
  onGone(isHandedOver: boolean): void;
  /** A new life has taken over what the former one has left, unless that could leave nothing, and what is lost. */
  onTakenOver(isHandedOver: boolean, report: HandoverReport): void;
  /** It ended unexpectedly, and is started anew after `delay` ms. */
  onCrash(cause: unknown, delay: number): void;
  /** It does not take the connections it is sent. */
  onStalled(): void;
  /** It takes them again, after `duration` ms. */
  onRecovered(duration: number): void;
  /** A full collection has left its heap fuller than it is to be. */
  onHeapFull(heap: HeapUse): void;
  /** `dropped` of its messages were dropped for shard `to`. */
  onOverflow(to: number, dropped: number): void;
}

/**
 * ShardHost: main thread's side of a shard. It starts the shard's thread, starts it anew when it dies, and replaces it
 * with a successor when the app module is loaded anew.
 */
export class ShardHost {
  readonly #options: ShardHostOptions;
  readonly #acceptor: AcceptorHost;
  readonly #events: ShardHostEvents;
  readonly #join: ShardJoin;
  readonly #delay = new RestartDelay();
  /** What a life that starts from now on gets. */
  #tls: TlsSetup | null;
  #pool: ShardPool;
  #life: ShardLife | null = null;
  /** The life that is being replaced: its end is no crash. */
  #retiring: ShardLife | null = null;
  /** What that life has left for its successor. */
  #handover: Handover | null = null;
  /** Called when it begins to pack that. */
  #onHandsOver: (() => void) | null = null;
  /** Where its successor gets ready. */
  #nextPool: ShardPool | null = null;
  #restart: NodeJS.Timeout | null = null;
  /** Called when the shard has taken up new credentials, with what was wrong, or ended. */
  #reloading: ((errors: readonly string[]) => void)[] = [];
  /** Called when the acceptor knows the shard, or it ended. */
  #waiting: (() => void)[] = [];
  /** Called when the module is loaded, or the shard ended. */
  #onLoaded: (() => void)[] = [];
  /** Runs from then on, or from a take-over, until the shard has opened the first channel that it was offered. */
  #joining: NodeJS.Timeout | undefined;
  /** What waits for the first start. */
  #onStarted: { resolve(): void; reject(error: MillraceError): void } | null = null;
  /** When it was told that it does not take what it is sent, in ms of `performance.now()`; -1: it does. */
  #stalledAt = -1;
  #isClosing = false;

  constructor(options: ShardHostOptions, acceptor: AcceptorHost, events: ShardHostEvents) {
    this.#options = options;
    this.#pool = new ShardPool(options.limits.maxHeapSize);
    this.#tls = options.tls;
    this.#acceptor = acceptor;
    this.#events = events;
    this.#join = new ShardJoin(options.index, acceptor);
  }

  get index(): number {
    return this.#options.index;
  }

  /** It has loaded its module, and is to have connections. */
  get isReady(): boolean {
    return this.#join.isReady;
  }

  /** The first start; resolves when the shard gets connections. An app module that cannot be used is the caller's mistake. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onStarted = { resolve, reject };
      this.#startThread();
    });
  }

  /** Has the shard use these credentials; resolves with what was wrong with those of its server names. */
  reloadTls(credentials: TlsCredentials): Promise<readonly string[]> {
    this.#tls = { ...this.#tls!, credentials };
    const life = this.#life;
    if (life === null) return Promise.resolve([]);
    life.post({ type: 'tls', credentials });
    return new Promise((resolve) => this.#reloading.push(resolve));
  }

  /** Its thread as the profiler sees it; null while there is none. */
  profiled(): ProfiledThread | null {
    const life = this.#life;
    if (life === null) return null;
    return {
      thread: `shard ${this.#options.index}`,
      post: (message, transfer) => {
        life.post(message, transfer);
      },
    };
  }

  // The acceptor.

  /** Joins it with a new acceptor; resolves when the acceptor knows it, or it ended. */
  join(): Promise<void> {
    const known = this.#known();
    void this.#join.connect();
    return known;
  }

  /** The channel to it broke. */
  joinSoon(): void {
    this.#join.connectSoon();
  }

  /** The acceptor sends connections to the shard from here on. */
  acceptorKnows(): void {
    this.#join.known();
    this.setStalled(false);
    this.#onStarted?.resolve();
    this.#onStarted = null;
    this.#wakeWaiting();
  }

  /** It does not take what the acceptor sends it, or does again. */
  setStalled(isStalled: boolean): void {
    const wasStalled = this.#stalledAt >= 0;
    // One that is replaced or gone is told of otherwise.
    if (isStalled === wasStalled || !this.isReady || this.#isClosing) return;
    const now = performance.now();
    const since = this.#stalledAt;
    this.#stalledAt = isStalled ? now : -1;
    if (isStalled) this.#events.onStalled();
    else this.#events.onRecovered(now - since);
  }

  acceptorEnded(): void {
    this.#join.acceptorEnded();
  }

  // Ending.

  /** It is not started anew any more. */
  stop(): void {
    this.#isClosing = true;
    this.#join.close();
    if (this.#restart !== null) clearTimeout(this.#restart);
  }

  /** After `stop`: ends its connections. Settles when its thread has ended. */
  async drain(terms: DrainTerms): Promise<void> {
    const life = this.#life;
    if (life === null) return;
    // One that is being replaced is drained already.
    if (this.#retiring !== life) life.post({ type: 'drain', terms, isReplaced: false });
    // One that has not loaded its module has no connections, and may never load it.
    if (this.isReady || this.#retiring === life) await life.ended;
    else await within(life.ended, GRACE);
  }

  /** Ends its thread, after `stop`. */
  async terminate(): Promise<void> {
    await Promise.all([this.#pool.destroy(), this.#nextPool?.destroy()]);
  }

  // The thread.

  #startThread(): void {
    this.#restart = null;
    if (this.#pool.isDestroyed) this.#pool = new ShardPool(this.#options.limits.maxHeapSize);
    let failure: MillraceError | null = null;
    const life = this.#launch(this.#pool, false, (message) => {
      if (message.type === 'failed') failure = badModule(this.#options.module, message);
      else this.#onMessage(message);
    });
    this.#life = life;
    this.#watch(life, () => failure);
  }

  #launch(pool: ShardPool, isSuccessor: boolean, onMessage: (message: FromShard) => void): ShardLife {
    const data = { ...this.#options, tls: this.#tls, isSuccessor };
    const patience = deadline(this.#options.limits.loadTimeout, () => {
      void pool.destroy(notLoaded(this.#options.module, this.#options.limits.loadTimeout));
    });
    const life = pool.start(data, (message) => {
      if (message.type === 'ready' || message.type === 'prepared') clearTimeout(patience);
      onMessage(message);
    });
    life.ended
      .catch(() => {})
      .finally(() => {
        clearTimeout(patience);
      });
    return life;
  }

  /** From here on it is started anew if it ends. `failure`: what it said of that. */
  #watch(life: ShardLife, failure: () => MillraceError | null): void {
    const ended = (error: unknown): void => {
      if (this.#life === life && this.#retiring !== life) this.#ended(failure() ?? error);
    };
    life.ended.then(() => {
      ended(new Error('the shard returned'));
    }, ended);
  }

  #onMessage(message: FromShard): void {
    if (message.type === 'ready') {
      if (this.#life === null) return;
      this.#join.ready(this.#life, message.routes);
      this.#awaitJoin();
      for (const resolve of this.#onLoaded.splice(0)) resolve();
    } else if (message.type === 'connected') {
      clearTimeout(this.#joining);
      this.#join.connected(message.fd);
    } else if (message.type === 'discarded') {
      this.#join.discarded(message.fd);
    } else if (message.type === 'tls-loaded') {
      this.#reloading.shift()?.(message.errors);
    } else if (message.type === 'hands-over') {
      this.#onHandsOver?.();
    } else if (message.type === 'handed-over') {
      this.#handover = message.handover;
    } else if (message.type === 'took-over') {
      this.#events.onTakenOver(message.isHandedOver, message.report);
    } else if (message.type === 'heap-full') {
      this.#events.onHeapFull(message.heap);
    } else if (message.type === 'overflow') {
      this.#events.onOverflow(message.to, message.dropped);
    }
  }

  /** Ends a thread that has loaded the module and stands still since. */
  #awaitJoin(): void {
    clearTimeout(this.#joining);
    this.#joining = deadline(this.#options.limits.loadTimeout, () => {
      // Without descriptors none can be offered, which is not its fault.
      if (!this.isReady || this.#join.isOffered)
        void this.#pool.destroy(notJoined(this.#options.module, this.#options.limits.loadTimeout));
      else this.#awaitJoin();
    });
  }

  #ended(error: unknown): void {
    this.#clear(false);
    if (this.#isClosing) return;
    if (this.#onStarted !== null) {
      this.#onStarted.reject(startError(this.#options.index, error));
      return;
    }
    const delay = this.#delay.next(performance.now());
    this.#events.onCrash(error, delay);
    this.#restart = setTimeout(() => {
      if (!this.#isClosing) this.#startThread();
    }, delay);
  }

  /** The thread is gone. `isHandedOver`: its successor goes on where it has stopped. */
  #clear(isHandedOver: boolean): void {
    this.#life = null;
    this.#stalledAt = -1;
    clearTimeout(this.#joining);
    for (const resolve of this.#onLoaded.splice(0)) resolve();
    this.#join.clear();
    this.#wakeWaiting();
    for (const resolve of this.#reloading.splice(0)) resolve([]);
    this.#events.onGone(isHandedOver);
  }

  /** Resolves when the acceptor knows the shard, or it ended. */
  #known(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wakeWaiting(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  // Replacing.

  /**
   * Replaces it with a thread that has loaded the module anew. Resolves with whether it did.
   *
   * @throws MillraceError MILLRACE_BAD_MODULE when the module cannot be loaded; the shard stays. MILLRACE_SHARD_CRASHED when
   *   the new thread ended before it had connections; it is started anew
   */
  async replace(terms: DrainTerms): Promise<boolean> {
    // One that is being started may have loaded the old module.
    if (this.#life !== null && !this.isReady) {
      await new Promise<void>((resolve) => this.#onLoaded.push(resolve));
    }
    const old = this.#life;
    // One that crashed loads the module anew anyhow.
    if (old === null || !this.isReady || this.#isClosing) return false;
    const tls = this.#tls;
    const pool = new ShardPool(this.#options.limits.maxHeapSize);
    this.#nextPool = pool;
    let successor: ShardLife;
    try {
      successor = await this.#prepare(pool);
    } catch (error) {
      await this.#dismiss(pool);
      if (this.#isClosing) return false;
      throw error;
    }
    if (this.#isClosing) return false;
    if (this.#life !== old) {
      await this.#dismiss(pool);
      return false;
    }
    const handover = await this.#retire(old, terms);
    if (this.#isClosing) return false;
    this.#pool = pool;
    this.#nextPool = null;
    this.#life = successor;
    if (tls !== this.#tls && this.#tls !== null) {
      successor.post({ type: 'tls', credentials: this.#tls.credentials });
    }
    const known = this.#known();
    successor.post({ type: 'take-over', handover }, handover === null ? [] : buffersOf(handover));
    this.#awaitJoin();
    // It is a shard like any other now.
    this.#watch(successor, () => null);
    // A successor that hangs is ended then, see #awaitJoin.
    await within(known, Math.max(2 * this.#options.limits.loadTimeout * 1000, GRACE));
    if (this.#isClosing) return false;
    if (this.#life === successor) return true;
    throw startError(this.#options.index, await successor.ended.catch((error: unknown) => error));
  }

  /** Resolves when the successor has loaded the module, and waits. */
  #prepare(pool: ShardPool): Promise<ShardLife> {
    return new Promise((resolve, reject) => {
      let failure: MillraceError | null = null;
      const life = this.#launch(pool, true, (message) => {
        if (message.type === 'failed') failure = badModule(this.#options.module, message);
        else if (message.type === 'prepared') resolve(life);
        else if (this.#life === life) this.#onMessage(message);
      });
      life.ended.catch((error: unknown) => {
        reject(failure ?? startError(this.#options.index, error));
      });
    });
  }

  /** The successor is not wanted. */
  async #dismiss(pool: ShardPool): Promise<void> {
    this.#nextPool = null;
    await pool.destroy();
  }

  /**
   * Ends the shard politely: what was sent to it arrives, and its connections get time to leave. Resolves with what it has
   * left for its successor; null: it could leave nothing, and the successor begins as after a crash.
   */
  async #retire(life: ShardLife, terms: DrainTerms): Promise<Handover | null> {
    this.#retiring = life;
    this.#join.retire();
    this.#acceptor.tell({ type: 'shard-retires', index: this.#options.index });
    const begun = new Promise<void>((resolve) => {
      this.#onHandsOver = resolve;
    });
    life.post({ type: 'drain', terms, isReplaced: true });
    const ended = Promise.allSettled([life.ended]);
    if (await isFulfilled(Promise.race([ended, begun]), terms.deadline + GRACE)) {
      await within(ended, HANDOVER_TIMEOUT + GRACE);
    }
    // Its thread may hang, and must not live beside its successor.
    await this.#pool.destroy();
    const handover = this.#handover;
    this.#handover = null;
    this.#onHandsOver = null;
    this.#retiring = null;
    this.#clear(handover !== null);
    return handover;
  }
}

function badModule(module: string, failure: ModuleFailure): MillraceError {
  if (failure.code !== undefined) return new MillraceError(failure.code, failure.message);
  const cause = new Error(failure.message);
  cause.stack = failure.stack;
  return new MillraceError('MILLRACE_BAD_MODULE', `Cannot use the app module ${module}: ${failure.message}`, {
    cause,
  });
}

function notJoined(module: string, seconds: number): MillraceError {
  return new MillraceError(
    'MILLRACE_BAD_MODULE',
    `Cannot use the app module ${module}: the event loop stands still since it was loaded, for ${seconds} s now ` +
      "('loadTimeout'). Something that it started does not end",
  );
}

function notLoaded(module: string, seconds: number): MillraceError {
  return new MillraceError(
    'MILLRACE_BAD_MODULE',
    `Cannot use the app module ${module}: it was not loaded within ${seconds} s. Either something that it awaits does ` +
      "not settle, or a loop in it does not end. If it needs longer, raise 'loadTimeout' (seconds; 0: no limit)",
  );
}

/** Why a shard could not be started. */
function startError(index: number, cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const reason = messageOf(cause);
  return new MillraceError('MILLRACE_SHARD_CRASHED', `Shard ${index} ended while it started: ${reason}`, {
    cause,
  });
}
