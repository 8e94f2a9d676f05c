import type { StompHeaders, StompVersion } from '../../../../src/stomp/codec/frame.ts';
import { SharedMessage } from '../../../../src/stomp/codec/frame-writer.ts';
import { StompSession } from '../../../../src/stomp/session/session.ts';
import type {
  Awaitable,
  ConnectRequest,
  SendRequest,
  SessionHandler,
  SessionOptions,
} from '../../../../src/stomp/session/session-port.ts';
import type { Delivery, Subscription } from '../../../../src/stomp/session/subscriptions.ts';
import { LIMITS, readFrames, textPort } from '../codec/read-frames.ts';

const OPTIONS: SessionOptions = {
  id: 's1',
  server: 'millrace/0',
  protocol: '',
  heartBeat: { send: 10_000, receive: 10_000 },
  heartBeatTolerance: 2,
  connectTimeout: 5000,
  frames: LIMITS,
  maxConnectLength: 16 * 1024,
  maxHeldBytes: 1000,
  maxPendingEffects: 100,
  maxSubscriptions: 3,
  window: 100,
  maxWindow: 1000,
  transactions: { maxTransactions: 2, maxTransactionFrames: 10, maxTransactionBytes: 1000 },
};

const body = (request: SendRequest): string => Buffer.from(request.body).toString();

/** A session with its port and handler written down: what was done in which order, and what the client was sent. */
export class DrivenSession implements SessionHandler<string> {
  readonly session: StompSession<string>;
  readonly log: string[] = [];
  readonly subscriptions: Subscription<string>[] = [];
  now = 1000;
  isPaused = false;
  finished: boolean | undefined;
  failures: unknown[] = [];
  #out: Uint8Array[] = [];
  // What the handler answers.
  onConnect: (request: ConnectRequest) => Awaitable<boolean> = () => true;
  onAuthorize: (action: string, destination: string) => Awaitable<boolean> = () => true;
  onSend: (request: SendRequest) => Awaitable<void> = () => {};
  onSettle: () => Awaitable<void> = () => {};

  constructor(options: Partial<SessionOptions> = {}) {
    const port = {
      write: (bytes: Uint8Array): void => {
        if (this.finished !== undefined) throw new Error('written after the end');
        this.#out.push(bytes.slice());
      },
      pause: (): void => {
        this.isPaused = true;
      },
      resume: (): void => {
        this.isPaused = false;
      },
      finish: (isGraceful: boolean): void => {
        this.finished = isGraceful;
      },
    };
    this.session = new StompSession({ ...OPTIONS, ...options }, textPort, port, this, this.now);
  }

  static connected(version: StompVersion = '1.2', options: Partial<SessionOptions> = {}): DrivenSession {
    const driven = new DrivenSession(options);
    driven.say(`CONNECT\naccept-version:${version}\nhost:x\n\n`);
    driven.taken();
    driven.log.length = 0;
    return driven;
  }

  /** Sends frames, without their NUL. */
  say(...frames: string[]): void {
    this.raw(frames.map((frame) => `${frame}\0`).join(''));
  }

  raw(text: string): void {
    const bytes = Uint8Array.from(Buffer.from(text));
    this.session.receive(bytes, this.now);
    bytes.fill(0xee);
  }

  tick(ms: number): void {
    this.now += ms;
    this.session.tick(this.now);
  }

  deliver(subscription: Subscription<string>, text: string): void {
    const message = new SharedMessage(
      textPort,
      ['destination', subscription.destination],
      Uint8Array.from(Buffer.from(text)),
    );
    this.session.deliver(subscription, message, text, this.now);
  }

  /** The frames since it was last asked, in words: the command, its headers, its body. */
  taken(): string[] {
    const out = this.#out;
    this.#out = [];
    const { frames, fault } = readFrames(out, this.session.version, LIMITS, 'server');
    if (fault !== '') throw new Error(`sent what is no STOMP: ${fault}`);
    return frames.map(({ command, headers, body: text }) =>
      [command, ...headers.filter(([name]) => name !== 'content-length').map((pair) => pair.join(':')), text]
        .filter((word) => word !== '')
        .join(' '),
    );
  }

  /** Bytes since it was last asked. */
  bytes(): string {
    const out = this.#out;
    this.#out = [];
    return Buffer.concat(out).toString();
  }

  connect(request: ConnectRequest): Awaitable<boolean> {
    this.log.push(`connect ${request.login} ${request.passcode} ${request.host}`);
    return this.onConnect(request);
  }

  authorize(action: 'send' | 'subscribe', destination: string): Awaitable<boolean> {
    return this.onAuthorize(action, destination);
  }

  send(request: SendRequest): Awaitable<void> {
    this.log.push(`send ${request.destination} ${body(request)}`);
    return this.onSend(request);
  }

  subscribe(subscription: Subscription<string>): void {
    const { id, destination, ack, window } = subscription;
    this.log.push(`subscribe ${id} ${destination} ${ack} ${window}`);
    this.subscriptions.push(subscription);
  }

  unsubscribe(subscription: Subscription<string>, left: readonly Delivery<string>[]): void {
    this.log.push(
      `unsubscribe ${subscription.id} ${subscription.destination} [${left.map(({ token }) => token).join()}]`,
    );
  }

  settle(
    deliveries: readonly Delivery<string>[],
    isAccepted: boolean,
    headers: StompHeaders,
  ): Awaitable<void> {
    const requeue = headers.get('requeue') ?? '';
    this.log.push(
      `${isAccepted ? 'ack' : 'nack'} [${deliveries.map(({ token }) => token).join()}]${requeue}`,
    );
    return this.onSettle();
  }

  ended(): void {
    this.log.push('ended');
  }

  failed(error: unknown): void {
    this.failures.push(error);
  }
}
