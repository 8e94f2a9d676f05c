import { App, type ServeOptions, type Server, SSLApp, serve, type TemplatedApp } from 'millrace';
import type { HostileClient } from '../clients/hostile-client.ts';
import { frameBytes, SAMPLE_KEY, text } from '../protocol/frame-bytes.ts';
import { tlsMode, tlsOptions } from '../tls/tls-mode.ts';
import { DEADLINE, until } from '../tools/deadline.ts';
import { HOST } from './server.ts';

/** What the handlers of the fixture count, in memory all threads share. */
export const Tally = { OPENED: 0, CLOSED: 1, MESSAGES: 2, REQUESTS: 3, BLOCKED: 4 } as const;
export type Tally = (typeof Tally)[keyof typeof Tally];

/** A call of a `close` handler. */
export interface CloseEvent {
  readonly id: string;
  readonly code: number;
  readonly message: string;
}

export interface HostileData {
  readonly tally: SharedArrayBuffer;
  /** Name of the BroadcastChannel that `close` events with an id are told on. */
  readonly channel: string;
}

export type Limits = Pick<
  ServeOptions,
  | 'maxHeadSize'
  | 'maxHeaders'
  | 'handshakeTimeout'
  | 'keepAliveTimeout'
  | 'maxConnections'
  | 'maxConnectionsPerAddress'
  | 'backlog'
  | 'allowedHosts'
  | 'behindTls'
>;

/** A server under attack, in one thread or many. */
export class Target {
  readonly port: number;
  readonly server: Server | null;
  readonly crashes: unknown[];
  readonly #tally: Int32Array;
  readonly #channel: BroadcastChannel;
  readonly #end: () => Promise<void>;
  readonly #closes = new Map<string, CloseEvent[]>();

  constructor(
    data: HostileData,
    port: number,
    server: Server | null,
    crashes: unknown[],
    end: () => Promise<void>,
  ) {
    this.port = port;
    this.server = server;
    this.crashes = crashes;
    this.#tally = new Int32Array(data.tally);
    this.#end = end;
    this.#channel = new BroadcastChannel(data.channel);
    this.#channel.onmessage = (event): void => {
      const close = (event as unknown as { data: CloseEvent }).data;
      this.#closes.set(close.id, [...(this.#closes.get(close.id) ?? []), close]);
    };
  }

  count(tally: Tally): number {
    return Atomics.load(this.#tally, tally);
  }

  /** Calls of the `close` handler for the connection that was opened with `?id=`. */
  closesOf(id: string): readonly CloseEvent[] {
    return this.#closes.get(id) ?? [];
  }

  /** Has the thread of a client of `/control` stand still for `ms`; resolves when it does. */
  async block(client: HostileClient, ms: number): Promise<void> {
    const before = this.count(Tally.BLOCKED);
    client.write(frameBytes(text(`!block:${ms}`), SAMPLE_KEY));
    await until(() => this.count(Tally.BLOCKED) > before, 'the thread stands still');
  }

  async close(): Promise<void> {
    this.#channel.close();
    await this.#end();
  }
}

const FIXTURE = new URL('../../integration/fixtures/hostile-app.js', import.meta.url);
let channels = 0;

function newData(): HostileData {
  return { tally: new SharedArrayBuffer(64), channel: `hostile ${process.pid} ${channels++}` };
}

/** A server of many threads. */
export async function startServe(options: Partial<ServeOptions> = {}): Promise<Target> {
  const data = newData();
  const crashes: unknown[] = [];
  const server = await serve({
    app: FIXTURE,
    host: HOST,
    port: 0,
    shards: 2,
    data,
    onCrash: (_shard, error) => {
      crashes.push(error);
    },
    ...(tlsMode.isOn ? { tls: tlsOptions() } : {}),
    ...options,
  });
  return new Target(data, server.port, server, crashes, () => server.close({ drain: 0 }));
}

type FixtureModule = (app: TemplatedApp, shard: { index: number; count: number; data: HostileData }) => void;

/** The same routes in this thread. */
export async function startApp(limits: Limits = {}): Promise<Target> {
  const data = newData();
  const { default: run } = (await import(FIXTURE.href)) as { default: FixtureModule };
  const app = tlsMode.isOn ? SSLApp({ ...tlsOptions(), ...limits }) : App(limits);
  run(app, { index: 0, count: 1, data });
  const port = await new Promise<number>((resolve, reject) => {
    setTimeout(reject, DEADLINE, new Error('no callback of listen')).unref();
    app.listen(HOST, 0, (socket) => {
      if (socket === false) reject(new Error('cannot listen'));
      else resolve(socket.port);
    });
  });
  return new Target(data, port, null, [], async () => {
    app.close();
  });
}

/** Both ways to run an app. */
export const TARGETS = [
  ['serve', startServe],
  ['App', startApp],
] as const satisfies readonly (readonly [string, (limits?: Limits) => Promise<Target>])[];
