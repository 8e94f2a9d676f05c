import { createApp, type TemplatedApp } from '../../../src/app/app.ts';
import { SharedMessage } from '../../../src/stomp/codec/frame-writer.ts';
import { listenTcp, type TcpConnection, type TcpSessions } from '../../../src/stomp/front/tcp-binding.ts';
import { StompSession } from '../../../src/stomp/session/session.ts';
import type {
  Awaitable,
  ConnectRequest,
  SendRequest,
  SessionHandler,
  SessionOptions,
} from '../../../src/stomp/session/session-port.ts';
import type { Delivery, Subscription } from '../../../src/stomp/session/subscriptions.ts';
import { LIMITS, textPort } from '../../unit/stomp/codec/read-frames.ts';

const OPTIONS: SessionOptions = {
  id: '',
  server: 'millrace/0',
  protocol: '',
  heartBeat: { send: 1000, receive: 1000 },
  heartBeatTolerance: 3,
  connectTimeout: 10_000,
  frames: LIMITS,
  maxConnectLength: 16 * 1024,
  maxHeldBytes: 256 * 1024,
  maxPendingEffects: 100,
  maxSubscriptions: 10,
  window: 100,
  maxWindow: 1000,
  transactions: { maxTransactions: 2, maxTransactionFrames: 10, maxTransactionBytes: 1000 },
};

/** The simplest broker behind a TCP port: what is sent to a destination goes to all its subscribers. */
export class TcpBroker implements TcpSessions<string> {
  readonly app: TemplatedApp;
  readonly port: number;
  readonly options: Partial<SessionOptions>;
  maxBackpressure = 1024 * 1024;
  writeTimeout = 30;
  readonly sessions = new Set<BrokerSession>();
  /** Deliveries that were acknowledged, by their tokens. */
  readonly settled: string[] = [];
  slowReaders = 0;
  ended = 0;
  onConnect: (request: ConnectRequest) => Awaitable<boolean> = () => true;
  onAuthorize: () => Awaitable<boolean> = () => true;

  constructor(
    options: Partial<SessionOptions> = {},
    app = createApp({ maxConnectionsPerAddress: 0 }),
    tls = false,
  ) {
    this.options = options;
    this.app = app;
    this.port = listenTcp(app, '/stomp', { port: 0, host: '127.0.0.1', tls }, this).port;
  }

  open(connection: TcpConnection, now: number): StompSession<string> {
    const session = new BrokerSession(this);
    this.sessions.add(session);
    const options = { ...OPTIONS, ...this.options, id: `s${this.sessions.size}` };
    session.stomp = new StompSession(options, textPort, connection, session, now);
    return session.stomp;
  }

  onSlowReader(): void {
    this.slowReaders++;
  }

  publish(destination: string, body: Uint8Array, token: string): void {
    for (const { stomp } of this.sessions) {
      for (const subscription of stomp.subscriptions.all()) {
        if (subscription.destination !== destination) continue;
        const message = new SharedMessage(
          textPort,
          ['destination', destination, 'message-id', token],
          body.slice(),
        );
        stomp.deliver(subscription, message, token, performance.now());
      }
    }
  }

  close(): void {
    this.app.close();
  }
}

class BrokerSession implements SessionHandler<string> {
  readonly #broker: TcpBroker;
  stomp!: StompSession<string>;

  constructor(broker: TcpBroker) {
    this.#broker = broker;
  }

  connect(request: ConnectRequest): Awaitable<boolean> {
    return this.#broker.onConnect(request);
  }

  authorize(): Awaitable<boolean> {
    return this.#broker.onAuthorize();
  }

  send({ destination, body, headers }: SendRequest): void {
    this.#broker.publish(destination, body, headers.get('token') ?? 'none');
  }

  subscribe(_subscription: Subscription<string>): void {}

  unsubscribe(): void {}

  settle(deliveries: readonly Delivery<string>[], isAccepted: boolean): void {
    for (const { token } of deliveries) this.#broker.settled.push(isAccepted ? token : `not ${token}`);
  }

  ended(): void {
    this.#broker.sessions.delete(this);
    this.#broker.ended++;
  }

  failed(error: unknown): void {
    throw error;
  }
}
