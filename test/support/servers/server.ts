import {
  App,
  type AppModule,
  type AppOptions,
  type Server,
  SSLApp,
  serve,
  type TemplatedApp,
} from 'millrace';
import { tlsMode, tlsOptions } from '../tls/tls-mode.ts';

/** The two ways to run an app: in the thread that calls, or on shards behind an acceptor. */
export const MODES = ['one thread', 'two shards'] as const;
export type Mode = (typeof MODES)[number];

export const HOST = '127.0.0.1';

/** A server that listens on a port of its own, and what a client needs to find it. */
export interface Running {
  readonly port: number;
  /** Null in one thread. */
  readonly server: Server | null;
  /** Null on shards. */
  readonly app: TemplatedApp | null;
  /** `ws://…` for a path. */
  ws(path?: string): string;
  /** `http://…` for a path. */
  http(path?: string): string;
  stop(): Promise<void>;
}

/** Runs an app module of `fixtures/`, the same way in both modes. */
export async function startModule(mode: Mode, fixture: string, data: unknown = null): Promise<Running> {
  const url = new URL(`../../integration/fixtures/${fixture}`, import.meta.url);
  if (mode === 'two shards') {
    const tls = tlsMode.isOn ? { tls: tlsOptions() } : {};
    const server = await serve({ app: url, port: 0, host: HOST, shards: 2, data, ...tls });
    return running(server.port, server, null, () => server.close({ drain: 0 }));
  }
  const module = (await import(url.href)) as { default: AppModule };
  const app = newApp();
  await module.default(app, { index: 0, count: 1, data });
  return listening(app);
}

/** Runs routes in this thread. */
export function startApp(routes: (app: TemplatedApp) => void, options?: AppOptions): Running {
  const app = newApp(options);
  routes(app);
  return listening(app);
}

function newApp(options: AppOptions = {}): TemplatedApp {
  return tlsMode.isOn ? SSLApp({ ...tlsOptions(), ...options }) : App(options);
}

function listening(app: TemplatedApp): Running {
  let port = -1;
  app.listen(HOST, 0, (socket) => {
    if (socket !== false) port = socket.port;
  });
  if (port < 0) throw new Error('the app does not listen');
  return running(port, null, app, () => {
    app.close();
    return Promise.resolve();
  });
}

export function running(
  port: number,
  server: Server | null,
  app: TemplatedApp | null,
  stop: () => Promise<void>,
  secure: '' | 's' = tlsMode.isOn ? 's' : '',
): Running {
  return {
    port,
    server,
    app,
    ws: (path = '/') => `ws${secure}://${HOST}:${port}${path}`,
    http: (path = '/') => `http${secure}://${HOST}:${port}${path}`,
    stop,
  };
}
