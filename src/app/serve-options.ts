import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { MessageChannel } from 'node:worker_threads';
import { described, readInteger, withoutNull } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';
import { checkNames } from '../options/option-names.ts';
import { SERVE_LIMITS, type ServeLimits } from '../options/server-limits.ts';
import { HOST_OPTIONS, SERVE_OPTIONS, SHARD_RANGE } from '../options/server-options.ts';
import type { Balance, HandoffMode } from '../shard/control-message.ts';
import type { FullHeap } from '../supervisor/recycler.ts';
import type { HostOptions } from './host-options.ts';
import type { TlsOptions } from './tls-options.ts';

export interface ServeOptions extends Partial<ServeLimits>, HostOptions {
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
   * header or a cookie, as long as that shard is up and takes connections. Default 'least-connections'.
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
   * A shard ended unexpectedly and is started anew after `delay` ms. Default: it is printed to standard error. What
   * this callback and the next throw, or reject with, is printed, and changes nothing.
   */
  onCrash?: (shard: number, error: unknown, delay: number) => void;
  /**
   * A shard has not taken the connections it was sent for a second: its event loop stands still, or does without end what
   * takes long. Newcomers go to the others until it goes on; `stats()` says 'stalled'. It is noticed only when somebody
   * connects. Default: it is printed to standard error.
   */
  onStalled?: (shard: number) => void;
  /**
   * It takes connections again, `duration` ms after `onStalled`. Not called when it ended instead, see `onCrash`. Default: it is
   * printed to standard error.
   */
  onRecovered?: (shard: number, duration: number) => void;
  /**
   * A full garbage collection has left a shard's heap fuller than `heapWatermark`. The shard is replaced after `delay` ms by
   * one that has loaded the module anew, as `reload()` does; its clients get a Close frame with 1001. At first at once, and
   * later, up to an hour, when its successors were soon as full. `error`: its successor could not be started. Default: it is
   * printed to standard error.
   */
  onHeapFull?: (shard: number, heap: FullHeap) => void;
  /**
   * Publishes of thread `from` (a shard, or the number of shards for the main thread) were dropped for shard
   * `to`, which does not keep up: its ring and `maxOverflow` are full. At most once a second for each thread.
   */
  onOverflow?: (from: number, to: number, dropped: number) => void;
}

const NAMES = [SERVE_OPTIONS, HOST_OPTIONS, SERVE_LIMITS].flatMap((table) => Object.keys(table));

/**
 * Checks what each option of `serve()` must be whatever its value is for, and gives those that are not null.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the option and the remedy
 */
export function checkServeOptions(options: ServeOptions): ServeOptions {
  if (typeof options !== 'object' || options === null) {
    throw new MillraceError(
      'MILLRACE_INVALID_OPTION',
      `serve: the argument must be an object with options, such as { app, port: 9001 }; got ${described(options)}`,
    );
  }
  const checked = withoutNull(options);
  const given = checked as unknown as Readonly<Record<string, unknown>>;
  checkNames('serve', 'option', given, NAMES);
  for (const [name, { type }] of Object.entries(SERVE_OPTIONS)) {
    const callback = given[name];
    if (type !== 'callback' || callback === undefined || typeof callback === 'function') continue;
    throw invalid(name, `must be a function; got ${described(callback)}`);
  }
  checkData(given['data']);
  return checked;
}

/** Tells now what no thread could be started with. */
function checkData(data: unknown): void {
  const { port1 } = new MessageChannel();
  try {
    port1.postMessage(data);
  } catch (cause) {
    const { message } = cause as Error;
    throw invalid('data', `must be something that can be copied between threads, such as JSON: ${message}`);
  } finally {
    port1.close();
  }
}

// What each option is for: its value, or its default. All throw MILLRACE_INVALID_OPTION.

/** The URL of the app module. */
export function moduleUrl(app: unknown): string {
  if (app instanceof URL) return app.href;
  if (typeof app === 'string' && app !== '') return app.startsWith('file:') ? app : pathToFileURL(app).href;
  throw invalid(
    'app',
    `must be the URL or path of a module, such as new URL("./app.js", import.meta.url); got ${described(app)}`,
  );
}

/** The address to listen on; a host name's first one. */
export async function hostAddress(host: unknown): Promise<string> {
  if (typeof host !== 'string' || host === '')
    throw invalid('host', `must be an address or a host name; got ${described(host)}`);
  if (isIP(host) !== 0 || host === 'localhost') return host;
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw new MillraceError('MILLRACE_LISTEN_FAILED', `Cannot listen: the host name '${host}' is not known`, {
      cause,
    });
  }
}

export function checkShards(shards: unknown): number {
  const given = readInteger(shards);
  const { min, max } = SHARD_RANGE;
  if (given === undefined) return Math.min(availableParallelism(), max);
  if (given >= min && given <= max) return given;
  throw invalid(
    'shards',
    `must be an integer from ${min} to ${max}; leave it out for one for each core; got ${described(shards)}`,
  );
}

/** Under TLS connections are spread before anything of a request can be read. */
export function checkBalance(balance: unknown, isTls: boolean): Balance {
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
    `must be 'least-connections', 'round-robin' or { sticky: 'ip' | 'url' | { header } | { cookie } }; got ${described(balance)}`,
  );
}

export function checkHandoff(handoff: unknown): HandoffMode | 'auto' {
  if (handoff === undefined) return 'auto';
  if (handoff === 'auto' || handoff === 'channel' || handoff === 'transfer') return handoff;
  throw invalid('handoff', `must be 'auto', 'channel' or 'transfer'; got ${described(handoff)}`);
}

function invalid(name: string, rule: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', `serve: '${name}' ${rule}`);
}
