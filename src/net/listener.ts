import { isIP } from 'node:net';
import { constants } from 'node:os';
import { MillraceError } from '../errors.ts';
import { descriptorLimit, hasDescriptors, nextDescriptor } from './descriptor-limit.ts';
import {
  errorName,
  type SocketAddress,
  TCP,
  TCP_SERVER,
  type TcpHandle,
  UV_TCP_REUSEPORT,
} from './node-internals.ts';
import { untilQuiet } from './turns.ts';

/** How long no connection is accepted after `accept` failed, in ms (out of descriptors, mostly). */
export const ACCEPT_BACKOFF = 100;

/** Descriptors that must be free while nobody connects: a connection takes one, and another while it is handed over. */
const MIN_DESCRIPTORS = 4;

/** Ms between two looks at whether so many are free. */
const PROBE_INTERVAL = 250;

/** One in so many of the descriptors that a process may have open is kept from connections: 8 to 64 of them in all. */
const SPARED = 16;

/** One in so many connections is followed by a look at the next number, as long as there are enough; below 8. */
const LOOK_EVERY = 4;

const EMFILE = -constants.errno.EMFILE;

export interface ListenerEvents {
  onConnection(client: TcpHandle): void;
  /**
   * `accept` failed, or would, for want of descriptors. The listener has closed its handle; the owner gives the
   * listener another after {@link ACCEPT_BACKOFF}. The kernel's backlog holds clients that connect meanwhile as long as
   * another handle keeps the socket open.
   */
  onAcceptError(error: number): void;
  /**
   * A connection was cut off at once, because few descriptors are left. Given where no other thread has the listening socket:
   * if that were closed, so would be all connections in the backlog. Undefined: the listener gives up its handle instead.
   */
  onCut?(): void;
}

/**
 * Accepts connections on a listening handle.
 *
 * Out of descriptors libuv tells nobody: libuv accepts and closes connections by means of a spare descriptor, and
 * when another thread has taken that one, tries again at once, for ever. So the listener looks itself: a connection
 * gets the lowest number that is free, so a high one says that few are left.
 */
export class Listener {
  readonly #backlog: number;
  readonly #events: ListenerEvents;
  /** The first descriptor that is not for connections. */
  readonly #highest: number;
  readonly #spared: number;
  #handle: TcpHandle | null = null;
  #probe: NodeJS.Timeout | undefined;
  #accepted = 0;
  /** What the last look at the next number said. */
  #wasShort = false;

  constructor(backlog: number, events: ListenerEvents) {
    this.#backlog = backlog;
    this.#events = events;
    const limit = descriptorLimit();
    this.#spared = Math.min(Math.max(Math.floor(limit / SPARED), 8), 64);
    this.#highest = limit - this.#spared;
  }

