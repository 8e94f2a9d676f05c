import { AddressTable } from '../admission/address-table.ts';
import { Links } from '../bus/links.ts';
import { buffersOf, type Handover } from '../bus/participant.ts';
import { messageOf } from '../error-report.ts';
import { ControlBlock, Gauge, ShardState } from '../metrics/control-block.ts';
import { LoopWatch } from '../metrics/loop-watch.ts';
import { ServerNames } from '../net/server-names.ts';
import { noCertificate } from '../net/tls-context.ts';
import { HandoffIntake, OLD_CHANNEL_TIMEOUT } from '../serving/handoff-intake.ts';
import type { FromShard, RouteEntry, ShardData, TlsSetup, ToShard } from '../shard/control-message.ts';
import type { DrainTerms } from '../shard/drain.ts';
import { HeapWatch } from '../shard/heap-watch.ts';
import { Shard } from '../shard/shard.ts';
import { recordThread } from '../shard/thread-profiler.ts';
import { within } from '../shard/timeout.ts';
import { type AppParts, partsOf, TemplatedApp } from './app.ts';

/** What the app module of `serve()` gets beside its App. */
export interface ShardInfo {
  /** 0 to count - 1. A shard that was started anew keeps its index. */
  readonly index: number;
  readonly count: number;
  /** `data` of `serve()`, copied into this thread. */
  readonly data: unknown;
}

/** The default export of an app module: called once in each shard, before it takes connections. */
export type AppModule = (app: TemplatedApp, shard: ShardInfo) => void | Promise<void>;

/** A shard's thread: loads the user's module, takes sockets, and returns when it was drained. */
export async function runShard(data: ShardData): Promise<void> {
  const tell = (message: FromShard): void => {
    data.port.postMessage(message);
  };
  tell({ type: 'started' });
  const control = new ControlBlock(data.count, data.control);
  if (!data.isSuccessor) control.setGauge(data.index, Gauge.STATE, ShardState.STARTING);
  const shard = new Shard(data.index, control);
  // The metrics of a successor are another thread's still.
  let loop = data.isSuccessor ? null : new LoopWatch(shard.metrics);
  if (data.addresses !== null) shard.countAddresses(new AddressTable(data.addresses), data.index);
  const link = (continues: boolean): void => {
    const links = new Links(data.links, data.index, (to, dropped) => {
      tell({ type: 'overflow', to, dropped });
    });
    shard.link(links, continues);
  };
  // The number, and its rings, may be another thread's still.
  shard.participant.prepare(data.links.owners);
  if (!data.isSuccessor) link(false);
  const names = data.tls === null ? null : serverNames(data.tls);
  const app = new TemplatedApp({ limits: data.limits, hosts: data.hosts, isProxied: false }, names, shard);
  try {
    const run = await loadModule(data.module);
    await run(app, { index: data.index, count: data.count, data: data.data });
  } catch (error) {
    tell({ type: 'failed', message: messageOf(error), stack: stackOf(error) });
    // Node.js keeps what a failed import() left for as long as the thread lives: the next try gets a fresh one.
    process.exit(1);
  }
  if (names !== null && !names.isServable) {
    const { code, message } = noCertificate();
    tell({ type: 'failed', message, stack: '', code });
    process.exit(1);
  }
  const parts = partsOf(app);
  parts.raw.seal();
  const endpoints = parts.raw.entries;
  let handover: Handover | null = null;
  let early: EarlyMessages | null = null;
  if (data.isSuccessor) {
    tell({ type: 'prepared', endpoints });
    early = new EarlyMessages(data.port);
    handover = await early.handover;
    link(handover !== null);
  }
  const report = await shard.participant.begin(handover);
  const isHandedOver = handover !== null;
  if (isHandedOver || report.failures.length > 0) tell({ type: 'took-over', isHandedOver, report });
  control.setGauge(data.index, Gauge.STATE, ShardState.READY);
  loop ??= new LoopWatch(shard.metrics);
  const heap = new HeapWatch(data.limits.heapWatermark / 100, data.heapFlag, shard.counters, (use) => {
    tell({ type: 'heap-full', heap: use });
  });
  const drained = new Promise<void>((resolve) => {
    const thread = new ShardThread(data, control, app, parts, tell, resolve);
    data.port.on('message', (message: ToShard) => {
      thread.onMessage(message);
    });
    tell({ type: 'ready', routes: parts.webSockets.map(routeEntry), endpoints });
    for (const message of early?.end() ?? []) thread.onMessage(message);
  });
  await drained;
  heap.stop();
  loop.stop();
  // The next instance of this shard must be the only one to read its rings.
  shard.unlink();
  data.port.close();
}

