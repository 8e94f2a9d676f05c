import { isUtf8 } from 'node:buffer';
import type { TemplatedApp } from '../../app/app.ts';
import { addWebSocket } from '../../app/app-routes.ts';
import { FACES } from '../../app/faces.ts';
import type { HttpRequest } from '../../app/http-request.ts';
import type { BusSubscriber } from '../../bus/bus-subscriber.ts';
import type { TimerNode } from '../../net/idle-timer.ts';
import { LINGER } from '../../net/linger.ts';
import { CloseCode } from '../../protocol/close-code.ts';
import { FIN } from '../../protocol/frame-header.ts';
import { Opcode } from '../../protocol/opcode.ts';
import type { OriginPolicy } from '../../protocol/origin.ts';
import { selectSubprotocol } from '../../protocol/subprotocol.ts';
import { sendFrame } from '../../websocket/sending.ts';
import type { Session } from '../../websocket/session.ts';
import { StompFault } from '../codec/frame.ts';
import { STOMP_PROTOCOLS } from '../codec/negotiation.ts';
import type { StompSession } from '../session/session.ts';
import type { SessionPort } from '../session/session-port.ts';
import { type HandshakeRequest, keptRequest } from './handshake-request.ts';
import { visitInterval } from './visits.ts';

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** What a broker is for the connections of a WebSocket endpoint. */
export interface WebSocketSessions<Token> {
  /** Requests of clients are kept until they are connected. */
  readonly keepsRequests: boolean;
  /** All goes in binary messages, also what is UTF-8. */
  readonly prefersBinary: boolean;
  /**
   * Makes the session of a new connection. `now` is of the clock that the session's ticks have.
   *
   * @param protocol the subprotocol that was agreed on; '' without one
   * @param request null: requests are not kept
   */
  open(
    connection: WebSocketConnection,
    protocol: string,
    request: HandshakeRequest | null,
    now: number,
  ): StompSession<Token>;
  /** A client was cut off because it reads too slowly. */
  onSlowReader(): void;
}

export interface WebSocketEndpointOptions {
  readonly path: string;
  readonly maxPayloadLength: number;
  readonly maxBackpressure: number;
  readonly idleTimeout: number;
  readonly origins: OriginPolicy | undefined;
}

/** Close codes of what ended a session by an ERROR (RFC 6455, 7.4.1). */
function closeCodeOf(fault: StompFault | null): number {
  if (fault === null) return CloseCode.INTERNAL_ERROR;
  if (fault === StompFault.ACCESS || fault === StompFault.LIMIT) return CloseCode.POLICY_VIOLATION;
  return fault === StompFault.UNAVAILABLE ? CloseCode.TRY_AGAIN_LATER : CloseCode.PROTOCOL_ERROR;
}

/**
 * WebSocketConnection: a client that speaks STOMP over WebSocket, as its session's port, and what the engine's session is
 * held by.
 */
export class WebSocketConnection implements SessionPort, TimerNode {
  session!: StompSession<unknown>;
  /** It read too slowly, and closes at the end of the turn. */
  isCut = false;
  readonly #engine: Session;
  readonly #prefersBinary: boolean;
  /** Second in which a client that said DISCONNECT is to have closed; 0: it has not said so. */
  #lingersUntil = 0;
  /** It has not written anything yet. */
  #isNew = true;

  // TimerNode
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;

  constructor(engine: Session, prefersBinary: boolean) {
    this.#engine = engine;
    this.#prefersBinary = prefersBinary;
  }

  /** Address of the client; '' when the system does not know it. */
  get remoteAddress(): string {
    return this.#engine.transport.peerName().address;
  }

  /** Bytes that wait for the client. */
  get bufferedAmount(): number {
    return this.#engine.isClosed ? 0 : this.#engine.bufferedAmount;
  }

  /** What can be in groups of the bus. */
  get subscriber(): BusSubscriber {
    return this.#engine;
  }

