import {
  type StompCommand,
  StompError,
  StompFault,
  type StompFrame,
  type StompHeaders,
  StompVersion,
} from '../codec/frame.ts';
import { FrameParser } from '../codec/frame-parser.ts';
import { encodeFrame, HEART_BEAT, type HeaderList, SharedMessage } from '../codec/frame-writer.ts';
import { agreedHeartBeat, agreedVersion, type HeartBeat, SUPPORTED_VERSIONS } from '../codec/negotiation.ts';
import type { StompTextPort } from '../codec/text-port.ts';
import { HeldBytes } from './held-bytes.ts';
import type { Awaitable, SendRequest, SessionHandler, SessionOptions, SessionPort } from './session-port.ts';
import { AckMode, Subscription, Subscriptions } from './subscriptions.ts';
import { Transactions } from './transactions.ts';

const State = {
  /** Nothing was read but heart-beats. */
  NEW: 0,
  /** CONNECT was read, and the broker has not decided. */
  CONNECTING: 1,
  CONNECTED: 2,
  /** DISCONNECT was read, and effects of frames before it are waited for. */
  DISCONNECTING: 3,
  OVER: 4,
} as const;
type State = (typeof State)[keyof typeof State];

/** What waits in a transaction. */
type Operation =
  | { readonly kind: 'send'; readonly request: SendRequest }
  | {
      readonly kind: 'settle';
      readonly id: string;
      readonly isAccepted: boolean;
      readonly headers: StompHeaders;
    };

const NO_BEATS: HeartBeat = { send: 0, receive: 0 };
const encoder = new TextEncoder();

/**
 * StompSession: the server's side of a STOMP connection, sans-I/O: bytes go in by `receive`, come out of its port, and time
 * comes in by `tick`. What a client wants is judged here by the rules of the protocol, and done by the handler.
 */
export class StompSession<Token> {
  readonly id: string;
  readonly subscriptions: Subscriptions<Token>;
  readonly #options: SessionOptions;
  readonly #text: StompTextPort;
  readonly #port: SessionPort;
  readonly #handler: SessionHandler<Token>;
  readonly #parser: FrameParser;
  readonly #transactions: Transactions<Operation>;
  #state: State = State.NEW;
  /** The broker decides about a frame: what comes behind it waits. */
  #isDeciding = false;
  readonly #held = new HeldBytes();
  /** Effects that are not done yet. */
  #effects = 0;
  /** Reading was stopped until something is decided or done. */
  #isPaused = false;
  #disconnectReceipt: string | undefined;
  #beats: HeartBeat = NO_BEATS;
  readonly #since: number;
  #received: number;
  #sent: number;

  /** @param now ms of any clock that does not go back; `tick` has the same */
  constructor(
    options: SessionOptions,
    text: StompTextPort,
    port: SessionPort,
    handler: SessionHandler<Token>,
    now: number,
  ) {
    this.id = options.id;
    this.#options = options;
    this.#text = text;
    this.#port = port;
    this.#handler = handler;
    this.subscriptions = new Subscriptions(options.id, options.maxSubscriptions);
    this.#transactions = new Transactions(options.transactions);
    const { maxConnectLength, frames } = options;
    const limits = {
      maxHeaders: frames.maxHeaders,
      maxLineLength: Math.min(frames.maxLineLength, maxConnectLength),
      maxBodyLength: 0,
      maxFrameLength: maxConnectLength,
    };
    this.#parser = new FrameParser('client', limits, text, this);
    this.#since = now;
    this.#received = now;
    this.#sent = now;
  }

  get isOver(): boolean {
    return this.#state === State.OVER;
  }

  get isConnected(): boolean {
    return this.#state === State.CONNECTED;
  }

  /** What was agreed on; null before CONNECTED. */
  get version(): StompVersion | null {
    return this.#parser.version;
  }