  /** Starts to accept on a bound handle, which the listener then owns. Returns 0 or a negative errno. */
  start(handle: TcpHandle): number {
    this.close();
    handle.onconnection = (status, client): void => {
      if (client === undefined || status !== 0) {
        this.#fail(status);
        return;
      }
      this.#accepted++;
      if (this.#isShort(client)) this.#short(client);
      else this.#events.onConnection(client);
    };
    const isEnough = hasDescriptors(this.#events.onCut === undefined ? this.#spared : MIN_DESCRIPTORS);
    const error = isEnough ? handle.listen(this.#backlog) : EMFILE;
    if (error !== 0) {
      handle.close();
      return error;
    }
    // Accepted sockets inherit it on Linux, which saves a system call for each. A Unix socket has none.
    if (typeof handle.setNoDelay === 'function') handle.setNoDelay(true);
    this.#handle = handle;
    this.#probe = setInterval(() => {
      if (!hasDescriptors(MIN_DESCRIPTORS)) this.#fail(EMFILE);
    }, PROBE_INTERVAL);
    this.#probe.unref();
    return 0;
  }

  /** The handle in use, or null when closed. */
  get handle(): TcpHandle | null {
    return this.#handle;
  }

  close(): void {
    clearInterval(this.#probe);
    this.#handle?.close();
    this.#handle = null;
  }

  /** Accepts the clients that the kernel has connected, for `timeout` ms at most, and closes: the kernel resets the others. */
  async finish(timeout: number): Promise<void> {
    await untilQuiet(() => this.#accepted, timeout);
    this.close();
  }

  /**
   * Few descriptors are left. A connection that is moved to another thread gets another number there, and gives its own
   * back to the next one, which then says nothing.
   */
  #isShort(client: TcpHandle): boolean {
    if (client.fd >= this.#highest) return true;
    if (this.#events.onCut === undefined) return false;
    if (!this.#wasShort && this.#accepted % LOOK_EVERY !== 0) return false;
    this.#wasShort = nextDescriptor() >= this.#highest;
    return this.#wasShort;
  }

  /** Cuts the connection off, or stops. */
  #short(client: TcpHandle): void {
    if (this.#events.onCut !== undefined) {
      client.close();
      this.#events.onCut();
      return;
    }
    this.#events.onConnection(client);
    this.#fail(EMFILE);
  }

  #fail(error: number): void {
    this.close();
    this.#events.onAcceptError(error);
  }
}

/**
 * A handle bound to an address. `localhost` is 127.0.0.1; other names must be resolved by the caller.
 *
 * @param isShared other listeners of the port are let in (SO_REUSEPORT), where the system and Node.js can
 * @param option what asks for the address, as the error names it; '': who calls knows
 * @throws MillraceError MILLRACE_LISTEN_FAILED
 */
export function bindAddress(host: string, port: number, isShared = false, option = ''): TcpHandle {
  try {
    return bindWith(host, port, isShared ? UV_TCP_REUSEPORT : 0, option);
  } catch (error) {
    // macOS and Windows know the flag, and refuse it.
    if (!isShared || UV_TCP_REUSEPORT === 0 || !isNotSupported(error)) throw error;
    return bindWith(host, port, 0, option);
  }
}

function isNotSupported(error: unknown): boolean {
  return /\((ENOTSUP|EINVAL|EOPNOTSUPP)\)/.test((error as Error).message);
}

function bindWith(host: string, port: number, flags: number, option: string): TcpHandle {
  const bound = tryBind(host, port, flags);
  if (typeof bound === 'string') throw listenError(host, port, bound, option);
  return bound;
}

/** A handle bound to an address, as {@link bindAddress}; or the system's name of the error, such as EADDRINUSE. */
export function tryBind(host: string, port: number, flags = 0): TcpHandle | string {
  const address = host === 'localhost' ? '127.0.0.1' : host;
  const version = isIP(address);
  const handle = new TCP(TCP_SERVER);
  let error = version === 6 ? handle.bind6(address, port, flags) : handle.bind(address, port, flags);
  // A machine without IPv6: the unspecified address means "any", and any is then IPv4.
  const name = error === 0 ? '' : errorName(error);
  if (address === '::' && (name === 'EAFNOSUPPORT' || name === 'EINVAL')) {
    error = handle.bind('0.0.0.0', port, flags);
  }
  // libuv keeps EADDRINUSE until the first call that needs the address.
  if (error === 0) error = handle.getsockname({});
  if (error !== 0) {
    handle.close();
    return errorName(error);
  }
  return handle;
}

/** The port a handle is bound to, or -1. */
export function boundPort(handle: TcpHandle): number {
  const name: SocketAddress = {};
  // A Unix socket has none.
  if (typeof handle.getsockname !== 'function') return -1;
  return handle.getsockname(name) === 0 ? (name.port ?? -1) : -1;
}

/**
 * What to tell a user whose address cannot be listened on.
 *
 * @param name the system's, such as EADDRINUSE
 * @param option what asks for the address; '': that is plain
 */
export function listenError(host: string, port: number, name: string, option = ''): MillraceError {
  const remedies: Record<string, string> = {
    EADDRINUSE: 'another program listens there; choose another port, or 0 for any free one',
    EACCES: 'ports below 1024 need a privilege; choose a higher one',
    EADDRNOTAVAIL: 'this machine has no such address; use "::" for all',
    EINVAL: 'the host must be an IP address of this machine, "localhost" or "::" for all',
  };
  const remedy = Object.hasOwn(remedies, name) ? `: ${remedies[name]}` : '';
  return new MillraceError(
    'MILLRACE_LISTEN_FAILED',
    `${option === '' ? '' : `${option}: `}Cannot listen on ${host} port ${port} (${name})${remedy}`,
  );
}
