import { addRawEndpoint, type TemplatedApp } from '../../app/app.ts';
import { WriteHeadway } from '../../net/headway.ts';
import { LINGER } from '../../net/linger.ts';
import type { Transport } from '../../net/transport.ts';
import { writeBytes } from '../../net/write-bytes.ts';
import type { RawEndpoint, RawProtocol } from '../../serving/raw-endpoint.ts';
import type { StompSession } from '../session/session.ts';
import type { SessionPort } from '../session/session-port.ts';
import { checkTcpOptions, type TcpOptions } from './tcp-options.ts';
import { visitInterval } from './visits.ts';

/** Bytes that a session is given at a time, between two looks at the time. */
const PIECE = 8 * 1024;

/** Seconds between two looks at a client that nothing is due for. */
const MAX_VISIT = 5;

/** What a broker is for the connections of a TCP port. */
export interface TcpSessions<Token> {
  /** Bytes that may wait for a client; one for whom more wait reads too slowly, and is cut off. */
  readonly maxBackpressure: number;
  /** Seconds in which a client takes 16 KiB of what waits for it, or all; 0: it takes its time. */
  readonly writeTimeout: number;
  /** Makes the session of a new connection. `now` is of the clock that the session's ticks have. */
  open(connection: TcpConnection, now: number): StompSession<Token>;
  /** A client was cut off because it reads too slowly. */
  onSlowReader(): void;
}

/** TcpConnection: a client that speaks STOMP over plain TCP, as its session's port. */
export class TcpConnection implements SessionPort {
  readonly transport: Transport;
  readonly #binding: TcpBinding<unknown>;
  session!: StompSession<unknown>;
  /** Bytes that come are not looked at before the session has decided. */
  isPaused = false;
  /** The session is over: the client has until `deadline` to follow. */
  isFinished = false;
  /** It read too slowly, and closes at the end of the turn. */
  isCut = false;
  /** It has not written anything yet. */
  isNew = true;
  deadline = 0;
  headway: WriteHeadway | null = null;

  constructor(transport: Transport, binding: TcpBinding<unknown>) {
    this.transport = transport;
    this.#binding = binding;
  }

  /** Address of the client; '' when the system does not know it. */
  get remoteAddress(): string {
    return this.transport.peerName().address;
  }

  /** It is in no groups of the bus, whose members are WebSockets. */
  get subscriber(): null {
    return null;
  }

  /** Bytes that wait for the client. */
  get bufferedAmount(): number {
    return this.transport.bufferedAmount;
  }

  write(bytes: Uint8Array): void {
    this.#binding.write(this, bytes);
  }

  pause(): void {
    this.isPaused = true;
    this.transport.pause();
  }

  resume(): void {
    this.isPaused = false;
    if (!this.isFinished) this.transport.resume();
  }

  finish(isGraceful: boolean): void {
    this.#binding.finish(this, isGraceful);
  }
}

/**
 * TcpBinding: STOMP over plain TCP. It moves bytes and time between connections of a raw endpoint and their sessions.
 *
 *     CONNECT late, ERROR, drain ─▶ FIN behind what is written ─▶ the client's FIN awaited for 5 s ─▶ closed
 *     DISCONNECT ─▶ RECEIPT ─▶ the client's FIN awaited for 5 s ─▶ closed
 *     the client's FIN ─▶ what it had sent is done, FIN ─▶ closed
 *
 * A connection that is drained gets FIN and no ERROR: nothing is wrong with it, and it may connect again at once.
 */
export class TcpBinding<Token> implements RawProtocol<TcpConnection> {
  readonly #endpoint: RawEndpoint<TcpConnection>;
  readonly #sessions: TcpSessions<Token>;

  constructor(endpoint: RawEndpoint<TcpConnection>, sessions: TcpSessions<Token>) {
    this.#endpoint = endpoint;
    this.#sessions = sessions;
  }

  start(transport: Transport<TcpConnection>): void {
    const connection = new TcpConnection(transport, this);
    transport.owner = connection;
    connection.session = this.#sessions.open(connection, performance.now());
    transport.io.timer.schedule(transport, transport.io.timer.now + visitOf(connection));
    transport.startReading();
  }

