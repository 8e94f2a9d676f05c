import { buffersOf, type Handover } from '../bus/participant.ts';
import { HANDOVER_TIMEOUT, type HandoverReport } from '../bus/state-keepers.ts';
import type { MillraceError } from '../errors.ts';
import type { TlsCredentials } from '../net/tls-context.ts';
import type { FromShard, RawEntry, ShardData, TlsSetup } from '../shard/control-message.ts';
import type { DrainTerms } from '../shard/drain.ts';
import type { HeapUse } from '../shard/heap-watch.ts';
import type { ProfiledThread } from '../shard/thread-profiler.ts';
import { ANSWER_TIMEOUT, deadline, isFulfilled, within } from '../shard/timeout.ts';
import type { AcceptorHost } from './acceptor-host.ts';
import { RestartDelay } from './restart-delay.ts';
import { ShardAttachment } from './shard-attachment.ts';
import { badModule, notAttached, notLoaded, startError } from './shard-errors.ts';
import { type ShardInstance, ShardPool } from './shard-pool.ts';

/** What every instance of the shard is started with. */
export type ShardHostOptions = Omit<ShardData, 'port' | 'isSuccessor'>;

export interface ShardHostEvents {
  /**
   * The shard's thread is gone; what it had in shared memory is to be cleared. `isHandedOver`: but for its place in the
   * rings, where its successor goes on.
   */
  onGone(isHandedOver: boolean): void;
  /** A new instance has taken over what the former one has left, unless that could leave nothing, and what is lost. */
  onTakenOver(isHandedOver: boolean, report: HandoverReport): void;
  /** The shard ended unexpectedly, and is started anew after `delay` ms. */
  onCrash(cause: unknown, delay: number): void;
  /** The shard does not take the connections it is sent. */
  onStalled(): void;
  /** The shard takes connections again, after `duration` ms. */
  onRecovered(duration: number): void;
  /** A full collection has left the shard's heap fuller than it is to be. */
  onHeapFull(heap: HeapUse): void;
  /** `dropped` of the shard's messages were dropped for shard `to`. */
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
  readonly #attachment: ShardAttachment;
  readonly #delay = new RestartDelay();
  /** The TLS that an instance gets which starts from now on. */
  #tls: TlsSetup | null;
  #pool: ShardPool;
  #instance: ShardInstance | null = null;
  /** The instance that is being replaced: its end is no crash. */
  #retiring: ShardInstance | null = null;
  /** What that instance has left for its successor. */
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
  /** Runs from when the module is loaded, or from a take-over, until the shard has opened its end of a channel. */
  #attaching: NodeJS.Timeout | undefined;
  /** The caller that waits for the first start. */
  #onStarted: { resolve(): void; reject(error: MillraceError): void } | null = null;
  /** When the shard was said to be stalled, in ms of `performance.now()`; -1: it is not. */
  #stalledAt = -1;
  #isClosing = false;

  constructor(options: ShardHostOptions, acceptor: AcceptorHost, events: ShardHostEvents) {
    this.#options = options;
    this.#pool = new ShardPool(options.limits.maxHeapSize);
    this.#tls = options.tls;
    this.#acceptor = acceptor;
    this.#events = events;
    this.#attachment = new ShardAttachment(options.index, acceptor);
  }

  get index(): number {
    return this.#options.index;
  }

