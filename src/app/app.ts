import { AddressLimit, OVER_LIMIT } from '../admission/address-limit.ts';
import { AddressTable, NO_ADDRESS } from '../admission/address-table.ts';
import { Gate } from '../admission/gate.ts';
import { described } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';
import { type AppDescriptor, checkDescriptor } from '../group/app-descriptor.ts';
import { AppGroup, type ChildStats } from '../group/app-group.ts';
import { AppMember } from '../group/app-member.ts';
import { Dispatch } from '../group/child-dispatcher.ts';
import type { HostRules } from '../http/allowed-hosts.ts';
import { LoopWatch } from '../metrics/loop-watch.ts';
import { descriptorLimit } from '../net/descriptor-limit.ts';
import { loadTlsWrap, type TcpHandle } from '../net/node-internals.ts';
import { ServerNames } from '../net/server-names.ts';
import { noCertificate } from '../net/tls-context.ts';
import type { Transport } from '../net/transport.ts';
import { socketPathProblem } from '../net/unix-listener.ts';
import { checkFlag } from '../options/check-option.ts';
import { checkSpelling } from '../options/option-names.ts';
import { checkServerLimits, ringCapacity, type ServerLimits } from '../options/server-limits.ts';
import { APP_NAMES, APP_OPTIONS } from '../options/server-options.ts';
import { MAX_THREADS } from '../ring/layout.ts';
import { Entrance } from '../serving/entrance.ts';
import { HttpServer } from '../serving/http-server.ts';
import {
  type RawEndpoint,
  RawEndpoints,
  type RawOptions,
  type RawProtocol,
} from '../serving/raw-endpoint.ts';
import { type RecognizedString, textOf, textOrBytes, topicName } from '../serving/recognized-string.ts';
import { TlsServer } from '../serving/tls-server.ts';
import type { UpgradeTarget } from '../serving/upgrade-target.ts';
import type { Drainable } from '../shard/drain.ts';
import { Shard } from '../shard/shard.ts';
import { type AppStats, appStats, type RingStats, ringStats } from '../supervisor/stats.ts';
import { userCode } from '../user-code.ts';
import { AppRoutes, webSocketsOf } from './app-routes.ts';
import { checkHosts, type HostOptions } from './host-options.ts';
import { type ListenOptions, listenArguments } from './listen-arguments.ts';
import type { ListenCallback } from './listen-socket.ts';
import { Listeners } from './listeners.ts';
import { openSocket } from './open-socket.ts';
import { credentialsSource, newTicketKey, type TlsOptions } from './tls-options.ts';

/** Options of an App that listens itself. */
export interface AppOptions extends Partial<ServerLimits>, Partial<HostOptions>, TlsOptions {
  /**
   * Every connection starts with a header of the PROXY protocol, version 2, as load balancers send it; one without is
   * refused. The App must be reached by them alone: they are believed. See `res.getProxiedRemoteAddress`. Default false.
   */
  proxyProtocol?: boolean;
}

/** What an App is made with: its options, checked, or what a server has for its shards. */
export interface AppSettings {
  readonly limits: Readonly<ServerLimits>;
  readonly hosts: HostRules;
  /** Connections start with a header of the PROXY protocol. */
  readonly isProxied: boolean;
}

export interface AppParts {
  readonly shard: Shard;
  readonly http: HttpServer;
  /** Null: connections are plain. */
  readonly tls: TlsServer | null;
  /** Where sockets come in that nobody has read. */
  readonly entrance: Entrance;
  readonly raw: RawEndpoints;
  /** Those an acceptor may do the handshakes of, in the order of the calls to `ws()`. */
  readonly webSockets: readonly UpgradeTarget[];
}

/** The engine below an App, for the shard that wires it to the acceptor. */
export let partsOf: (app: TemplatedApp) => AppParts;

/**
 * Has an App take connections of a further port, which speak another protocol: an App that listens itself does so at once,
 * for a shard the server does when it starts. For what is built on Apps in this package; not public.
 *
 * @throws MillraceError MILLRACE_LISTEN_FAILED (of an App that listens itself), MILLRACE_INVALID_OPTION, MILLRACE_APP_STATE
 */
