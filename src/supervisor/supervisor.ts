import { randomInt } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { AddressTable } from '../admission/address-table.ts';
import { createLinkMemory, type LinkMemory, mainThreadOf } from '../bus/link-memory.ts';
import { Links } from '../bus/links.ts';
import { Message } from '../bus/message.ts';
import { Participant } from '../bus/participant.ts';
import { Publisher } from '../bus/publisher.ts';
import type { HandoverReport } from '../bus/state-keepers.ts';
import type { HostRules } from '../http/allowed-hosts.ts';
import { ControlBlock, Gauge, type ShardState } from '../metrics/control-block.ts';
import { Counter } from '../metrics/counter.ts';
import { LoopWatch } from '../metrics/loop-watch.ts';
import type { TlsCredentials } from '../net/tls-context.ts';
import { ringCapacity, type ServeLimits } from '../options/server-limits.ts';
import { CloseCode } from '../protocol/close-code.ts';
import type { Balance, HandoffMode, TlsSetup } from '../shard/control-message.ts';
import type { DrainTerms } from '../shard/drain.ts';
import { isHeapFull } from '../shard/heap-watch.ts';
import {
  type ProfiledThread,
  profileThreads,
  recordThread,
  type ThreadProfile,
} from '../shard/thread-profiler.ts';
import { ANSWER_TIMEOUT, within } from '../shard/timeout.ts';
import { oldSpaceFlag } from '../worker-options.ts';
import { AcceptorHost } from './acceptor-host.ts';
import { chooseHandoffMode } from './handoff-mode.ts';
import { type FullHeap, Recycler } from './recycler.ts';
import { ShardHost } from './shard-host.ts';

export interface SupervisorOptions {
  readonly module: string;
  readonly host: string;
  readonly port: number;
  readonly shards: number;
  readonly balance: Balance;
  readonly limits: Readonly<ServeLimits>;
  readonly hosts: HostRules;
  /** Null: connections are plain. */
  readonly tls: TlsSetup | null;
  readonly data: unknown;
  /** How the connections of a shard end whose heap is full. */
  readonly recycleTerms: DrainTerms;
  readonly handoff: HandoffMode | 'auto';
}

export interface SupervisorEvents {
  /** A shard's heap is full; it is replaced, or will be, or could not be. */
  heapFull: [index: number, heap: FullHeap];
  /** A shard ended unexpectedly; it is started anew after `delay` ms. */
  crash: [index: number, error: unknown, delay: number];
  /** A shard has not taken the connections it was sent for a second; newcomers go to others. */
  stalled: [index: number];
  /** The shard takes connections again, `duration` ms after it was said to be stalled. */
  recovered: [index: number, duration: number];
  /** `dropped` messages of thread `from` (the number of shards: the main thread) were dropped for shard `to`. */
  overflow: [from: number, to: number, dropped: number];
  /** A shard was replaced, and some of what it kept by name could not be handed over: a line for each that starts anew. */
  stateLost: [index: number, failures: readonly string[]];
  /** The acceptor ended unexpectedly; it is started anew after `delay` ms. */
  acceptorCrash: [error: unknown, delay: number];
}

/** Ms that a new acceptor waits for shards that are slow to be attached, when it has one. */
const ATTACH_TIMEOUT = 250;

/** Ms after which the acceptor listens though all shards hang. Until then clients wait; then they are answered 503. */
const LISTEN_TIMEOUT = 10_000;

/**
 * Supervisor: main thread. It starts and ends the acceptor and the shards together, tells each what happens to the
 * others, and owns the memory they share. What concerns one of them alone is its host's.
 */
export class Supervisor extends EventEmitter<SupervisorEvents> {
  readonly control: ControlBlock;
  readonly #loopWatch: LoopWatch;
  /** Null: addresses are not limited. */
  readonly #addresses: AddressTable | null;
  readonly linkMemory: LinkMemory;
  /** The main thread's side of the rings. */
  readonly links: Links;
  /** The main thread among the others. */
  readonly participant: Participant;
  readonly #handoff: HandoffMode | 'auto';
  readonly #acceptor: AcceptorHost;
  readonly #shards: ShardHost[];
  readonly #recyclers: Recycler[];
  readonly #recycleTerms: DrainTerms;
  readonly #heapShare: number;
  /** Shards are replaced one at a time, so that the others serve. */
  #replacing: Promise<unknown> = Promise.resolve();
  #isClosing = false;