/** The stack as text, whatever the module threw. */
function stackOf(error: unknown): string {
  try {
    const { stack } = error as { stack?: unknown };
    if (typeof stack === 'string') return stack;
  } catch {
    // It may be anything.
  }
  return messageOf(error);
}

/** What a successor is told before it can do anything about it: new credentials, say, or that the server is closed. */
class EarlyMessages {
  /** What the thread that was this shard before has left, when that is gone. */
  readonly handover: Promise<Handover | null>;
  readonly #port: ShardData['port'];
  readonly #messages: ToShard[] = [];
  #onHandover!: (handover: Handover | null) => void;

  constructor(port: ShardData['port']) {
    this.#port = port;
    this.handover = new Promise((resolve) => {
      this.#onHandover = resolve;
    });
    port.on('message', this.#take);
  }

  /** Another listener takes what comes from here on. Returns what came before. */
  end(): readonly ToShard[] {
    this.#port.off('message', this.#take);
    return this.#messages;
  }

  readonly #take = (message: ToShard): void => {
    if (message.type === 'take-over') this.#onHandover(message.handover);
    else this.#messages.push(message);
  };
}

/** The main thread has read the files and tried them. */
function serverNames({ credentials, ticketKey }: TlsSetup): ServerNames {
  return new ServerNames(() => credentials, ticketKey);
}

async function loadModule(url: string): Promise<AppModule> {
  const module = (await import(url)) as { default?: unknown };
  if (typeof module.default === 'function') return module.default as AppModule;
  const found = module.default === undefined ? 'there is none' : `it is a ${typeof module.default}`;
  throw new Error(`the default export must be a function (app, shard) => …; ${found}`);
}

function routeEntry(route: AppParts['webSockets'][number]): RouteEntry {
  return {
    pattern: route.pattern,
    rules: route.rules,
    hasUpgrade: route.upgrade !== undefined,
  };
}

/** The wiring between one shard and the other threads. */
class ShardThread {
  readonly #data: ShardData;
  readonly #control: ControlBlock;
  readonly #app: TemplatedApp;
  readonly #parts: AppParts;
  readonly #tell: (message: FromShard) => void;
  readonly #onDrained: () => void;
  readonly #intake: HandoffIntake;

  constructor(
    data: ShardData,
    control: ControlBlock,
    app: TemplatedApp,
    parts: AppParts,
    tell: (message: FromShard) => void,
    onDrained: () => void,
  ) {
    this.#data = data;
    this.#control = control;
    this.#app = app;
    this.#parts = parts;
    this.#tell = tell;
    this.#onDrained = onDrained;
    this.#intake = new HandoffIntake(data.index, control, parts, tell);
  }

  onMessage(message: ToShard): void {
    switch (message.type) {
      case 'channel':
        this.#intake.useChannel(message.fd);
        break;
      case 'transfer-port':
        this.#intake.usePort(message.port);
        break;
      case 'tls': {
        const errors = this.#parts.tls?.names.reload(() => message.credentials) ?? [];
        this.#tell({ type: 'tls-loaded', errors: errors.map((error) => (error as Error).message) });
        break;
      }
      case 'drain':
        void this.#drain(message.terms, message.isReplaced);
        break;
      case 'profile':
        recordThread(message);
        break;
      case 'take-over':
        break;
    }
  }

  async #drain(terms: DrainTerms, isReplaced: boolean): Promise<void> {
    this.#control.setGauge(this.#data.index, Gauge.STATE, ShardState.DRAINING);
    const arrived = within(this.#intake.allArrived(), terms.grace + OLD_CHANNEL_TIMEOUT);
    await this.#parts.shard.drain(terms, this.#app, arrived);
    this.#intake.close();
    if (isReplaced) await this.#handOver();
    this.#onDrained();
  }

  async #handOver(): Promise<void> {
    this.#tell({ type: 'hands-over' });
    const handover = await this.#parts.shard.participant.handOver();
    const message: FromShard = { type: 'handed-over', handover };
    this.#data.port.postMessage(message, buffersOf(handover));
  }
}