export let addRawEndpoint: <Owner>(
  app: TemplatedApp,
  options: RawOptions,
  protocolOf: (endpoint: RawEndpoint<Owner>) => RawProtocol<Owner>,
) => RawEndpoint<Owner>;

/** The sockets that an App listens on, and the gate that those pass who come by them. */
interface Door {
  readonly listeners: Listeners;
  readonly gate: Gate;
}

/** The children of an acceptor App, and the rings between all threads that are joined. */
export interface ChildAppStats {
  readonly children: readonly ChildStats[];
  readonly rings: readonly RingStats[];
}

/**
 * TemplatedApp: routes and topics of one thread, in the names of uWebSockets.js. `App()` makes one that listens
 * itself; in a server each shard's module gets one whose connections come from the acceptor.
 */
export class TemplatedApp extends AppRoutes implements Drainable {
  readonly #shard: Shard;
  readonly #http: HttpServer;
  readonly #tls: TlsServer | null;
  readonly #entrance: Entrance;
  readonly #raw: RawEndpoints;
  readonly #limits: Readonly<ServerLimits>;
  /** Null in a shard: the server listens. */
  readonly #door: Door | null;
  /** Counts connections by address; null: they are not limited, or the server counts them. */
  readonly #addresses: AddressLimit | null;
  /** Null: the shard's thread has one. */
  readonly #loopWatch: LoopWatch | null;
  #isClosed = false;
  /** The Apps of other threads that connections go to; null: none was joined. */
  #group: AppGroup | null = null;
  /** What makes this App one that can be joined; null: nobody asked for its descriptor. */
  #member: AppMember | null = null;

  /** @internal */
  constructor({ limits, hosts, isProxied }: AppSettings, names: ServerNames | null, shard?: Shard) {
    const ownShard = shard ?? new Shard();
    ownShard.maxTopics = limits.maxTopics;
    ownShard.bus.maxTopicLength = Math.min(ownShard.bus.maxTopicLength, limits.maxTopicLength);
    const http = new HttpServer(ownShard, limits);
    super(ownShard, http);
    http.useHosts(hosts);
    this.#limits = limits;
    this.#shard = ownShard;
    this.#http = http;
    this.#tls = names === null ? null : new TlsServer(ownShard, limits, names);
    this.#raw = new RawEndpoints(ownShard, this.#tls);
    this.#entrance = new Entrance(ownShard, http, this.#tls, this.#raw, limits.maxConnections);
    this.#loopWatch = shard === undefined ? new LoopWatch(ownShard.metrics) : null;
    this.#addresses = shard === undefined ? addressLimit(ownShard, limits) : null;
    this.#door = shard === undefined ? this.#makeDoor(isProxied) : null;
  }

  /**
   * Listens on an address, by default `::`, all of IPv6 and IPv4; port 0: any free one. The callback gets false when the
   * address cannot be had. It is called before `listen` returns, unless the host is a name other than 'localhost', which
   * takes a look-up.
   *
   * @throws MillraceError MILLRACE_INVALID_OPTION, MILLRACE_INVALID_ARGUMENT, MILLRACE_APP_STATE; MILLRACE_BAD_CERTIFICATE
   *   when an App with TLS has no certificate, no server name and no handler of missing ones
   */
  listen(port: number, callback: ListenCallback): this;
  listen(port: number, options: ListenOptions, callback: ListenCallback): this;
  listen(host: RecognizedString, port: number, callback: ListenCallback): this;
  listen(host: RecognizedString, port: number, options: ListenOptions, callback: ListenCallback): this;
  listen(...args: unknown[]): this {
    const { host, port, isExclusive, callback } = listenArguments(args);
    this.#checkCanListen('listen').listeners.listen(host, port, isExclusive, callback);
    return this;
  }