  /** Ms between two ticks that it needs to keep its promises; 0: none. */
  get tickInterval(): number {
    const { send, receive } = this.#beats;
    if (this.#state < State.CONNECTED) return this.#options.connectTimeout;
    return Math.min(send || receive, receive || send);
  }

  /** Bytes of the peer, in any split. */
  receive(bytes: Uint8Array, now: number): void {
    this.#received = now;
    if (this.#state >= State.DISCONNECTING) return;
    const plain = plainBytes(bytes);
    if (this.#mustWait || this.#held.size > 0) this.#hold(plain);
    else this.#feed(plain);
  }

  /**
   * Time has passed: sends a heart-beat when one is due, and ends a session that has been silent for too long.
   *
   * @param next ms until the next tick: a heart-beat that is due before that one is sent now
   */
  tick(now: number, next = 0): void {
    const { send, receive } = this.#beats;
    if (this.#state < State.CONNECTED) {
      if (now - this.#since >= this.#options.connectTimeout) {
        this.#fail(new StompError(StompFault.PROTOCOL, 'not connected in time'));
      }
      return;
    }
    if (this.#state === State.OVER) return;
    // What it sends lies unread: it is not the client that is silent.
    if (this.#isPaused) this.#received = now;
    if (receive > 0 && now - this.#received > receive * this.#options.heartBeatTolerance) {
      this.#fail(
        new StompError(StompFault.PROTOCOL, `no heart-beat for ${Math.round(now - this.#received)} ms`),
      );
    } else if (send > 0 && now + next - this.#sent >= send) {
      this.#sent = now;
      this.#port.write(HEART_BEAT);
    }
  }

  /** The connection is gone, or is to go without a word. */
  end(): void {
    if (this.#state !== State.OVER) this.#over();
  }

  /** Sends a MESSAGE of a subscription. `token` comes back with what settles it; it is not used in the mode `auto`. */
  deliver(subscription: Subscription<Token>, message: SharedMessage, token: Token, now: number): void {
    const { version } = this.#parser;
    if (version === null || this.#state >= State.OVER || subscription.isEnded) return;
    const isAuto = subscription.ack === AckMode.AUTO;
    const id = isAuto ? undefined : this.subscriptions.deliver(subscription, token);
    const head = SharedMessage.head(version, subscription.id, id) + message.lines;
    const tail = message.tail(version);
    const length = this.#text.byteLength(head);
    const frame = new Uint8Array(length + tail.length);
    this.#text.write(frame, head, 0);
    frame.set(tail, length);
    this.#sent = now;
    this.#port.write(frame);
  }

  /** Tells the client what is wrong, and ends the session. */
  refuse(error: unknown): void {
    this.#fail(error);
  }

  /** Of the parser. */
  onFrame(frame: StompFrame): void {
    const { command } = frame;
    try {
      if (this.#state !== State.NEW) this.#obey(command, frame);
      else if (command === 'CONNECT' || command === 'STOMP') this.#connect(frame.headers);
      else throw this.#broken('the first frame must be CONNECT', frame);
    } catch (error) {
      this.#fail(error, frame.headers.get('receipt'));
    }
  }

  #obey(command: StompCommand, frame: StompFrame): void {
    const { headers } = frame;
    switch (command) {
      case 'SEND':
        return this.#send(frame);
      case 'SUBSCRIBE':
        return this.#subscribe(frame);
      case 'UNSUBSCRIBE':
        return this.#unsubscribe(frame);
      case 'ACK':
        return this.#settle(frame, true);
      case 'NACK':
        if (this.version === StompVersion.V1_0) throw this.#broken('STOMP 1.0 has no NACK', frame);
        return this.#settle(frame, false);
      case 'BEGIN':
        this.#transactions.begin(this.#required(frame, 'transaction'));
        return this.#receipt(headers.get('receipt'));
      case 'COMMIT':
        return this.#commit(frame);
      case 'ABORT':
        this.#transactions.end(this.#required(frame, 'transaction'));
        return this.#receipt(headers.get('receipt'));
      case 'DISCONNECT':
        return this.#disconnect(headers.get('receipt'));
      case 'CONNECT':
      case 'STOMP':
        throw this.#broken('the session is connected already', frame);
      // The parser lets none of these through.
      case 'CONNECTED':
      case 'MESSAGE':
      case 'RECEIPT':
      case 'ERROR':
        throw this.#broken('a frame of a server', frame);
    }
  }

  #connect(headers: StompHeaders): void {
    const version = agreedVersion(headers.get('accept-version'), this.#options.protocol);
    if (version === null) {
      this.#write('ERROR', ['version', SUPPORTED_VERSIONS, 'message', 'no version in common'], 'text/plain');
      this.#over();
      this.#handler.refused?.(StompFault.PROTOCOL);
      this.#port.finish(false, StompFault.PROTOCOL);
      return;
    }
    const beats = agreedHeartBeat(headers.get('heart-beat'), this.#options.heartBeat);
    if (beats === null)
      throw new StompError(StompFault.HEADER, 'heart-beat is not two numbers of milliseconds');
    this.#state = State.CONNECTING;
    const request = {
      login: headers.get('login'),
      passcode: headers.get('passcode'),
      host: headers.get('host'),
      headers,
    };
    this.#decide(
      () => this.#handler.connect(request),
      () => this.#connected(version, beats),
      'access refused',
    );
  }

  #connected(version: StompVersion, beats: HeartBeat): void {
    const { heartBeat, server, frames } = this.#options;
    this.#parser.version = version;
    this.#parser.limits = frames;
    this.#state = State.CONNECTED;
    this.#beats = beats;
    const offer = `${heartBeat.send},${heartBeat.receive}`;
    this.#write('CONNECTED', ['version', version, 'session', this.id, 'server', server, 'heart-beat', offer]);
  }

  #send(frame: StompFrame): void {
    const { headers } = frame;
    const destination = this.#required(frame, 'destination');
    const transaction = headers.get('transaction');
    const receipt = headers.get('receipt');
    const isKept = transaction !== undefined;
    let request: SendRequest = { destination, headers, body: frame.body };
    this.#decide(
      () => {
        const verdict = this.#handler.authorize('send', destination);
        // The parser's memory is used again before a promise is settled, or a transaction.
        if (isKept || isPromise(verdict)) request = { destination, headers, body: frame.body.slice() };
        return verdict;
      },
      () => {
        if (transaction === undefined) return this.#effect(receipt, () => this.#handler.send(request));
        this.#transactions.add(
          transaction,
          { kind: 'send', request },
          request.body.length + headers.textLength,
        );
        return this.#receipt(receipt);
      },
      'sending there is not allowed',
      receipt,
    );
  }

  #subscribe(frame: StompFrame): void {
    const { headers } = frame;
    const destination = this.#required(frame, 'destination');
    const id = this.version === StompVersion.V1_0 ? headers.get('id') : this.#required(frame, 'id');
    const subscription = new Subscription<Token>(id, destination, this.#ackMode(frame), this.#window(frame));
    const receipt = headers.get('receipt');
    this.#decide(
      () => this.#handler.authorize('subscribe', destination),
      () => {
        this.subscriptions.add(subscription);
        this.#effect(receipt, () => this.#handler.subscribe(subscription, headers));
      },
      'subscribing there is not allowed',
      receipt,
    );
  }

  #ackMode(frame: StompFrame): AckMode {
    const ack = frame.headers.get('ack');
    if (ack === undefined || ack === AckMode.AUTO) return AckMode.AUTO;
    if (ack === AckMode.CLIENT) return AckMode.CLIENT;
    if (ack === AckMode.CLIENT_INDIVIDUAL && this.version !== StompVersion.V1_0)
      return AckMode.CLIENT_INDIVIDUAL;
    throw this.#broken('ack must be auto, client or client-individual', frame);
  }