  /** The shard has loaded its module, and is to have connections. */
  get isReady(): boolean {
    return this.#attachment.isReady;
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
    const instance = this.#instance;
    if (instance === null) return Promise.resolve([]);
    instance.post({ type: 'tls', credentials });
    return new Promise((resolve) => this.#reloading.push(resolve));
  }

  /** The shard's thread as the profiler sees it; null while there is none. */
  profiled(): ProfiledThread | null {
    const instance = this.#instance;
    if (instance === null) return null;
    return {
      thread: `shard ${this.#options.index}`,
      post: (message, transfer) => {
        instance.post(message, transfer);
      },
    };
  }

  // The acceptor.

  /** Attaches the shard to a new acceptor; resolves when the acceptor knows the shard, or that ended. */
  attach(): Promise<void> {
    const known = this.#known();
    void this.#attachment.attach();
    return known;
  }

  /** Attaches the shard again: the channel to it broke. */
  attachSoon(): void {
    this.#attachment.attachSoon();
  }

  /** The acceptor sends connections to the shard from here on. */
  acceptorKnows(): void {
    this.#attachment.known();
    this.setStalled(false);
    this.#onStarted?.resolve();
    this.#onStarted = null;
    this.#wakeWaiting();
  }

  /** The shard does not take what the acceptor sends it, or does again. */
  setStalled(isStalled: boolean): void {
    const wasStalled = this.#stalledAt >= 0;
    // Of a shard that is replaced or gone other events tell.
    if (isStalled === wasStalled || !this.isReady || this.#isClosing) return;
    const now = performance.now();
    const since = this.#stalledAt;
    this.#stalledAt = isStalled ? now : -1;
    if (isStalled) this.#events.onStalled();
    else this.#events.onRecovered(now - since);
  }

  acceptorEnded(): void {
    this.#attachment.acceptorEnded();
  }

  // Ending.

  /** The shard is not started anew any more. */
  stop(): void {
    this.#isClosing = true;
    this.#attachment.close();
    if (this.#restart !== null) clearTimeout(this.#restart);
  }

  /** After `stop`: ends the shard's connections. Settles when its thread has ended. */
  async drain(terms: DrainTerms): Promise<void> {
    const instance = this.#instance;
    if (instance === null) return;
    // An instance that is being replaced is drained already.
    if (this.#retiring !== instance) instance.post({ type: 'drain', terms, isReplaced: false });
    // An instance that has not loaded its module has no connections, and may never load it.
    if (this.isReady || this.#retiring === instance) await instance.ended;
    else await within(instance.ended, ANSWER_TIMEOUT);
  }

  /** Ends the shard's thread, after `stop`. */
  async terminate(): Promise<void> {
    await Promise.all([this.#pool.destroy(), this.#nextPool?.destroy()]);
  }

  // The thread.

  #startThread(): void {
    this.#restart = null;
    if (this.#pool.isDestroyed) this.#pool = new ShardPool(this.#options.limits.maxHeapSize);
    let failure: MillraceError | null = null;
    const instance = this.#launch(this.#pool, false, (message) => {
      if (message.type === 'failed') failure = badModule(this.#options.module, message);
      else this.#onMessage(message);
    });
    this.#instance = instance;
    this.#watch(instance, () => failure);
  }

  #launch(pool: ShardPool, isSuccessor: boolean, onMessage: (message: FromShard) => void): ShardInstance {
    const data = { ...this.#options, tls: this.#tls, isSuccessor };
    const timeout = deadline(this.#options.limits.loadTimeout, () => {
      void pool.destroy(notLoaded(this.#options.module, this.#options.limits.loadTimeout));
    });
    const instance = pool.start(data, (message) => {
      if (message.type === 'ready' || message.type === 'prepared') clearTimeout(timeout);
      onMessage(message);
    });
    instance.ended
      .catch(() => {})
      .finally(() => {
        clearTimeout(timeout);
      });
    return instance;
  }

  /** From here on the shard is started anew if this instance ends. `failure`: what the instance said of its end. */
  #watch(instance: ShardInstance, failure: () => MillraceError | null): void {
    const ended = (error: unknown): void => {
      if (this.#instance === instance && this.#retiring !== instance) this.#ended(failure() ?? error);
    };
    instance.ended.then(() => {
      ended(new Error('the shard returned'));
    }, ended);
  }

  #onMessage(message: FromShard): void {
    if (message.type === 'ready') {
      if (this.#instance === null || !this.#declare(message.endpoints)) return;
      this.#attachment.ready(this.#instance, message.routes);
      this.#awaitAttached();
      for (const resolve of this.#onLoaded.splice(0)) resolve();
    } else if (message.type === 'connected') {
      clearTimeout(this.#attaching);
      this.#attachment.connected(message.fd);
    } else if (message.type === 'discarded') {
      this.#attachment.discarded(message.fd);
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

  /** Has the acceptor listen for these endpoints, too. Ends the thread, and returns false, when that cannot be. */
  #declare(endpoints: readonly RawEntry[]): boolean {
    try {
      this.#acceptor.declare(endpoints);
      return true;
    } catch (error) {
      void this.#pool.destroy(error as MillraceError);
      return false;
    }
  }

  /** Ends a thread that has loaded the module and stands still since. */
  #awaitAttached(): void {
    clearTimeout(this.#attaching);
    this.#attaching = deadline(this.#options.limits.loadTimeout, () => {
      // Without descriptors no channel can be made, which is not the shard's fault.
      if (!this.isReady || this.#attachment.isPending)
        void this.#pool.destroy(notAttached(this.#options.module, this.#options.limits.loadTimeout));
      else this.#awaitAttached();
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
    this.#instance = null;
    this.#stalledAt = -1;
    clearTimeout(this.#attaching);
    for (const resolve of this.#onLoaded.splice(0)) resolve();
    this.#attachment.clear();
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
   * Replaces the shard's thread with one that has loaded the module anew. Resolves with whether it did.
   *
   * @throws MillraceError MILLRACE_BAD_MODULE when the module cannot be loaded; the shard stays. MILLRACE_SHARD_CRASHED when
   *   the new thread ended before it had connections; it is started anew
   */
  async replace(terms: DrainTerms): Promise<boolean> {
    // An instance that is being started may have loaded the old module.
    if (this.#instance !== null && !this.isReady) {
      await new Promise<void>((resolve) => this.#onLoaded.push(resolve));
    }
    const old = this.#instance;
    // A shard that crashed loads the module anew anyhow.
    if (old === null || !this.isReady || this.#isClosing) return false;
    const tls = this.#tls;
    const pool = new ShardPool(this.#options.limits.maxHeapSize);
    this.#nextPool = pool;
    let successor: ShardInstance;
    try {
      successor = await this.#prepare(pool);
    } catch (error) {
      await this.#dismiss(pool);
      if (this.#isClosing) return false;
      throw error;
    }
    if (this.#isClosing) return false;
    if (this.#instance !== old) {
      await this.#dismiss(pool);
      return false;
    }
    const handover = await this.#retire(old, terms);
    if (this.#isClosing) return false;
    this.#pool = pool;
    this.#nextPool = null;
    this.#instance = successor;
    if (tls !== this.#tls && this.#tls !== null) {
      successor.post({ type: 'tls', credentials: this.#tls.credentials });
    }
    const known = this.#known();
    successor.post({ type: 'take-over', handover }, handover === null ? [] : buffersOf(handover));
    this.#awaitAttached();
    // The successor is a shard like any other now.
    this.#watch(successor, () => null);
    // A successor that hangs is ended then, see #awaitAttached.
    await within(known, Math.max(2 * this.#options.limits.loadTimeout * 1000, ANSWER_TIMEOUT));
    if (this.#isClosing) return false;
    if (this.#instance === successor) return true;
    throw startError(this.#options.index, await successor.ended.catch((error: unknown) => error));
  }

  /** Resolves when the successor has loaded the module, and waits. */
  #prepare(pool: ShardPool): Promise<ShardInstance> {
    return new Promise((resolve, reject) => {
      let failure: MillraceError | null = null;
      const instance = this.#launch(pool, true, (message) => {
        if (message.type === 'failed') failure = badModule(this.#options.module, message);
        else if (message.type === 'prepared')
          this.#checkPrepared(message.endpoints, () => resolve(instance), reject);
        else if (this.#instance === instance) this.#onMessage(message);
      });
      instance.ended.catch((error: unknown) => {
        reject(failure ?? startError(this.#options.index, error));
      });
    });
  }

  #checkPrepared(
    endpoints: readonly RawEntry[],
    resolve: () => void,
    reject: (error: unknown) => void,
  ): void {
    try {
      this.#acceptor.declare(endpoints);
      resolve();
    } catch (error) {
      reject(error);
    }
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
  async #retire(instance: ShardInstance, terms: DrainTerms): Promise<Handover | null> {
    this.#retiring = instance;
    this.#attachment.retire();
    this.#acceptor.tell({ type: 'shard-retires', index: this.#options.index });
    const begun = new Promise<void>((resolve) => {
      this.#onHandsOver = resolve;
    });
    instance.post({ type: 'drain', terms, isReplaced: true });
    const ended = Promise.allSettled([instance.ended]);
    if (await isFulfilled(Promise.race([ended, begun]), terms.deadline + ANSWER_TIMEOUT)) {
      await within(ended, HANDOVER_TIMEOUT + ANSWER_TIMEOUT);
    }
    // The thread may hang, and must not run beside its successor.
    await this.#pool.destroy();
    const handover = this.#handover;
    this.#handover = null;
    this.#onHandsOver = null;
    this.#retiring = null;
    this.#clear(handover !== null);
    return handover;
  }
}