  constructor(options: SupervisorOptions) {
    super();
    const { shards } = options;
    this.#handoff = options.handoff;
    this.control = new ControlBlock(shards);
    this.#loopWatch = new LoopWatch(this.control.main);
    const { maxConnections, maxConnectionsPerAddress, maxOverflow } = options.limits;
    this.#addresses = maxConnectionsPerAddress === 0 ? null : AddressTable.create(shards + 1, maxConnections);
    // Random: a user who names topics must not be able to choose where they land in the tables.
    this.linkMemory = createLinkMemory(shards, randomInt(2 ** 32), ringCapacity(options.limits), maxOverflow);
    const id = mainThreadOf(shards);
    this.links = new Links(this.linkMemory, id, (to, dropped) => this.emit('overflow', id, to, dropped));
    const { counters } = this.control.main;
    this.participant = new Participant('main', id, new Publisher(counters), counters);
    this.participant.link(this.links);
    this.#acceptor = this.#hostAcceptor(options);
    this.#shards = Array.from({ length: shards }, (_, index) => this.#hostShard(index, options));
    this.#recycleTerms = options.recycleTerms;
    this.#heapShare = options.limits.heapWatermark / 100;
    this.#recyclers = this.#shards.map((_, index) => this.#newRecycler(index));
  }

  /** The port that is listened on. */
  get port(): number {
    return this.#acceptor.port;
  }

  /** The ports of raw endpoints, by name. */
  get ports(): ReadonlyMap<string, number> {
    return this.#acceptor.ports;
  }

  get mode(): HandoffMode {
    return this.#acceptor.mode;
  }

  /** A shard's state, as the control block has it. */
  state(index: number): ShardState {
    return this.control.gauge(index, Gauge.STATE) as ShardState;
  }