  #window(frame: StompFrame): number {
    const text = frame.headers.get('prefetch-count');
    if (text === undefined) return this.#options.window;
    let count = 0;
    for (let i = 0; i < text.length; i++) {
      const digit = text.charCodeAt(i) - 0x30;
      if (digit < 0 || digit > 9) count = Number.NaN;
      count = count * 10 + digit;
    }
    if (!(count >= 1)) throw this.#broken('prefetch-count must be a number from 1', frame);
    return Math.min(count, this.#options.maxWindow);
  }

  #unsubscribe(frame: StompFrame): void {
    const { headers } = frame;
    const isOld = this.version === StompVersion.V1_0;
    const id = isOld ? headers.get('id') : this.#required(frame, 'id');
    const destination = isOld && id === undefined ? this.#required(frame, 'destination') : undefined;
    const subscription = this.subscriptions.find(id, destination);
    if (subscription === undefined) throw this.#broken('there is no such subscription', frame);
    const left = this.subscriptions.remove(subscription);
    this.#effect(headers.get('receipt'), () => this.#handler.unsubscribe(subscription, left, headers));
  }

  #settle(frame: StompFrame, isAccepted: boolean): void {
    const { headers } = frame;
    const id = this.#required(frame, this.version === StompVersion.V1_2 ? 'id' : 'message-id');
    const transaction = headers.get('transaction');
    const receipt = headers.get('receipt');
    // Of an id that was never sent: told now, not by COMMIT.
    this.subscriptions.check(
      id,
      this.version === StompVersion.V1_1 ? headers.get('subscription') : undefined,
    );
    if (transaction === undefined) {
      this.#effect(receipt, () => this.#settled(id, isAccepted, headers));
    } else {
      this.#transactions.add(transaction, { kind: 'settle', id, isAccepted, headers }, headers.textLength);
      this.#receipt(receipt);
    }
  }

  #settled(id: string, isAccepted: boolean, headers: StompHeaders): Awaitable<void> {
    const deliveries = this.subscriptions.settle(id);
    return deliveries.length === 0 ? undefined : this.#handler.settle(deliveries, isAccepted, headers);
  }

  #commit(frame: StompFrame): void {
    const operations = this.#transactions.end(this.#required(frame, 'transaction'));
    const receipt = frame.headers.get('receipt');
    const pending: Promise<void>[] = [];
    for (const operation of operations) {
      const done = this.#done(operation);
      if (!isPromise(done)) continue;
      const effect = Promise.resolve(done);
      // Each is watched as it begins: the next may throw. The first to fail is what the client is told.
      effect.catch((error: unknown) => {
        this.#fail(error, receipt);
      });
      pending.push(effect);
    }
    if (pending.length === 0) this.#receipt(receipt);
    else this.#pending(Promise.all(pending), receipt, () => {});
  }

  #done(operation: Operation): Awaitable<void> {
    if (operation.kind === 'send') return this.#handler.send(operation.request);
    return this.#settled(operation.id, operation.isAccepted, operation.headers);
  }

  #disconnect(receipt: string | undefined): void {
    this.#state = State.DISCONNECTING;
    this.#disconnectReceipt = receipt;
    this.#parser.stop();
    if (this.#effects === 0) this.#disconnected();
  }

  /** All that came before DISCONNECT is done. */
  #disconnected(): void {
    this.#receipt(this.#disconnectReceipt);
    this.#over();
    this.#port.finish(true, null);
  }

  // Deciding and doing.

  /** Asks whether a frame may have its effect. While that is open nothing behind it is looked at. */
  #decide(ask: () => Awaitable<boolean>, then: () => void, refusal: string, receipt?: string): void {
    const verdict = ask();
    const conclude = (isAllowed: boolean): void => {
      if (!isAllowed) throw new StompError(StompFault.ACCESS, refusal, receipt);
      then();
    };
    if (!isPromise(verdict)) return conclude(verdict);
    this.#isDeciding = true;
    this.#wait();
    // Whatever `then` is, it is called in a turn of its own, and its answer counts once.
    Promise.resolve(verdict)
      .then((isAllowed) => {
        if (this.#state === State.OVER) return;
        // Until a refusal is told nothing else goes on, such as an effect of a frame before it that is done just now.
        conclude(isAllowed);
        this.#isDeciding = false;
        this.#goOn();
      })
      .catch((error: unknown) => {
        this.#isDeciding = false;
        this.#fail(error, receipt);
      });
  }

  /** What comes is not looked at now. */
  get #mustWait(): boolean {
    return this.#isDeciding || this.#effects >= this.#options.maxPendingEffects;
  }

  #wait(): void {
    this.#parser.stop();
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#port.pause();
  }

  /** Looks at what had to wait, as far as nothing in it is to be waited for again. */
  #goOn(): void {
    const held = this.#held;
    while (held.size > 0 && !this.#mustWait && this.#state < State.DISCONNECTING) {
      const taken = this.#read(held.bytes);
      if (this.isOver) return;
      held.drop(taken);
    }
    if (!this.#isPaused || this.#mustWait) return;
    this.#isPaused = false;
    this.#port.resume();
  }

  #hold(bytes: Uint8Array): void {
    if (this.#held.size + bytes.length > this.#options.maxHeldBytes) {
      this.#fail(new StompError(StompFault.LIMIT, 'too much was sent before an answer'));
    } else {
      this.#held.append(bytes);
    }
  }

  #feed(bytes: Uint8Array): void {
    const taken = this.#read(bytes);
    if (taken < bytes.length && this.#mustWait) this.#hold(bytes.subarray(taken));
  }

  /** Returns how many of the bytes are done with. */
  #read(bytes: Uint8Array): number {
    try {
      return this.#parser.read(bytes);
    } catch (error) {
      this.#fail(error);
      return bytes.length;
    }
  }

  /** Does what a frame is for, and confirms it when it is done. */
  #effect(receipt: string | undefined, run: () => Awaitable<void>): void {
    const done = run();
    if (!isPromise(done)) return this.#receipt(receipt);
    this.#pending(Promise.resolve(done), receipt, (error) => {
      this.#fail(error, receipt);
    });
  }

  #pending(done: Promise<unknown>, receipt: string | undefined, failed: (error: unknown) => void): void {
    this.#effects++;
    if (this.#mustWait) this.#wait();
    done.then(
      () => {
        this.#effects--;
        if (this.#state === State.OVER) return;
        this.#receipt(receipt);
        if (this.#effects === 0 && this.#state === State.DISCONNECTING) this.#disconnected();
        else if (this.#isPaused) this.#goOn();
      },
      (error: unknown) => {
        this.#effects--;
        failed(error);
      },
    );
  }

  #receipt(receipt: string | undefined): void {
    if (receipt !== undefined) this.#write('RECEIPT', ['receipt-id', receipt]);
  }

  // Ending.

  /** What the client did wrong is told to it; what went wrong otherwise is not. */
  #fail(error: unknown, receipt?: string): void {
    if (this.#state === State.OVER) {
      if (!(error instanceof StompError)) this.#handler.failed(error);
      return;
    }
    const isOurs = !(error instanceof StompError);
    const message = isOurs ? 'internal error' : error.message;
    const receiptId = isOurs ? receipt : (error.receipt ?? receipt);
    const headers = ['message', message];
    if (receiptId !== undefined) headers.push('receipt-id', receiptId);
    this.#write('ERROR', headers, 'text/plain');
    this.#over();
    const fault = isOurs ? null : error.fault;
    this.#handler.refused?.(fault);
    this.#port.finish(false, fault);
    if (isOurs) this.#handler.failed(error);
  }

  #over(): void {
    this.#state = State.OVER;
    this.#parser.stop();
    this.#held.clear();
    this.#transactions.clear();
    this.#handler.ended();
  }

  #write(command: StompCommand, headers: HeaderList, type?: string): void {
    // An ERROR says its message in its body, too, as brokers do: clients show either.
    const body = type === undefined ? undefined : encoder.encode(headers[headers.indexOf('message') + 1]);
    const list = type === undefined ? headers : [...headers, 'content-type', type];
    this.#port.write(encodeFrame(this.#text, this.#parser.version, command, list, body));
  }

  #required(frame: StompFrame, name: string): string {
    const value = frame.headers.get(name);
    if (value === undefined) throw this.#broken(`${frame.command} needs the header ${name}`, frame);
    return value;
  }

  #broken(message: string, frame: StompFrame): StompError {
    return new StompError(StompFault.PROTOCOL, message, frame.headers.get('receipt'));
  }
}

function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as unknown as { then?: unknown }).then === 'function';
}

/** The `slice` of a Buffer is no copy, and here and in the parser copies are made by it. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.constructor === Uint8Array) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
