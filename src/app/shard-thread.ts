import { Counter } from '../net/counter.ts';
import { HandoffReceiver } from '../net/socket-handoff.ts';
import { receiveTransfer } from '../net/socket-transfer.ts';
import { ControlBlock, Gauge, ShardState } from '../ring/control-block.ts';
import type { FromShard, RouteEntry, ShardData, ToShard } from '../shard/control-message.ts';
import { HANDOFF_PREFIX, HandoffKind } from '../shard/handoff-message.ts';
import { Links } from '../shard/links.ts';
import { Shard } from '../shard/shard.ts';
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
  const control = new ControlBlock(data.count, data.control);
  control.setGauge(data.index, Gauge.STATE, ShardState.STARTING);
  const links = new Links(data.links, data.index, (to, dropped) => {
    tell({ type: 'overflow', to, dropped });
  });
  const shard = new Shard(data.index, control, links);
  const app = new TemplatedApp(data.limits, shard);
  try {
    const run = await loadModule(data.module);
    await run(app, { index: data.index, count: data.count, data: data.data });
  } catch (error) {
    const { message, stack = message } = error instanceof Error ? error : new Error(String(error));
    tell({ type: 'failed', message, stack });
    data.port.close();
    return;
  }
  const parts = partsOf(app);
  control.setGauge(data.index, Gauge.STATE, ShardState.READY);
  const drained = new Promise<void>((resolve) => {
    const thread = new ShardThread(data, control, app, parts, links, tell, resolve);
    data.port.on('message', (message: ToShard) => {
      thread.onMessage(message);
    });
  });
  tell({ type: 'ready', routes: parts.webSockets.map(routeEntry) });
  await drained;
  data.port.close();
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
    hasUpgrade: route.behavior.upgrade !== undefined,
  };
}

/** The wiring between one shard and the other threads. */
class ShardThread {
  readonly #data: ShardData;
  readonly #control: ControlBlock;
  readonly #app: TemplatedApp;
  readonly #parts: AppParts;
  readonly #links: Links;
  readonly #tell: (message: FromShard) => void;
  readonly #onDrained: () => void;
  #receiver: HandoffReceiver | null = null;

  constructor(
    data: ShardData,
    control: ControlBlock,
    app: TemplatedApp,
    parts: AppParts,
    links: Links,
    tell: (message: FromShard) => void,
    onDrained: () => void,
  ) {
    this.#data = data;
    this.#control = control;
    this.#app = app;
    this.#parts = parts;
    this.#links = links;
    this.#tell = tell;
    this.#onDrained = onDrained;
  }

  onMessage(message: ToShard): void {
    switch (message.type) {
      case 'channel':
        this.#receiver?.close();
        this.#receiver = new HandoffReceiver(message.fd, (handle, bytes) => {
          this.#adopt(handle, bytes);
        });
        this.#tell({ type: 'connected' });
        break;
      case 'transfer-port':
        message.port.on('message', (transfer: unknown) => {
          this.#adoptTransfer(transfer);
        });
        this.#tell({ type: 'connected' });
        break;
      case 'shard-down':
        this.#links.resetShard(message.index);
        break;
      case 'drain':
        void this.#drain(message.code, message.deadline);
        break;
    }
  }

  #adopt(handle: Parameters<Shard['adopt']>[0], bytes: Buffer): void {
    const { shard, http, webSockets } = this.#parts;
    const route = bytes.readUInt16LE(1);
    const transport = shard.adopt(handle, http, bytes.readInt32LE(3));
    shard.count(Counter.ADOPTED);
    if (bytes[0] === HandoffKind.HTTP) {
      http.start(transport);
      transport.receive(bytes, HANDOFF_PREFIX, bytes.length);
    } else {
      http.startWebSocket(transport, webSockets[route], bytes, HANDOFF_PREFIX, bytes.length);
    }
  }

  #adoptTransfer(message: unknown): void {
    const transfer = receiveTransfer(message);
    if (transfer === undefined) return;
    const { shard, http } = this.#parts;
    shard.count(Counter.ADOPTED);
    http.start(shard.adopt(transfer.handle, http, transfer.address));
  }

  async #drain(code: number, deadline: number): Promise<void> {
    this.#control.setGauge(this.#data.index, Gauge.STATE, ShardState.DRAINING);
    await this.#parts.shard.drain(code, deadline, () => this.#app);
    this.#receiver?.close();
    this.#onDrained();
  }
}
