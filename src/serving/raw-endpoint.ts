import type { Admitting } from '../admission/gate.ts';
import { WaitingRoom } from '../admission/waiting-room.ts';
import { MillraceError } from '../errors.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import type { Transport, TransportContext } from '../net/transport.ts';
import type { RawEntry } from '../shard/control-message.ts';
import type { Drainable } from '../shard/drain.ts';
import type { Shard } from '../shard/shard.ts';
import type { SecureServer, TlsServer } from './tls-server.ts';

/** Seconds of silence after which the kernel asks whether the peer is there. */
const KEEP_ALIVE = 60;

/** How the connections of a raw endpoint are served. */
export interface RawProtocol<Owner> extends TransportContext<Owner>, Drainable {
  /**
   * Takes over a connection of which nothing was read: sets its owner, has the timer look at it, and starts to read. The
   * protocol tells the endpoint when the connection has said what it wants, and when it is gone.
   */
  start(transport: Transport<Owner>): void;
}

/** What a raw endpoint is declared with. */
export interface RawOptions extends RawEntry {
  /** Connections do TLS, with the certificates of the App. */
  readonly isTls: boolean;
}

/**
 * RawEndpoint: a further port of an App, whose connections speak another protocol than HTTP. They pass the same gate and
 * count for the same limits. In a server the main thread listens, and the acceptor hands them over unread; an App listens
 * itself. One that is too many is cut off: what it would understand is not known here.
 */
export class RawEndpoint<Owner = unknown> implements Admitting, SecureServer {
  readonly options: RawOptions;
  /** The port that is listened on; -1 in a shard of a server, whose main thread knows it. */
  port = -1;
  readonly #shard: Shard;
  readonly #entrance: Admitting;
  readonly #tls: TlsServer | null;
  readonly #waiting: WaitingRoom;
  readonly #protocol: RawProtocol<Owner>;

  /** @param tls null: connections are plain */
  constructor(
    options: RawOptions,
    shard: Shard,
    entrance: Admitting,
    tls: TlsServer | null,
    waiting: WaitingRoom,
    protocolOf: (endpoint: RawEndpoint<Owner>) => RawProtocol<Owner>,
  ) {
    this.options = options;
    this.#shard = shard;
    this.#entrance = entrance;
    this.#tls = tls;
    this.#waiting = waiting;
    this.#protocol = protocolOf(this);
  }

  hasRoom(refusing: number): boolean {
    return this.#entrance.hasRoom(refusing);
  }

  makeRoom(): boolean {
    return this.#entrance.makeRoom();
  }

  canTell(): boolean {
    return false;
  }

  /** A peer that is gone without a word is noticed by the kernel: not every protocol says something now and then. */
  admit(client: TcpHandle, row: number, _refusal: null | object): Transport {
    client.setKeepAlive(true, KEEP_ALIVE);
    if (this.#tls !== null) return this.#tls.start(client, row, this);
    const transport = this.#shard.adopt<Owner>(client, this.#protocol, row);
    this.#start(transport);
    return transport;
  }

  discard(row: number): void {
    this.#entrance.discard(row);
  }

  startSecure(transport: Transport): void {
    this.#start(transport.passTo(this.#protocol, null));
  }

  /** The connection has said what it wants: it gives way to no other any more. */
  heard(transport: Transport<Owner>): void {
    this.#waiting.delete(transport);
  }

  /** The connection is gone. */
  release(transport: Transport<Owner>): void {
    this.#waiting.delete(transport);
    this.#shard.release(transport);
  }

  #start(transport: Transport<Owner>): void {
    this.#waiting.add(transport);
    this.#protocol.start(transport);
  }
}

/** RawEndpoints: those of an App, in the order in which they were declared: their place is their name between threads. */
export class RawEndpoints {
  readonly #shard: Shard;
  readonly #tls: TlsServer | null;
  /** Connections that have not said yet what they want. */
  readonly #waiting: WaitingRoom;
  readonly #all: RawEndpoint[] = [];
  #isSealed = false;

  /** @param tls null: the App has no certificates */
  constructor(shard: Shard, tls: TlsServer | null) {
    this.#shard = shard;
    this.#tls = tls;
    this.#waiting = new WaitingRoom((change) => {
      shard.addWaiting(change);
    });
  }

  /** What the main thread is told of them. */
  get entries(): RawEntry[] {
    return this.#all.map(({ options: { name, option, host, port } }) => ({ name, option, host, port }));
  }

  at(index: number): RawEndpoint | undefined {
    return this.#all[index];
  }

  /** No endpoint can be declared any more. */
  seal(): void {
    this.#isSealed = true;
  }

  /**
   * Makes an endpoint, which {@link add} is to declare.
   *
   * @throws MillraceError MILLRACE_INVALID_OPTION, MILLRACE_APP_STATE
   */
  make<Owner>(
    options: RawOptions,
    entrance: Admitting,
    protocolOf: (endpoint: RawEndpoint<Owner>) => RawProtocol<Owner>,
  ): RawEndpoint<Owner> {
    const { name, option, isTls } = options;
    if (this.#isSealed) {
      throw new MillraceError(
        'MILLRACE_APP_STATE',
        `${option}: the server listens already; ask for the port before the app module's function is done`,
      );
    }
    if (this.#all.some((other) => other.options.name === name)) {
      throw new MillraceError('MILLRACE_INVALID_OPTION', `${option}: '${name}' has a port already`);
    }
    if (isTls && this.#tls === null) {
      throw new MillraceError(
        'MILLRACE_INVALID_OPTION',
        `${option}: TLS needs the certificates of the server; give serve() 'tls', or use SSLApp()`,
      );
    }
    return new RawEndpoint(
      options,
      this.#shard,
      entrance,
      isTls ? this.#tls : null,
      this.#waiting,
      protocolOf,
    );
  }

  add<Owner>(endpoint: RawEndpoint<Owner>): void {
    this.#all.push(endpoint);
  }

  /** Closes the oldest connection that has not said what it wants. Returns false when there is none that may be closed. */
  evictOldest(): boolean {
    return this.#waiting.evict();
  }
}