  write(bytes: Uint8Array): void {
    const isBinary = this.#prefersBinary || !isUtf8(bytes);
    sendFrame(this.#engine, FIN | (isBinary ? Opcode.BINARY : Opcode.TEXT), bytes, isBinary);
    if (!this.#isNew) return;
    // From CONNECTED on the session has other promises to keep.
    this.#isNew = false;
    this.schedule();
  }

  pause(): void {
    this.#engine.transport.pause();
  }

  resume(): void {
    if (!this.#engine.transport.isClosed) this.#engine.transport.resume();
  }

  finish(isGraceful: boolean, fault: StompFault | null): void {
    const { timer } = this.#engine.transport.io;
    if (this.#engine.isClosed) return;
    if (isGraceful) {
      this.#lingersUntil = timer.now + LINGER + 1;
      timer.schedule(this, this.#lingersUntil);
      this.resume();
    } else {
      this.#close(closeCodeOf(fault));
    }
  }

  /** Has the timer look at it when its session's promises ask for it. */
  schedule(): void {
    const { timer } = this.#engine.transport.io;
    const interval = visitInterval(this.session);
    if (interval === 0) timer.cancel(this);
    else timer.schedule(this, timer.now + interval);
  }

  onTimer(now: number): number {
    if (this.#engine.isClosed) return 0;
    if (this.#lingersUntil > 0) {
      if (now < this.#lingersUntil) return this.#lingersUntil;
      this.#close(CloseCode.NORMAL);
      return 0;
    }
    this.session.tick(performance.now(), visitInterval(this.session) * 1000);
    const interval = visitInterval(this.session);
    return this.session.isOver || interval === 0 ? 0 : now + interval;
  }

  /** The connection is over. */
  closed(): void {
    this.#engine.transport.io.timer.cancel(this);
    this.session.end();
  }

  #close(code: number): void {
    this.#engine.route.endSession(this.#engine, code, NO_BYTES);
  }
}

/**
 * Takes STOMP connections over WebSocket at a path, and at the same with `/websocket` behind it, where clients of SockJS look
 * for a plain WebSocket.
 *
 *     CONNECT late, ERROR ─▶ ERROR, Close 1002, 1008, 1011, 1013
 *     DISCONNECT ─▶ RECEIPT ─▶ the client's Close awaited for 5 s ─▶ Close 1000
 *     drain ─▶ Close 1001 and no ERROR: nothing is wrong with it, and it may connect again at once
 */
export function serveWebSockets<Token>(
  app: TemplatedApp,
  options: WebSocketEndpointOptions,
  sessions: WebSocketSessions<Token>,
): void {
  const { path, maxPayloadLength, maxBackpressure, idleTimeout, origins } = options;
  const { prefersBinary } = sessions;
  const behavior = {
    // A message may be a whole frame, headers and all.
    maxPayloadLength,
    maxBackpressure,
    closeOnBackpressureLimit: true,
    idleTimeout,
    protocols: STOMP_PROTOCOLS,
    ...(origins === undefined ? {} : { origins }),
    open: (connection: WebSocketConnection, request: HttpRequest) => {
      const offered = request.getHeader('sec-websocket-protocol');
      const protocol = selectSubprotocol(
        offered.split(',').map((name) => name.trim()),
        STOMP_PROTOCOLS,
      );
      const kept = sessions.keepsRequests ? keptRequest(request) : null;
      connection.session = sessions.open(connection, protocol ?? '', kept, performance.now());
      connection.schedule();
    },
    messageView: (connection: WebSocketConnection, view: Uint8Array) => {
      connection.session.receive(view, performance.now());
    },
    dropped: (connection: WebSocketConnection) => {
      if (connection.isCut) return;
      connection.isCut = true;
      sessions.onSlowReader();
    },
    close: (connection: WebSocketConnection) => {
      connection.closed();
    },
  };
  const faces = {
    ...FACES,
    ofSession: (session: Session) => new WebSocketConnection(session, prefersBinary),
    detach: () => {},
  };
  addWebSocket(app, path, behavior, faces);
  addWebSocket(app, `${path === '/' ? '' : path}/websocket`, behavior, faces);
}
