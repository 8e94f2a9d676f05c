import { SharedMessage } from '../../../src/stomp/codec/frame-writer.ts';
import { StompSession } from '../../../src/stomp/session/session.ts';
import type {
  Awaitable,
  ConnectRequest,
  SendRequest,
  SessionHandler,
  SessionOptions,
  SessionPort,
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

/** Headers of SEND that are not the message's. */
const OWN_HEADERS = new Set(['destination', 'content-length', 'receipt', 'transaction', 'token']);

/**
 * The simplest broker behind sessions: what is sent to a destination goes to all its subscribers. `token` of a SEND is the
 * message's id.
 */
export class SimpleBroker {
  readonly options: Partial<SessionOptions>;
  readonly sessions = new Set<BrokerSession>();
  /** Deliveries that were acknowledged, by their tokens. */
  readonly settled: string[] = [];
  ended = 0;
  onConnect: (request: ConnectRequest) => Awaitable<boolean> = () => true;
  onAuthorize: (action: string, destination: string) => Awaitable<boolean> = () => true;

  constructor(options: Partial<SessionOptions> = {}) {
    this.options = options;
  }

  open(port: SessionPort, now: number, protocol = ''): StompSession<string> {
    const session = new BrokerSession(this);
    this.sessions.add(session);
    const options = { ...OPTIONS, ...this.options, protocol, id: `s${this.sessions.size}` };
    session.stomp = new StompSession(options, textPort, port, session, now);
    return session.stomp;
  }

  publish({ destination, headers, body }: SendRequest): void {
    const token = headers.get('token') ?? 'none';
    const list = ['destination', destination, 'message-id', token];
    for (let i = 0; i < headers.size; i++) {
      if (!OWN_HEADERS.has(headers.nameAt(i))) list.push(headers.nameAt(i), headers.valueAt(i));
    }
    const message = new SharedMessage(textPort, list, body.slice());
    for (const { stomp } of this.sessions) {
      for (const subscription of stomp.subscriptions.all()) {
        if (subscription.destination !== destination) continue;
        stomp.deliver(subscription, message, token, performance.now());
      }
    }
  }
}

class BrokerSession implements SessionHandler<string> {
  readonly #broker: SimpleBroker;
  stomp!: StompSession<string>;

  constructor(broker: SimpleBroker) {
    this.#broker = broker;
  }

  connect(request: ConnectRequest): Awaitable<boolean> {
    return this.#broker.onConnect(request);
  }

  authorize(action: string, destination: string): Awaitable<boolean> {
    return this.#broker.onAuthorize(action, destination);
  }

  send(request: SendRequest): void {
    this.#broker.publish(request);
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