  write(connection: TcpConnection, bytes: Uint8Array): void {
    const { transport } = connection;
    if (connection.isCut || transport.isClosed) return;
    if (connection.isNew) {
      connection.isNew = false;
      this.#endpoint.heard(transport as Transport<TcpConnection>);
      // From CONNECTED on it has other promises to keep.
      transport.io.timer.schedule(transport, transport.io.timer.now + visitOf(connection));
    }
    writeBytes(transport, bytes);
    if (transport.bufferedAmount <= this.#sessions.maxBackpressure) return;
    // Not now: who delivers may have others to deliver to.
    connection.isCut = true;
    this.#sessions.onSlowReader();
    transport.io.destroyLater(transport);
  }

  finish(connection: TcpConnection, isGraceful: boolean): void {
    const { transport } = connection;
    if (connection.isFinished || transport.isClosed) return;
    const { timer } = transport.io;
    connection.isFinished = true;
    connection.deadline = timer.now + LINGER + 1;
    timer.schedule(transport, connection.deadline);
    if (isGraceful) transport.resume();
    else transport.end();
  }

  // Events of the transport.

  onChunk(transport: Transport<TcpConnection>, bytes: Uint8Array, start: number, end: number): void {
    const connection = transport.owner;
    const { session } = connection;
    for (let at = start; at < end; ) {
      if (connection.isFinished || connection.isCut || transport.isClosed) return;
      if (connection.isPaused || (at > start && transport.io.pace.lookAtRequests() === 0)) {
        transport.hold(bytes, at, end);
        return;
      }
      const next = Math.min(at + PIECE, end);
      const piece = new Uint8Array(bytes.buffer, bytes.byteOffset + at, next - at);
      session.receive(piece, performance.now());
      at = next;
    }
  }

  onWritable({ owner, blocked }: Transport<TcpConnection>): void {
    if (!blocked && owner.headway !== null) owner.headway.since = 0;
  }

  onEnd(transport: Transport<TcpConnection>): void {
    transport.owner.session.end();
    this.finish(transport.owner, false);
    transport.end();
  }

  onClosed(transport: Transport<TcpConnection>, _error: number): void {
    const connection = transport.owner;
    connection.isFinished = true;
    connection.session.end();
    this.#endpoint.release(transport);
  }

  onTimer(transport: Transport<TcpConnection>, now: number): number {
    const connection = transport.owner;
    const { writeTimeout } = this.#sessions;
    if (connection.isFinished) {
      if (now < connection.deadline) return connection.deadline;
      transport.destroy();
      return 0;
    }
    if (writeTimeout > 0 && transport.blocked) {
      connection.headway ??= new WriteHeadway();
      if (connection.headway.look(transport, now) > writeTimeout) {
        this.#sessions.onSlowReader();
        transport.destroy();
        return 0;
      }
    }
    const interval = visitOf(connection);
    connection.session.tick(performance.now(), interval * 1000);
    if (transport.isClosed) return 0;
    return connection.isFinished ? connection.deadline : now + visitOf(connection);
  }

  drain(transport: Transport<TcpConnection>, _code: number): void {
    const connection = transport.owner;
    connection.session.end();
    this.finish(connection, false);
  }

  dismiss(_transport: Transport<TcpConnection>): void {}
}

/** Takes STOMP connections of a port of their own, whose name is `name`. */
export function listenTcp<Token>(
  app: TemplatedApp,
  name: string,
  options: TcpOptions,
  sessions: TcpSessions<Token>,
): RawEndpoint<TcpConnection> {
  const checked = { ...checkTcpOptions(options), name };
  return addRawEndpoint<TcpConnection>(app, checked, (endpoint) => new TcpBinding(endpoint, sessions));
}

/** Seconds until the timer is to look at a connection again, also because of what waits for its client. */
function visitOf({ session }: TcpConnection): number {
  return visitInterval(session) || MAX_VISIT;
}