  /**
   * Listens on a Unix socket. A file that a program left which was killed is removed; that takes a moment, otherwise the
   * callback is called before this returns. It gets false when the path cannot be had. A path has 1 to 107 bytes (103 where
   * the system is not Linux), and no NUL but one in front: that makes it an abstract name (Linux, Node.js 22 and later).
   *
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT, MILLRACE_APP_STATE
   */
  listen_unix(callback: ListenCallback, path: RecognizedString): this {
    if (typeof callback !== 'function') {
      throw new MillraceError(
        'MILLRACE_INVALID_ARGUMENT',
        `listen_unix: the first argument must be a callback; got ${described(callback)}`,
      );
    }
    const { listeners } = this.#checkCanListen('listen_unix');
    const name = textOf(path);
    const problem = socketPathProblem(name);
    if (problem !== '') {
      throw new MillraceError('MILLRACE_INVALID_ARGUMENT', `listen_unix: the path ${problem}`);
    }
    listeners.listenUnix(name, callback);
    return this;
  }

  /**
   * Takes over a connected stream socket by its descriptor, which nobody else may close afterwards.
   *
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT when it is none, MILLRACE_APP_STATE
   */
  adoptSocket(fd: number): this {
    const { gate } = this.#checkCanListen('adoptSocket');
    const client = openSocket(fd);
    gate.admit(client, gate.enter(client));
    return this;
  }

  /**
   * Sends a message to every subscriber of a topic. Returns false when there is none.
   *
   * @param compress send it compressed, once for all, to subscribers that agreed on compression
   */
  publish(topic: RecognizedString, message: RecognizedString, isBinary = false, compress = false): boolean {
    return this.#shard.publish(topicName(topic), textOrBytes(message), isBinary, null, compress);
  }

  /** Subscribers of a topic, on all shards. */
  numSubscribers(topic: RecognizedString): number {
    return this.#shard.subscriberCount(topicName(topic));
  }

  /**
   * Names this App to an acceptor App in another thread of this process. Post it there. It keeps this thread alive
   * until `close()`, as connections may come at any time.
   *
   * @throws MillraceError MILLRACE_APP_STATE in a shard of `serve()`, and after `close()`
   */
  getDescriptor(): AppDescriptor {
    const { gate } = this.#checkJoinable('getDescriptor');
    this.#checkServable();
    this.#member ??= new AppMember(
      this.#shard,
      (client, row) => {
        // The acceptor App has counted it, if it counts at all.
        gate.admit(client, row === NO_ADDRESS ? gate.enter(client) : row);
      },
      () => (this.#group === null ? '' : 'it has children of its own'),
    );
    return this.#member.descriptor;
  }

