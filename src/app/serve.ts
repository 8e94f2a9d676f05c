import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { MillraceError } from '../errors.ts';
import { descriptorLimit } from '../net/descriptor-limit.ts';
import { loadTlsWrap } from '../net/node-internals.ts';
import { type CredentialsSource, ServerNames } from '../net/server-names.ts';
import type { Balance, HandoffMode, TlsSetup } from '../shard/control-message.ts';
import { type ServerStats, serverStats } from '../shard/stats.ts';
import { Supervisor } from '../shard/supervisor.ts';
import type { ThreadProfile } from '../shard/thread-profiler.ts';
import { bytesOf, type RecognizedString, topicName } from './recognized-string.ts';
import { checkServeOptions } from './serve-options.ts';
import { checkPort, checkServerLimits, SERVER_LIMITS, type ServerLimits } from './server-limits.ts';
import { credentialsSource, newTicketKey, type TlsOptions } from './tls-options.ts';

export interface ServeOptions extends Partial<ServerLimits> {
  /**
   * The app module: a URL or a path. Its default export `(app, shard) => void | Promise<void>` runs once in each
   * shard.
   */
  app: URL | string;
  /** 0: any free port, see `server.port`. */
  port: number;
  /** Address to listen on. Default '::', all of IPv6 and IPv4. */
  host?: string;
  /** Shard threads, 1 to 63. Default: one for each core. */
  shards?: number;
  /**
   * How connections are spread. Sticky ones go to the same shard by a hash of the client's address, the path, a
   * header or a cookie, as long as that shard is up. Default 'least-connections'.
   */
  balance?: Balance;
  /**
   * Serves TLS (1.2 and 1.3): `https://` and `wss://`. Shards do the handshakes; balancing knows no more than the
   * client's address then, and connections beyond a limit are closed without an answer.
   */
  tls?: TlsOptions;
  /** Anything that can be copied between threads; the module gets it as `shard.data`. */
  data?: unknown;
  /**
   * How sockets reach the shards. 'channel': the acceptor does the handshakes and passes sockets through Unix
   * sockets. 'transfer': by postMessage (Node.js 24.20, 26.6 and later), the shards do the handshakes. Default
   * 'auto': 'channel' where it works.
   */
  handoff?: HandoffMode | 'auto';
  /**
   * A shard ended unexpectedly and is started anew after `delay` ms. Default: it is printed to standard error.
   */
  onCrash?: (shard: number, error: unknown, delay: number) => void;
  /**
   * Publishes of thread `from` (a shard, or the number of shards for the main thread) were dropped for shard
   * `to`, which does not keep up: its ring and `maxOverflow` are full. At most once a second for each thread.
   */
  onOverflow?: (from: number, to: number, dropped: number) => void;
}

export interface ProfileOptions {
  /** Microseconds between two samples, 50 to 100,000. Default 1000. */
  interval?: number;
  /** Ends the recording early. */
  signal?: AbortSignal;
}

export interface CloseOptions {
  /** Ms that connections get to end politely; what is left then is cut off. Default 10,000. */
  drain?: number;
}

/** 64 threads can share topics, and the main thread is one. */
export const MAX_SHARDS = 63;
const DEFAULT_DRAIN = 10_000;
/** Descriptors that are left for everything but connections. */
const RESERVED_DESCRIPTORS = 128;
/** RFC 6455 §7.4.1: the endpoint is going away. */
const GOING_AWAY = 1001;

/** A running server: an acceptor thread and its shards. */
export class Server {
  readonly #supervisor: Supervisor;
  readonly #limits: ServerLimits;
  /** Null: connections are plain. */
  #tls: TlsSource | null;
  #closing: Promise<void> | null = null;
  #isProfiling = false;
  #isReloading = false;

  /** @internal */
  constructor(supervisor: Supervisor, limits: ServerLimits, tls: TlsSource | null) {
    this.#supervisor = supervisor;
    this.#limits = limits;
    this.#tls = tls;
  }

  /** The port that is listened on. */
  get port(): number {
    return this.#supervisor.port;
  }

  /** Connections are TLS. */
  get isTls(): boolean {
    return this.#tls !== null;
  }

  get shards(): number {
    return this.#supervisor.control.shards;
  }

  /** How sockets reach the shards here. */
  get handoff(): HandoffMode {
    return this.#supervisor.mode;
  }

  /** The limits in force. */
  get limits(): Readonly<ServerLimits> {
    return this.#limits;
  }

  /**
   * Sends a message to every subscriber of a topic, on all shards. Returns false when there is none.
   *
   * @param compress send it compressed to subscribers that agreed on compression
   */
  publish(topic: RecognizedString, message: RecognizedString, isBinary = false, compress = false): boolean {
    return this.#supervisor.publish(topicName(topic), bytesOf(message), isBinary, compress);
  }

  /** Subscribers of a topic, on all shards. */
  numSubscribers(topic: RecognizedString): number {
    return this.#supervisor.links.countElsewhere(topicName(topic));
  }