  /** Resolves when connections are accepted. Rejects, leaving nothing behind, when anything is in the way. */
  async start(): Promise<void> {
    try {
      await this.#acceptor.start(await chooseHandoffMode(this.#handoff));
      await Promise.race([Promise.all(this.#shards.map((shard) => shard.start())), this.#acceptor.failed]);
      await this.#acceptor.listen();
    } catch (error) {
      // Not by force: a thread that is cut off between two steps can leave a descriptor behind.
      await this.close({ code: CloseCode.GOING_AWAY, deadline: 0, grace: 0 });
      throw error;
    }
  }

  /** Publishes from the main thread. Returns whether the topic has a subscriber. */
  publish(topic: string, message: Uint8Array, isBinary: boolean, compress: boolean): boolean {
    return this.participant.publish(new Message().set(topic, message, isBinary, compress)).isHeard;
  }

  /** Has all shards use these credentials; resolves with what was wrong with those of their server names. */
  async reloadTls(credentials: TlsCredentials): Promise<readonly string[]> {
    const errors = new Set<string>();
    const answers = this.#shards.map((shard) => shard.reloadTls(credentials));
    const all = answers.map(async (answer) => {
      for (const error of await answer) errors.add(error);
    });
    // A shard whose event loop hangs does so later.
    await within(Promise.all(all), ANSWER_TIMEOUT);
    return [...errors];
  }

  /** Records all threads for as long as `recorded` takes. */
  profile(interval: number, recorded: () => Promise<void>): Promise<ThreadProfile[]> {
    const main: ProfiledThread = { thread: 'main', post: recordThread };
    const others = [this.#acceptor, ...this.#shards].map((host) => host.profiled());
    const threads = [main, ...others.filter((thread) => thread !== null)];
    return profileThreads(threads, interval, recorded);
  }

  /**
   * Replaces the shards one by one: each only when its successor has loaded the module.
   *
   * @throws MillraceError MILLRACE_BAD_MODULE when it cannot be loaded; that shard and those behind it stay
   */
  async reload(terms: DrainTerms): Promise<void> {
    for (const shard of this.#shards) {
      if (this.#isClosing) return;
      await this.#inTurn(() => shard.replace(terms));
      this.#recyclers[shard.index]!.reloaded();
    }
  }

  #inTurn<T>(replace: () => Promise<T>): Promise<T> {
    const replaced = this.#replacing.then(replace);
    this.#replacing = replaced.catch(() => {});
    return replaced;
  }

  #newRecycler(index: number): Recycler {
    const shard = this.#shards[index]!;
    const { counters } = this.control.shard(index);
    const replace = async (): Promise<boolean> => {
      // The shard may have been replaced while others were, have died, or have an empty heap again.
      if (!isHeapFull(counters, this.#heapShare)) return false;
      if (!(await shard.replace(this.#recycleTerms))) return false;
      counters[Counter.RECYCLED]!++;
      return true;
    };
    return new Recycler(
      () => this.#inTurn(replace),
      (heap) => this.emit('heapFull', index, heap),
    );
  }

  /** Accepts no more, ends all connections, and ends the threads; after the deadline by force. */
  async close(terms: DrainTerms): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    for (const shard of this.#shards) shard.stop();
    const ends = [this.#acceptor.stop(terms), ...this.#shards.map((shard) => shard.drain(terms))];
    // A shard whose event loop hangs does not answer; its thread is ended all the same.
    await within(Promise.allSettled(ends), terms.deadline + ANSWER_TIMEOUT);
    await Promise.all([this.#acceptor, ...this.#shards].map((host) => host.terminate()));
    this.participant.unlink();
    this.#loopWatch.stop();
  }

  #hostAcceptor(options: SupervisorOptions): AcceptorHost {
    return new AcceptorHost(options, this.control, this.#addresses, {
      onShardKnown: (index) => {
        this.#shards[index]!.acceptorKnows();
      },
      onShardLost: (index) => {
        this.#shards[index]!.attachSoon();
      },
      onShardStalled: (index, isStalled) => {
        this.#shards[index]!.setStalled(isStalled);
      },
      onEnded: () => {
        for (const shard of this.#shards) shard.acceptorEnded();
      },
      onCrash: (cause, delay) => {
        this.control.acceptor.counters[Counter.CRASHES]!++;
        this.emit('acceptorCrash', cause, delay);
      },
      attach: () => this.#attachAll(),
    });
  }

  #hostShard(index: number, { module, data, limits, hosts, shards, tls }: SupervisorOptions): ShardHost {
    const options = {
      index,
      count: shards,
      control: this.control.memory,
      addresses: this.#addresses?.memory ?? null,
      module,
      data,
      limits,
      hosts,
      tls,
      links: this.linkMemory,
      heapFlag: oldSpaceFlag(),
    };
    return new ShardHost(options, this.#acceptor, {
      onHeapFull: (heap) => {
        if (!this.#isClosing) this.#recyclers[index]!.full(heap);
      },
      onGone: (isHandedOver) => {
        this.#shardGone(index, isHandedOver);
      },
      onTakenOver: (isHandedOver, report) => {
        this.#takenOver(index, isHandedOver, report);
      },
      onCrash: (cause, delay) => {
        this.control.shard(index).counters[Counter.CRASHES]!++;
        this.emit('crash', index, cause, delay);
      },
      onStalled: () => {
        this.emit('stalled', index);
      },
      onRecovered: (duration) => {
        this.emit('recovered', index, duration);
      },
      onOverflow: (to, dropped) => {
        this.emit('overflow', index, to, dropped);
      },
    });
  }

  /** Attaches the shards to a new acceptor. A shard that is busy does not hold up the others for long. */
  async #attachAll(): Promise<void> {
    const known = this.#shards.filter(({ isReady }) => isReady).map((shard) => shard.attach());
    if (known.length === 0) return;
    await within(Promise.race(known), LISTEN_TIMEOUT);
    await within(Promise.all(known), ATTACH_TIMEOUT);
  }

  #takenOver(index: number, isHandedOver: boolean, report: HandoverReport): void {
    const { counters } = this.control.shard(index);
    if (isHandedOver) counters[Counter.HANDOVERS]!++;
    counters[Counter.HANDOVER_BYTES]! += report.bytes;
    counters[Counter.STATES_LOST]! += report.failures.length;
    if (report.failures.length > 0) this.emit('stateLost', index, report.failures);
  }

  /** Clears what the shard had in shared memory, and tells the others, unless its successor goes on in its place. */
  #shardGone(index: number, isHandedOver: boolean): void {
    this.control.endShard(index);
    this.#addresses?.clear(index);
    if (!isHandedOver) this.links.clearThread(index);
    if (this.#isClosing) return;
    this.#recyclers[index]!.ended();
    this.#acceptor.tell({ type: 'shard-down', index });
  }
}
