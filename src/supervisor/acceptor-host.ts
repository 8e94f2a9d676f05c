import { setTimeout as sleep } from 'node:timers/promises';
import { type Transferable, Worker } from 'node:worker_threads';
import type { AddressTable } from '../admission/address-table.ts';
import { messageOf } from '../error-report.ts';
import { MillraceError } from '../errors.ts';
import type { HostRules } from '../http/allowed-hosts.ts';
import { newHashKey } from '../keyed-hash.ts';
import type { ControlBlock } from '../metrics/control-block.ts';
import { createChannel, discardChannel, discardEnd } from '../net/handoff-channel.ts';
import { HandoffSender } from '../net/handoff-sender.ts';
import { ACCEPT_BACKOFF } from '../net/listener.ts';
import { Obstacle } from '../net/obstacle.ts';
import type { ServeLimits } from '../options/server-limits.ts';
import {
  type AcceptorData,
  type Balance,
  type FromAcceptor,
  HandoffMode,
  type RawEntry,
  type ToAcceptor,
} from '../shard/control-message.ts';
import type { DrainTerms } from '../shard/drain.ts';
import type { ProfiledThread } from '../shard/thread-profiler.ts';
import { ANSWER_TIMEOUT, deadline, END_TIMEOUT, within } from '../shard/timeout.ts';
import { workerOptions } from '../worker-options.ts';
import { ListeningSockets } from './listening-sockets.ts';
import { RestartDelay } from './restart-delay.ts';

/** The entry point of the acceptor's thread, in the build. */
const ACCEPTOR_ENTRY = new URL('../../workers/acceptor.js', import.meta.url);

/** Most ms before an acceptor that dies again and again is started anew: no connection is accepted meanwhile. */
const LAST_DELAY = 1000;

export interface AcceptorHostOptions {
  readonly host: string;
  readonly port: number;
  readonly balance: Balance;
  readonly limits: Readonly<ServeLimits>;
  readonly hosts: HostRules;
  /** Null: connections are plain. The credentials do not matter here. */
  readonly tls: object | null;
}

export interface AcceptorHostEvents {
  /** Connections go to the shard from now on. */
  onShardKnown(index: number): void;
  /** The channel to the shard broke. */
  onShardLost(index: number): void;
  /** The shard does not take what it is sent, or takes it again. */
  onShardStalled(index: number, isStalled: boolean): void;
  /** The thread ended; what the acceptor was told and did not answer, it did not do. */
  onEnded(): void;
  /** The acceptor ended unexpectedly, and is started anew after `delay` ms. */
  onCrash(cause: unknown, delay: number): void;
  /** Attaches the shards to a new acceptor, which listens when this resolves. */
  attach(): Promise<void>;
}

/**
 * AcceptorHost: main thread's side of the acceptor. It owns the listening sockets, of which the acceptor gets
 * duplicates, and starts the acceptor anew when it dies.
 */
export class AcceptorHost {
  readonly #options: AcceptorHostOptions;
  readonly #control: ControlBlock;
  readonly #addresses: AddressTable | null;
  /** The same for all acceptors of the server: sticky connections find their shard again. */
  readonly #hashKey = newHashKey();
  readonly #events: AcceptorHostEvents;
  readonly #delay = new RestartDelay(LAST_DELAY);
  readonly #sockets: ListeningSockets;
  #mode: HandoffMode = HandoffMode.CHANNEL;
  #worker: Worker | null = null;
  /** The main thread's end of the channel that listening sockets go to the acceptor by. */
  #sender: HandoffSender | null = null;
  /** Rejects when the acceptor ends, or cannot listen, before it ever has. Later it is started anew. */
  readonly failed: Promise<never>;
  #fail: (error: MillraceError) => void = ignore;
  #onStarted: () => void = ignore;
  #onListening: () => void = ignore;
  #hasListened = false;
  #onStopped: (() => void) | null = null;
  #isClosing = false;