  /** The counters of all threads, now. */
  stats(): ServerStats {
    return serverStats(this.#supervisor.control, this.#supervisor.linkMemory);
  }

  /**
   * Reads the files of all certificates again, those that app modules gave to `addServerName` too. When it resolves,
   * new connections get the new ones; open ones are left alone.
   *
   * @param options of the server's certificate from now on; left out: those it has
   * @throws MillraceError MILLRACE_BAD_CERTIFICATE when one cannot be used; it stays as it was
   */
  async reloadTls(options?: TlsOptions): Promise<void> {
    if (this.#tls === null) {
      throw new MillraceError('MILLRACE_APP_STATE', "reloadTls: this server has no TLS; give serve() 'tls'");
    }
    const source = options === undefined ? this.#tls.source : credentialsSource('reloadTls', options);
    const credentials = source();
    checkCredentials(credentials, this.#tls.ticketKey);
    this.#tls = { ...this.#tls, source };
    const [error] = await this.#supervisor.reloadTls(credentials);
    if (error !== undefined) throw new MillraceError('MILLRACE_BAD_CERTIFICATE', error);
  }

  /**
   * Records CPU profiles of all threads, `interval` microseconds between two samples (default 1000), while the server
   * serves; it costs a few percent of its speed. Resolves with a profile of each thread that lived through it: what a
   * `.cpuprofile` file holds. One recording at a time.
   *
   * @param seconds 0.1 to 300
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT, MILLRACE_APP_STATE
   */
  async profile(seconds: number, options: ProfileOptions = {}): Promise<ThreadProfile[]> {
    const { interval = 1000, signal } = options;
    checkRange('seconds', seconds, 0.1, 300);
    checkRange('interval', interval, 50, 100_000);
    if (this.#isProfiling) throw new MillraceError('MILLRACE_APP_STATE', 'profile: a recording is under way');
    this.#isProfiling = true;
    try {
      return await this.#supervisor.profile(interval, async () => {
        await sleep(seconds * 1000, undefined, signal === undefined ? {} : { signal }).catch(() => {});
      });
    } finally {
      this.#isProfiling = false;
    }
  }

  /**
   * Loads the app module anew, files it imports too, and replaces the shards with new threads, one by one while the
   * others serve: a shard's clients get a Close frame with 1001 when its successor has loaded the module, `drain` ms to
   * leave, and can connect again to any shard. Publishes of other shards meanwhile do not reach the one that is being
   * replaced. With one shard connections are answered 503 while it is drained.
   *
   * Resolves when all shards are replaced. `data` stays what `serve()` was given.
   *
   * @throws MillraceError MILLRACE_BAD_MODULE when the module cannot be loaded: the shard that tried keeps the old one,
   *   and so do those behind it; MILLRACE_APP_STATE when the server is closed, or reloading
   */
  async reload(options: CloseOptions = {}): Promise<void> {
    const deadline = checkDrain(options.drain, 'reload');
    if (this.#closing !== null) throw new MillraceError('MILLRACE_APP_STATE', 'reload: the server is closed');
    if (this.#isReloading) throw new MillraceError('MILLRACE_APP_STATE', 'reload: one is under way');
    this.#isReloading = true;
    try {
      await this.#supervisor.reload(GOING_AWAY, deadline);
    } finally {
      this.#isReloading = false;
    }
  }

  /**
   * Accepts no more, sends every client a Close frame with 1001, waits until they have left, and ends the
   * threads. Calling it again gives the same promise.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#supervisor.close(GOING_AWAY, checkDrain(options.drain));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Starts a server on all cores. Resolves when connections are accepted.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION, MILLRACE_LISTEN_FAILED, MILLRACE_BAD_MODULE,
 *   MILLRACE_UNSUPPORTED_RUNTIME
 */
export async function serve(options: ServeOptions): Promise<Server> {
  if (!isMainThread) {
    throw new MillraceError('MILLRACE_APP_STATE', 'serve() must be called in the main thread');
  }
  checkServeOptions(options);
  checkPort('serve', options.port);
  const limits = checkServerLimits('serve', options);
  if (limits.maxConnections === 0) limits.maxConnections = defaultMaxConnections();
  const tls = tlsSource(options.tls);
  const supervisor = new Supervisor({
    module: moduleUrl(options.app),
    host: await hostAddress(options.host ?? '::'),
    port: options.port,
    shards: checkShards(options.shards),
    balance: checkBalance(options.balance, tls !== null),
    tls: tls === null ? null : tlsSetup(tls),
    limits,
    data: options.data,
    handoff: checkHandoff(options.handoff),
    ringCapacity: 2 ** Math.ceil(Math.log2(limits.ringSize)),
    maxOverflow: limits.maxOverflow,
  });
  const { onCrash = reportCrash } = options;
  supervisor.on('crash', onCrash);
  if (options.onOverflow !== undefined) supervisor.on('overflow', options.onOverflow);
  supervisor.on('acceptorCrash', reportAcceptorCrash);
  await supervisor.start();
  return new Server(supervisor, limits, tls);
}

interface TlsSource {
  readonly source: CredentialsSource;
  readonly ticketKey: Uint8Array;
}

function tlsSource(options: TlsOptions | undefined): TlsSource | null {
  if (options === undefined) return null;
  return { source: credentialsSource('serve', options), ticketKey: newTicketKey() };
}

/** Reads the files here, so that what is wrong with them is told before any thread exists. */
function tlsSetup({ source, ticketKey }: TlsSource): TlsSetup {
  const credentials = source();
  checkCredentials(credentials, ticketKey);
  return { credentials, ticketKey };
}

function checkCredentials(credentials: TlsSetup['credentials'], ticketKey: Uint8Array): void {
  loadTlsWrap();
  void new ServerNames(() => credentials, ticketKey);
}

function defaultMaxConnections(): number {
  const limit = descriptorLimit();
  return Number.isFinite(limit)
    ? Math.max(limit - RESERVED_DESCRIPTORS, 1)
    : SERVER_LIMITS.maxConnections.max;
}

function moduleUrl(app: unknown): string {
  if (app instanceof URL) return app.href;
  if (typeof app === 'string' && app !== '') return app.startsWith('file:') ? app : pathToFileURL(app).href;
  throw invalid('app', 'must be the URL or path of a module, such as new URL("./app.js", import.meta.url)');
}

async function hostAddress(host: unknown): Promise<string> {
  if (typeof host !== 'string' || host === '') throw invalid('host', 'must be an address or a host name');
  if (isIP(host) !== 0 || host === 'localhost') return host;
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw new MillraceError('MILLRACE_LISTEN_FAILED', `Cannot listen: the host name '${host}' is not known`, {
      cause,
    });
  }
}

function checkShards(shards: unknown): number {
  if (shards === undefined) return Math.min(availableParallelism(), MAX_SHARDS);
  if (typeof shards === 'number' && Number.isInteger(shards) && shards >= 1 && shards <= MAX_SHARDS)
    return shards;
  throw invalid('shards', `must be an integer from 1 to ${MAX_SHARDS}; leave it out for one for each core`);
}

function checkBalance(balance: unknown, isTls: boolean): Balance {
  const checked = readBalance(balance);
  if (!isTls || typeof checked === 'string' || checked.sticky === 'ip') return checked;
  throw invalid(
    'balance',
    "cannot be sticky by what is in a request under 'tls': the shard is chosen before it is decrypted. Use " +
      "{ sticky: 'ip' }, 'least-connections' or 'round-robin'",
  );
}

function readBalance(balance: unknown): Balance {
  if (balance === undefined) return 'least-connections';
  if (balance === 'least-connections' || balance === 'round-robin') return balance;
  const sticky = ((balance ?? {}) as { sticky?: unknown }).sticky;
  if (sticky === 'ip' || sticky === 'url') return { sticky };
  const { header, cookie } = (sticky ?? {}) as { header?: unknown; cookie?: unknown };
  if (typeof header === 'string' && header !== '') return { sticky: { header } };
  if (typeof cookie === 'string' && cookie !== '') return { sticky: { cookie } };
  throw invalid(
    'balance',
    "must be 'least-connections', 'round-robin' or { sticky: 'ip' | 'url' | { header } | { cookie } }",
  );
}

function checkHandoff(handoff: unknown): HandoffMode | 'auto' {
  if (handoff === undefined) return 'auto';
  if (handoff === 'auto' || handoff === 'channel' || handoff === 'transfer') return handoff;
  throw invalid('handoff', "must be 'auto', 'channel' or 'transfer'");
}

function checkDrain(drain: unknown, where = 'close'): number {
  if (drain === undefined) return DEFAULT_DRAIN;
  if (typeof drain === 'number' && drain >= 0 && drain <= 3_600_000) return drain;
  throw new MillraceError(
    'MILLRACE_INVALID_OPTION',
    `${where}: 'drain' must be a number from 0 to 3,600,000 (milliseconds)`,
  );
}

function checkRange(name: string, value: unknown, min: number, max: number): void {
  if (typeof value === 'number' && value >= min && value <= max) return;
  throw new MillraceError(
    'MILLRACE_INVALID_ARGUMENT',
    `profile: '${name}' must be a number from ${min} to ${max}`,
  );
}

function reportCrash(shard: number, error: unknown, delay: number): void {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const when = delay === 0 ? 'at once' : `in ${delay / 1000} s`;
  console.error(`millrace: shard ${shard} ended unexpectedly and is started anew ${when}: ${reason}`);
}

function reportAcceptorCrash(error: unknown): void {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  console.error(`millrace: the acceptor ended unexpectedly and is started anew: ${reason}`);
}

function invalid(name: string, rule: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', `serve: '${name}' ${rule}`);
}