  /**
   * Sends the connections that this App accepts to the App of another thread, in turn with all that were added, and
   * unread: the other App serves HTTP and WebSocket as if it had accepted them. The Apps share their topics from the
   * moment that the other one answers, a few ms later; connections wait so long. Adding it again changes nothing.
   *
   * @param descriptor what `getDescriptor()` of the other App returned
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT when it is no descriptor, of another process, or this App's own;
   *   MILLRACE_APP_STATE in a shard of `serve()`, after `close()`, in an App that was joined to another itself, and with
   *   more than 63 children
   */
  addChildAppDescriptor(descriptor: AppDescriptor): this {
    const where = 'addChildAppDescriptor';
    const { gate } = this.#checkJoinable(where);
    const checked = checkDescriptor(where, descriptor);
    if (checked === this.#member?.descriptor) {
      throw new MillraceError(
        'MILLRACE_INVALID_ARGUMENT',
        `${where}: this is the App's own descriptor; add those of Apps in other threads`,
      );
    }
    if (this.#member?.isJoined === true) {
      throw new MillraceError(
        'MILLRACE_APP_STATE',
        `${where}: this App is the child of another one; add the descriptor to that one`,
      );
    }
    this.#group ??= new AppGroup(
      this.#shard,
      { ringCapacity: ringCapacity(this.#limits), maxOverflow: this.#limits.maxOverflow },
      this.#addresses?.table ?? null,
      (client, row, isExcess) => {
        if (isExcess) gate.refuse(client, row);
        else gate.admit(client, row);
      },
    );
    this.#group.add(checked);
    return this;
  }

  /**
   * Sends no more connections to a child. Those it has live on, and it goes on sharing topics until it is closed. With
   * no child left this App serves its connections itself. A descriptor that was not added is ignored.
   *
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT when it is no descriptor of this process
   */
  removeChildAppDescriptor(descriptor: AppDescriptor): this {
    this.#group?.remove(checkDescriptor('removeChildAppDescriptor', descriptor));
    return this;
  }

  /** The metrics of this App and its loop, now; in a shard of `serve()` those of the shard. docs/metrics.md describes each. */
  stats(): AppStats {
    return appStats(this.#shard.metrics);
  }

  /** The children of this App, and what was published between the threads that are joined with it. */
  childAppStats(): ChildAppStats {
    const memory = this.#group?.memory ?? this.#member?.memory ?? null;
    return { children: this.#group?.stats() ?? [], rings: memory === null ? [] : ringStats(memory) };
  }

  /** Stops listening and closes every connection at once. */
  close(): this {
    this.#isClosed = true;
    this.#loopWatch?.stop();
    this.#member?.close();
    this.#group?.close();
    this.#door?.listeners.close();
    this.#shard.destroyAll();
    return this;
  }

  drain(transport: Transport, code: number): void {
    (transport.context as unknown as Drainable).drain(transport, code);
  }

  dismiss(transport: Transport): void {
    (transport.context as unknown as Drainable).dismiss(transport);
  }

  /**
   * Adds a certificate for clients that ask for this name (SNI), in place of any the name had. `*.example.com`
   * stands for all names with one more label. Without TLS it does nothing.
   *
   * @throws MillraceError MILLRACE_BAD_CERTIFICATE, MILLRACE_INVALID_ARGUMENT, MILLRACE_INVALID_OPTION
   */
  addServerName(hostname: RecognizedString, options: TlsOptions): this {
    const name = textOf(hostname);
    this.#tls?.names.add(name, credentialsSource('addServerName', options, name));
    return this;
  }

  /**
   * Takes a name back, and with it the routes that `domain(hostname)` selected: new connections get the certificate of
   * the App, and requests the routes of all other hosts. Routes for a name that is added anew need a `domain()` anew.
   */
  removeServerName(hostname: RecognizedString): this {
    const name = textOf(hostname).toLowerCase();
    this.#tls?.names.remove(name);
    this.#http.dispatcher.removeDomain(name);
    return this;
  }

  /**
   * Calls `callback` during the handshake of a client that asks for a name which is not there. It may call
   * `addServerName` before it returns; otherwise the client gets the certificate of the App.
   */
  missingServerName(callback: (hostname: string) => void): this {
    if (this.#tls !== null) this.#tls.missingServerName = userCode(callback);
    return this;
  }

  /**
   * Reads the files of all certificates again; new connections get the new ones, open ones are left alone.
   *
   * @param options of the App's own certificate from now on; left out: those it has
   * @throws MillraceError MILLRACE_BAD_CERTIFICATE when one cannot be used; it stays as it was
   */
  reloadTls(options?: TlsOptions): this {
    if (this.#tls === null) throw new MillraceError('MILLRACE_APP_STATE', 'reloadTls: this App has no TLS');
    const source = options === undefined ? null : credentialsSource('reloadTls', options);
    const [error] = this.#tls.names.reload(source);
    if (error !== undefined) throw error;
    return this;
  }

  #checkJoinable(where: string): Door {
    return this.#openDoor(where, 'serve() joins its shards itself');
  }

  #checkCanListen(where: string): Door {
    const door = this.#openDoor(where, 'serve() listens for this App');
    this.#checkServable();
    return door;
  }

  /** @param whoElse does it in a shard */
  #openDoor(where: string, whoElse: string): Door {
    const door = this.#door;
    const state = door === null ? `${whoElse}; remove the call` : this.#isClosed ? 'this App is closed' : '';
    if (door === null || state !== '') throw new MillraceError('MILLRACE_APP_STATE', `${where}: ${state}`);
    return door;
  }

  /** Its children may have certificates where it has none. */
  #checkServable(): void {
    if (this.#tls !== null && !this.#tls.names.isServable && this.#group === null) throw noCertificate();
  }

  #makeDoor(isProxied: boolean): Door {
    const { counters } = this.#shard;
    // Of a proxy's connections it is not known whose they are before they have said so.
    const gate = new Gate(this.#entrance, this.#addresses, counters, !isProxied);
    this.#http.useGate(gate, isProxied);
    const listeners = new Listeners(this.#limits.backlog, this.#shard, (client) => {
      this.#accept(gate, client);
    });
    return { gate, listeners };
  }

  #addRaw<Owner>(
    options: RawOptions,
    protocolOf: (endpoint: RawEndpoint<Owner>) => RawProtocol<Owner>,
  ): RawEndpoint<Owner> {
    if (this.#isClosed) throw new MillraceError('MILLRACE_APP_STATE', `${options.option}: the App is closed`);
    const endpoint = this.#raw.make(options, this.#entrance, protocolOf);
    if (this.#door !== null) {
      // Whether or not a proxy stands before HTTP: these connections are their clients' own.
      const gate = new Gate(endpoint, this.#addresses, this.#shard.counters);
      const { host, port, option } = options;
      endpoint.port = this.#door.listeners.listenRaw(host, port, option, (client) => {
        gate.admit(client, gate.enter(client));
      });
    }
    this.#raw.add(endpoint);
    return endpoint;
  }