  constructor(
    options: AcceptorHostOptions,
    control: ControlBlock,
    addresses: AddressTable | null,
    events: AcceptorHostEvents,
  ) {
    this.#options = options;
    this.#sockets = new ListeningSockets(options.host, options.port);
    this.#control = control;
    this.#addresses = addresses;
    this.#events = events;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // `start` and `listen` wait for it; before and after them nobody does.
    this.failed.catch(ignore);
  }

  /** The port that is listened on. */
  get port(): number {
    return this.#sockets.port(0);
  }

  /** The ports of raw endpoints, by name. */
  get ports(): ReadonlyMap<string, number> {
    return this.#sockets.named;
  }

  /** How sockets reach the shards, once it was started. */
  get mode(): HandoffMode {
    return this.#mode;
  }

  /** The acceptor of now; null between one that died and the next. */
  get current(): object | null {
    return this.#worker;
  }

  /**
   * Starts the thread; it accepts nothing yet.
   *
   * @throws MillraceError MILLRACE_LISTEN_FAILED when the address cannot be had, MILLRACE_ACCEPTOR_CRASHED when the thread
   *   cannot be started
   */
  async start(mode: HandoffMode): Promise<void> {
    this.#mode = mode;
    if (mode === HandoffMode.CHANNEL) this.#sockets.bind();
    await this.#startThread().catch((error: unknown) => {
      throw startFailed(error);
    });
    const started = new Promise<void>((resolve) => {
      this.#onStarted = resolve;
    });
    await Promise.race([started, this.failed]);
  }

  /**
   * A shard has declared these raw endpoints, see {@link ListeningSockets.declare}.
   *
   * @throws MillraceError MILLRACE_BAD_MODULE, MILLRACE_LISTEN_FAILED
   */
  declare(endpoints: readonly RawEntry[]): void {
    this.#sockets.declare(endpoints);
  }

  /** Lets the acceptor accept; resolves when it does. */
  async listen(): Promise<void> {
    const listening = new Promise<void>((resolve) => {
      this.#onListening = resolve;
    });
    this.#sendListeners();
    const timeout = deadline(this.#options.limits.loadTimeout, () => {
      this.#fail(startFailed(this.#lateness()));
    });
    await Promise.race([listening, this.failed]).finally(() => {
      clearTimeout(timeout);
    });
  }

  tell(message: ToAcceptor, transfer: readonly Transferable[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  /** Its thread as the profiler sees it; null while there is none. */
  profiled(): ProfiledThread | null {
    if (this.#worker === null) return null;
    return {
      thread: 'acceptor',
      post: (message, transfer) => {
        this.tell(message, transfer);
      },
    };
  }

  /** Resolves when no connection is accepted any more and the acceptor has none left, or does not answer. */
  async stop(terms: DrainTerms): Promise<void> {
    this.#isClosing = true;
    // Before the acceptor's duplicate: what the kernel connects behind its back would never be accepted.
    const close = (): void => {
      this.#sockets.close();
    };
    if (this.#sender === null) close();
    else this.#sender.close(close);
    const worker = this.#worker;
    if (worker !== null) {
      const stopped = new Promise<void>((resolve) => {
        this.#onStopped = resolve;
        worker.once('exit', () => {
          resolve();
        });
      });
      this.tell({ type: 'stop', terms });
      await within(stopped, terms.deadline + ANSWER_TIMEOUT);
    }
  }

  /** Ends the thread, after `stop`. */
  async terminate(): Promise<void> {
    this.#sender?.close();
    if (this.#worker !== null) await within(this.#worker.terminate(), END_TIMEOUT);
  }

  /** Has the acceptor listen. */
  #sendListeners(): void {
    for (const number of this.#sockets.numbers()) this.#sendListener(number);
  }

  #sendListener(number: number): void {
    if (this.#mode === HandoffMode.TRANSFER) this.tell(this.#sockets.listenMessage(number));
    else if (this.#sender !== null && !this.#isClosing) this.#sockets.sendTo(this.#sender, number);
  }

  #sendListenerSoon(number: number): void {
    setTimeout(() => {
      this.#sendListener(number);
    }, ACCEPT_BACKOFF);
  }

  async #startThread(): Promise<void> {
    const { limits, hosts, balance, tls } = this.#options;
    const mode = this.#mode;
    const channel = mode === HandoffMode.CHANNEL ? await createChannel() : null;
    if (this.#isClosing) {
      if (channel !== null) discardChannel(channel);
      return;
    }
    if (channel !== null) {
      this.#sender?.close();
      this.#sender = new HandoffSender(channel.sender);
    }
    const data: AcceptorData = {
      mode,
      control: this.#control.memory,
      addresses: this.#addresses?.memory ?? null,
      shards: this.#control.shards,
      limits,
      hosts,
      balance,
      hashKey: this.#hashKey,
      isTls: tls !== null,
      listenFd: channel === null ? -1 : channel.receiverFd,
    };
    try {
      this.#worker = new Worker(ACCEPTOR_ENTRY, {
        ...workerOptions(),
        workerData: data,
        name: 'millrace acceptor',
      });
    } catch (error) {
      if (channel !== null) discardEnd(channel.receiver);
      throw error;
    }
    this.#watch(this.#worker);
  }

  #watch(worker: Worker): void {
    let cause: unknown = new Error('the acceptor thread exited');
    const timeout = deadline(this.#options.limits.loadTimeout, () => {
      cause = this.#lateness();
      void worker.terminate();
    });
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('message', (message: FromAcceptor) => {
      if (message.type === 'started') clearTimeout(timeout);
      this.#onMessage(message);
    });
    worker.on('exit', () => {
      clearTimeout(timeout);
      this.#worker = null;
      // What it had accepted and not handed over died with it.
      this.#control.acceptor.end();
      this.#addresses?.clear(this.#control.shards);
      this.#events.onEnded();
      if (!this.#hasListened) this.#fail(startFailed(cause));
      else if (!this.#isClosing) void this.#restart(cause);
    });
  }

  #lateness(): Error {
    return new Error(`it does not start within ${this.#options.limits.loadTimeout} s ('loadTimeout')`);
  }

  /** Connections live on in the shards; clients that connect meanwhile wait in the kernel's backlog. */
  async #restart(cause: unknown): Promise<void> {
    const delay = this.#delay.next(performance.now());
    this.#events.onCrash(cause, delay);
    // The shards keep the process alive; a server that is closed meanwhile must not.
    await sleep(delay, undefined, { ref: false });
    const obstacle = new Obstacle('millrace: the acceptor cannot be started anew:');
    for (let isStarted = false; !isStarted && !this.#isClosing; ) {
      // Without descriptors a thread cannot be started now.
      isStarted = await this.#startThread().then(
        () => true,
        (error: unknown) => {
          obstacle.tell(error);
          return sleep(ACCEPT_BACKOFF, false);
        },
      );
    }
    const worker = this.#worker;
    if (worker === null) return;
    await this.#events.attach();
    // The new acceptor may have died meanwhile, and be replaced in turn.
    if (this.#worker === worker) this.#sendListeners();
  }

  #onMessage(message: FromAcceptor): void {
    switch (message.type) {
      case 'started':
        this.#onStarted();
        break;
      case 'listening':
        this.#sockets.listening(message.number, message.port);
        if (!this.#sockets.haveListened) break;
        this.#hasListened = true;
        this.#onListening();
        break;
      case 'listen-failed':
        if (this.#hasListened) this.#sendListenerSoon(message.number);
        else this.#fail(this.#sockets.error(message.number, message.error));
        break;
      case 'listener-lost':
        this.#sendListenerSoon(message.number);
        break;
      case 'stopped':
        this.#onStopped?.();
        break;
      case 'shard-known':
        this.#events.onShardKnown(message.index);
        break;
      case 'shard-lost':
        this.#events.onShardLost(message.index);
        break;
      case 'shard-stalled':
        this.#events.onShardStalled(message.index, message.isStalled);
        break;
    }
  }
}

function startFailed(cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const reason = messageOf(cause);
  return new MillraceError(
    'MILLRACE_ACCEPTOR_CRASHED',
    `The acceptor's thread cannot be started: ${reason}`,
    {
      cause,
    },
  );
}

function ignore(): void {}
