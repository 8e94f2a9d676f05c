import type { BusSubscriber } from '../../bus/bus-subscriber.ts';
import { reportError } from '../../error-report.ts';
import { Counter, Level } from '../../metrics/counter.ts';
import { callUser, userCode } from '../../user-code.ts';
import { StompError, StompFault, StompHeaders, StompVersion } from '../codec/frame.ts';
import type { SharedMessage } from '../codec/frame-writer.ts';
import type { StompTextPort } from '../codec/text-port.ts';
import type { HandshakeRequest } from '../front/handshake-request.ts';
import { StompSession } from '../session/session.ts';
import type {
  Awaitable,
  ConnectRequest,
  SendRequest,
  SessionHandler,
  SessionPort,
} from '../session/session-port.ts';
import { AppMessage } from './app-destinations.ts';
import type { ChangedMessage, CheckedBrokerOptions, StompVerdict } from './broker-options.ts';
import type {
  BrokerDelivery,
  BrokerSession,
  BrokerSubscription,
  DestinationKind,
  Token,
} from './destination-kind.ts';
import type { Destinations } from './destinations.ts';
import { bodyBytes, headerList } from './publisher.ts';
import type { TempQueues } from './temp-queues.ts';

/** What is the same for all clients of a broker. */
export interface ClientContext {
  readonly options: CheckedBrokerOptions;
  readonly destinations: Destinations;
  readonly temp: TempQueues;
  readonly text: StompTextPort;
  /** Of the thread. */
  readonly counters: Float64Array;
}

/** The connection of a client, of any transport. */
export interface ClientConnection extends SessionPort {
  readonly remoteAddress: string;
  readonly bufferedAmount: number;
  /** Null: it is in no groups of the bus. */
  readonly subscriber: BusSubscriber | null;
}

/** BrokerClient: one client of the broker: what its session asks for, and what destinations deliver to. */
export class BrokerClient implements BrokerSession, SessionHandler<Token> {
  readonly session: StompSession<Token>;
  user: string | undefined = undefined;
  host = '';
  readonly #context: ClientContext;
  readonly #connection: ClientConnection;
  /** The request that it came with, until it is connected. */
  #request: HandshakeRequest | null;
  #isCounted = false;

  constructor(
    context: ClientContext,
    connection: ClientConnection,
    id: string,
    protocol: string,
    request: HandshakeRequest | null,
    now: number,
  ) {
    this.#context = context;
    this.#connection = connection;
    this.#request = request;
    const options = { ...context.options.session, id, protocol };
    this.session = new StompSession<Token>(options, context.text, connection, this, now);
  }

  // BrokerSession

  get id(): string {
    return this.session.id;
  }

  get version(): StompVersion {
    return this.session.version ?? StompVersion.V1_2;
  }

  get isConnected(): boolean {
    return this.session.isConnected;
  }

  get bufferedAmount(): number {
    return this.#connection.bufferedAmount;
  }

  get subscriber(): BusSubscriber | null {
    return this.#connection.subscriber;
  }

  get prefersBinary(): boolean {
    return this.#context.options.binary;
  }

  deliver(subscription: BrokerSubscription, message: SharedMessage, token: Token): void {
    this.session.deliver(subscription, message, token, performance.now());
  }

  refuse(error: unknown): void {
    this.session.refuse(error);
  }

  // SessionHandler

  connect(request: ConnectRequest): Awaitable<boolean> {
    const { hooks } = this.#context.options;
    this.host = this.#hostOf(request.host);
    const handshake = this.#request;
    this.#request = null;
    if (hooks.authenticate === undefined) return this.#admit(true, request.login);
    const headers = new Map<string, string>();
    for (let i = 0; i < request.headers.size; i++) {
      const name = request.headers.nameAt(i);
      if (!headers.has(name)) headers.set(name, request.headers.valueAt(i));
    }
    const { login, passcode, host } = request;
    const { remoteAddress } = this.#connection;
    const verdict: unknown = hooks.authenticate({
      login,
      passcode,
      host,
      headers,
      request: handshake,
      remoteAddress,
    });
    if (!isThenable(verdict)) return this.#admit(verdict as StompVerdict, login);
    return Promise.resolve(verdict).then((settled) => this.#admit(settled as StompVerdict, login));
  }

  #hostOf(wanted: string | undefined): string {
    const { hosts } = this.#context.options;
    if (hosts === null) return '';
    const host = wanted ?? hosts[0]!;
    if (!hosts.includes(host)) throw new StompError(StompFault.ACCESS, 'there is no such virtual host');
    return host;
  }