  /** Gives a connection to the child whose turn it is, or serves it. */
  #accept(gate: Gate, client: TcpHandle): void {
    const row = gate.enter(client);
    const isMine = this.#group === null || row === OVER_LIMIT;
    const result = isMine ? Dispatch.NONE : this.#group!.dispatch(client, row);
    if (result === Dispatch.NONE) gate.admit(client, row);
    else if (result === Dispatch.FULL) gate.refuse(client, row);
  }

  static {
    Object.defineProperty(this, 'name', { value: 'uWS.App' });
    addRawEndpoint = (app, options, protocolOf) => app.#addRaw(options, protocolOf);
    partsOf = (app) => ({
      shard: app.#shard,
      http: app.#http,
      tls: app.#tls,
      entrance: app.#entrance,
      raw: app.#raw,
      webSockets: webSocketsOf(app),
    });
  }
}

/** An App whose connections are TLS: what tells them apart is the name. */
class SslApp extends TemplatedApp {
  static {
    Object.defineProperty(this, 'name', { value: 'uWS.SSLApp' });
  }
}

/** A table with columns for all Apps that may be joined to this one, whose own is the first. */
function addressLimit(shard: Shard, limits: ServerLimits): AddressLimit | null {
  const { maxConnections, maxConnectionsPerAddress } = limits;
  if (maxConnectionsPerAddress === 0) return null;
  const table = AddressTable.create(MAX_THREADS, maxConnections === 0 ? descriptorLimit() : maxConnections);
  shard.countAddresses(table, 0);
  return new AddressLimit(table, 0, maxConnectionsPerAddress);
}

/** An App that listens itself. */
export function createApp(given?: AppOptions | null): TemplatedApp {
  const options = given ?? {};
  checkSpelling('App', options, APP_NAMES);
  return new TemplatedApp(checkSettings('App', options), null);
}

/** The same, with connections that are TLS. */
export function createSslApp(given?: AppOptions | null): TemplatedApp {
  const options = given ?? {};
  loadTlsWrap();
  checkSpelling('SSLApp', options, APP_NAMES);
  const settings = checkSettings('SSLApp', options);
  if (settings.isProxied) {
    throw new MillraceError(
      'MILLRACE_NOT_SUPPORTED',
      "SSLApp: 'proxyProtocol' works without TLS only; let the proxy end TLS, and use App()",
    );
  }
  const names = new ServerNames(credentialsSource('SSLApp', options), newTicketKey());
  return new SslApp(settings, names);
}

function checkSettings(where: string, options: AppOptions): AppSettings {
  return {
    limits: checkServerLimits(where, options),
    hosts: checkHosts(where, options),
    isProxied: checkFlag(where, 'proxyProtocol', options.proxyProtocol, APP_OPTIONS.proxyProtocol),
  };
}