  #admit(verdict: StompVerdict, login: string | undefined): boolean {
    const user = typeof verdict === 'object' && verdict !== null ? verdict.user : undefined;
    if (verdict !== true && (typeof user !== 'string' || user === '')) return false;
    // It may have gone while it was decided about.
    if (this.session.isOver) return false;
    this.user = user ?? login;
    this.#isCounted = true;
    this.#context.counters[Level.STOMP_SESSIONS]!++;
    return true;
  }

  authorize(action: 'send' | 'subscribe', destination: string): Awaitable<boolean> {
    const { authorize } = this.#context.options.hooks;
    // Whoever has the secret address of a temporary queue was asked for an answer.
    if (authorize === undefined || (action === 'send' && destination.startsWith('/reply-queue/')))
      return true;
    return authorize(this, action, destination);
  }

  send(request: SendRequest): Awaitable<void> {
    const { counters, temp, options } = this.#context;
    const { onSend } = options.hooks;
    counters[Counter.STOMP_SENDS]!++;
    const addressed = temp.addressed(this, request);
    if (onSend === undefined) return this.#kindOf(request.destination).send(this, addressed);
    const message = new AppMessage(addressed);
    const verdict: unknown = onSend(message, this);
    if (!isThenable(verdict)) return this.#sendChanged(message, verdict);
    return Promise.resolve(verdict).then((settled) => this.#sendChanged(message, settled));
  }

  #sendChanged(message: AppMessage, verdict: unknown): Awaitable<void> {
    if (verdict === false) throw new StompError(StompFault.ACCESS, 'the message was refused');
    const request = typeof verdict === 'object' && verdict !== null ? changed(message, verdict) : message;
    return this.#kindOf(request.destination).send(this, request);
  }

  subscribe(subscription: BrokerSubscription, headers: StompHeaders): Awaitable<void> {
    this.#context.counters[Counter.STOMP_SUBSCRIBES]!++;
    return this.#kindOf(subscription.destination).subscribe(this, subscription, headers);
  }

  unsubscribe(
    subscription: BrokerSubscription,
    left: readonly BrokerDelivery[],
    headers: StompHeaders,
  ): Awaitable<void> {
    return this.#kindOf(subscription.destination).unsubscribe(this, subscription, left, headers);
  }

  settle(deliveries: readonly BrokerDelivery[], isAccepted: boolean, headers: StompHeaders): Awaitable<void> {
    const { counters } = this.#context;
    counters[isAccepted ? Counter.STOMP_ACKS : Counter.STOMP_NACKS]!++;
    const { destination } = deliveries[0]!.subscription;
    return this.#kindOf(destination).settle(this, deliveries, isAccepted, headers);
  }

  ended(): void {
    const { destinations, counters } = this.#context;
    const { subscriptions } = this.session;
    this.#request = null;
    if (this.#isCounted) counters[Level.STOMP_SESSIONS]!--;
    this.#isCounted = false;
    for (const subscription of Array.from(subscriptions.all())) {
      const left = subscriptions.remove(subscription);
      this.#try(() => this.#kindOf(subscription.destination).unsubscribe(this, subscription, left, null));
    }
    for (const kind of destinations.all()) this.#try(() => kind.ended?.(this));
  }

  /** Nobody is there any more who could be told what goes wrong, if it is the client's fault. */
  #try(run: () => Awaitable<void>): void {
    const failed = (error: unknown): void => {
      if (!(error instanceof StompError)) this.failed(error);
    };
    try {
      const done = run();
      if (done !== undefined) done.then(() => {}, failed);
    } catch (error) {
      failed(error);
    }
  }

  refused(fault: StompFault | null): void {
    const { counters } = this.#context;
    counters[fault === StompFault.ACCESS ? Counter.STOMP_REFUSED : Counter.STOMP_ERRORS]!++;
  }

  failed(error: unknown): void {
    const { onError } = this.#context.options.hooks;
    if (onError === undefined) reportError('a handler of stompBroker', error);
    else callUser(userCode(onError), onErrorFailed, error, this);
  }

  #kindOf(destination: string): DestinationKind {
    return this.#context.destinations.kindOf(destination);
  }
}

/** @throws MillraceError what `onSend` returned is no message */
function changed(message: AppMessage, change: ChangedMessage): SendRequest {
  const headers = change.headers === undefined ? message.headers : new StompHeaders();
  if (change.headers !== undefined) {
    const list = headerList(change.headers);
    for (let i = 0; i < list.length; i += 2) headers.append(list[i]!, list[i + 1]!);
  }
  return {
    destination: change.destination ?? message.destination,
    headers,
    body: change.body === undefined ? message.body : bodyBytes(change.body),
  };
}

function isThenable(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return typeof (value as { then?: unknown }).then === 'function';
}

function onErrorFailed(error: unknown): void {
  reportError('onError of stompBroker', error);
}
