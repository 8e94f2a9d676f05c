import type { BusGroup } from '../bus/bus.ts';
import { reportError } from '../error-report.ts';
import { Counter } from '../metrics/counter.ts';
import { runTicks } from '../net/node-internals.ts';
import type { Transport, TransportContext } from '../net/transport.ts';
import { CloseCode } from '../protocol/close-code.ts';
import { compressionSettings } from '../protocol/compression.ts';
import {
  type ConnectionContext,
  type ConnectionHandler,
  ConnectionState,
  FailureCause,
} from '../protocol/connection.ts';
import type { DeflateParams } from '../protocol/permessage-deflate.ts';
import type { IncomingRequest } from '../serving/incoming-request.ts';
import { ownCopy } from '../serving/recognized-string.ts';
import type { RequestHandler } from '../serving/request-handler.ts';
import type { UpgradeTarget } from '../serving/upgrade-target.ts';
import { REFUSED, type Shard } from '../shard/shard.ts';
import type { UpgradeRules } from '../shard/upgrade.ts';
import { callUser, type OnFailure, type UserCode, watch } from '../user-code.ts';
import type { CheckedBehavior, Handler } from './behavior.ts';
import type { Faces } from './faces.ts';
import { MessageSampler } from './message-sampler.ts';
import { RouteProtocols } from './route-protocols.ts';
import { Session, type SessionRoute } from './session.ts';
import { SessionClock } from './session-clock.ts';

/** Bytes up to which a loop copies a message faster than `slice` (measured: 20 bytes in 197 ns, `slice` 324). */
const SMALL_MESSAGE = 128;

/** What the `close` handler is told beside 1006, in the words of uWebSockets.js. */
const FAILURE_TEXT: Readonly<Record<number, string>> = {
  [CloseCode.PROTOCOL_ERROR]: 'Received invalid WebSocket frame',
  [CloseCode.INVALID_PAYLOAD]: 'Received invalid UTF-8',
  [CloseCode.POLICY_VIOLATION]: 'Received too many fragments or pings',
  [CloseCode.MESSAGE_TOO_BIG]: 'Received too big message',
};
const CAUSE_TEXT = {
  [FailureCause.INFLATION]: 'Received too big message, or other inflation error',
  [FailureCause.CLOSE_PAYLOAD]: 'Received invalid close payload',
} as const;
const TIMED_OUT = 'WebSocket timed out from inactivity';
const EARLY_FIN = 'Received TCP FIN before WebSocket close frame';

const { MESSAGES_IN } = Counter;

/**
 * WebSocketRoute: what all connections of one `ws()` pattern share: its behavior, the protocol's rules, and one
 * method for each event of a socket. It is the context of their transports and the handler of their connections.
 */
export class WebSocketRoute
  implements TransportContext<Session>, ConnectionHandler, UpgradeTarget, SessionRoute
{
  readonly pattern: string;
  readonly behavior: CheckedBehavior;
  readonly rules: UpgradeRules;
  readonly shard: Shard;
  readonly protocol: ConnectionContext;
  /** What the route sends may be compressed. */
  readonly compresses: boolean;
  /** `open` takes the request, and may be async. */
  readonly readsRequest: boolean;
  readonly upgrade: RequestHandler | undefined;
  readonly #faces: Faces;
  readonly #protocols: RouteProtocols;
  readonly #clock: SessionClock;
  readonly #sampler: MessageSampler;

  constructor(pattern: string, behavior: CheckedBehavior, shard: Shard, faces: Faces) {
    this.pattern = pattern;
    this.behavior = behavior;
    this.rules = {
      origins: behavior.origins,
      protocols: behavior.protocols,
      compression: behavior.compression,
    };
    this.compresses = compressionSettings(behavior.compression)?.compresses ?? false;
    this.readsRequest = behavior.open !== undefined && behavior.open.length !== 1;
    const { upgrade } = behavior;
    this.upgrade =
      upgrade === undefined
        ? undefined
        : (response, request) => upgrade(faces.ofResponse(response), faces.ofRequest(request), this);
    this.#faces = faces;
    this.shard = shard;
    this.#protocols = new RouteProtocols(behavior, shard, this);
    this.protocol = this.#protocols.plain;
    // Says now, and not to the first client, if this runtime cannot.
    if (behavior.compression !== 0) shard.deflate.sharedInflater();
    if (this.compresses) this.#enableVariants();
    this.#clock = new SessionClock(behavior, shard.io.timer);
    this.#sampler = new MessageSampler(shard.metrics);
  }

  // UpgradeTarget

  upgradeFailed(error: unknown): void {
    this.#report(undefined, error);
  }

  open(
    socket: Transport,
    request: IncomingRequest,
    userData: unknown,
    deflate: DeflateParams | undefined,
  ): void {
    const session = new Session(this, socket, this.#protocols.of(deflate));
    socket.passTo(this, session);
    if (session.canDeflate) this.shard.bus.variants!.add(session.deflateBits);
    if (typeof userData === 'object' && userData !== null) Object.assign(session.socket, userData);
    this.#clock.start(session);
    this.shard.count(Counter.OPENED);
    this.shard.observeSince(socket.acceptedAt, this.shard.metrics.histograms.handshakeTime);
    const { open } = this.behavior;
    if (open !== undefined) this.#call(session, open, session.socket, this.#faces.ofRequest(request));
  }

  // Events of the transport.

  onChunk(transport: Transport<Session>, bytes: Uint8Array, start: number, end: number): void {
    const session = transport.owner;
    session.pingedAt = 0;
    this.#sampler.beginRead(session);
    const position = session.receive(bytes, start, end);
    this.#sampler.endRead(session);
    if (position < end) transport.hold(bytes, position, end);
    if (session.remaining !== 0 || session.message.opcode !== 0 || session.spillLength !== 0) {
      this.#clock.noteProgress(session);
    } else {
      session.noteComplete();
    }
  }

  onWritable(transport: Transport<Session>): void {
    const session = transport.owner;
    const { drain } = this.behavior;
    if (!transport.blocked) session.noteRead();
    transport.beginCork();
    session.outputWritable();
    if (drain !== undefined && !session.isClosed) this.#call(session, drain, session.socket);
    transport.endCork();
  }

  onEnd(transport: Transport<Session>): void {
    const session = transport.owner;
    this.#close(session, this.#lossCode(session), EARLY_FIN);
    session.end();
    this.#clock.startCutOff(session);
    transport.end();
  }

  onClosed(transport: Transport<Session>, _error: number): void {
    const session = transport.owner;
    const code = this.#lossCode(session);
    // First: what the `close` handler sends has nowhere to go.
    session.end();
    this.#close(session, code, '');
    this.shard.release(transport);
  }

  onTimer(transport: Transport<Session>, now: number): number {
    const session = transport.owner;
    if (session.cutOffAt !== 0) {
      if (now < session.cutOffAt) return session.cutOffAt;
      transport.destroy();
      return 0;
    }
    if (session.expiresAt !== 0 && now >= session.expiresAt) {
      this.endSession(session, CloseCode.NORMAL, PLEASE_RECONNECT);
    } else if (this.#clock.isTimedOut(session, now)) {
      this.shard.count(Counter.TIMEOUTS);
      session.fail(CloseCode.GOING_AWAY);
      this.#close(session, CloseCode.ABNORMAL, TIMED_OUT);
      this.onDone(session);
    }
    return transport.isClosed ? 0 : this.#clock.nextVisit(session);
  }

  // Events of the connection.

  onMessage(session: Session, bytes: Uint8Array, offset: number, length: number, isBinary: boolean): void {
    const { shard } = this;
    const { messageView } = this.behavior;
    shard.counters[MESSAGES_IN]!++;
    if (session.progress !== null && this.#isMeasured(session, bytes, offset, length, isBinary)) return;
    try {
      const result =
        messageView === undefined
          ? this.#giveMessage(session, bytes, offset, length, isBinary)
          : messageView(session.socket, shard.io.messageViews.view(bytes, offset, length), isBinary);
      if (result !== undefined) this.watch(session, result);
    } catch (error) {
      this.#fail(session, error);
    }
  }

  /** Of a session that has headway to note, or is sampled. Returns whether the message was to be measured, and is handled. */
  #isMeasured(
    session: Session,
    bytes: Uint8Array,
    offset: number,
    length: number,
    isBinary: boolean,
  ): boolean {
    if (!this.#sampler.takeMessage(session, length)) return false;
    const started = performance.now();
    // `onMessage` counts the message once more.
    this.shard.counters[MESSAGES_IN]!--;
    this.onMessage(session, bytes, offset, length, isBinary);
    this.#sampler.handled(performance.now() - started);
    return true;
  }

  #giveMessage(
    session: Session,
    bytes: Uint8Array,
    offset: number,
    length: number,
    isBinary: boolean,
  ): unknown {
    const { message } = this.behavior;
    return message?.(session.socket, this.#ownMessage(bytes, offset, length), isBinary);
  }

  /** A copy that belongs to the handler. */
  #ownMessage(bytes: Uint8Array, offset: number, length: number): ArrayBuffer {
    if (length <= SMALL_MESSAGE) {
      const copy = new ArrayBuffer(length);
      const view = new Uint8Array(copy);
      for (let i = 0; i < length; i++) view[i] = bytes[offset + i]!;
      return copy;
    }
    const start = bytes.byteOffset + offset;
    return bytes.buffer.slice(start, start + length) as ArrayBuffer;
  }

  onPing(session: Session, bytes: Uint8Array, offset: number, length: number): void {
    const { ping } = this.behavior;
    if (ping !== undefined) this.#call(session, ping, session.socket, copyOf(bytes, offset, length));
  }

  onPong(session: Session, bytes: Uint8Array, offset: number, length: number): void {
    const { pong } = this.behavior;
    if (pong !== undefined) this.#call(session, pong, session.socket, copyOf(bytes, offset, length));
  }

  /**
   * Messages that came in the same read are dealt with before, to the last `await` and nextTick of their handlers,
   * as in uWebSockets.js, where each handler is a callback of its own.
   */
  onPeerClosing(_session: Session): void {
    runTicks();
  }

  onPeerClose(session: Session, code: number, bytes: Uint8Array, offset: number, length: number): void {
    this.#close(session, code, copyOf(bytes, offset, length));
  }

  onFailure(session: Session, code: number, cause: FailureCause): void {
    this.shard.count(Counter.PROTOCOL_ERRORS);
    const text = cause === FailureCause.FRAME ? FAILURE_TEXT[code] : CAUSE_TEXT[cause];
    this.#close(session, CloseCode.ABNORMAL, text ?? '');
  }

  /** RFC 6455 §7.1.1: the server ends the TCP connection first, and the peer has some time to follow. */
  onDone(session: Session): void {
    // The peer has answered the Close of a drain.
    if (!session.isClosed) this.#close(session, this.shard.drainCode, '');
    this.#clock.startCutOff(session);
    session.transport.end();
  }

  /** Published messages are worth compressing. */
  #enableVariants(): void {
    const { variants } = this.shard.bus;
    const { compressionThreshold } = this.behavior;
    variants!.threshold = variants!.isEnabled
      ? Math.min(variants!.threshold, compressionThreshold)
      : compressionThreshold;
    variants!.isEnabled = true;
  }

  // SessionRoute

  newSocket(session: Session): object {
    return this.#faces.ofSession(session);
  }

  endSession(session: Session, code: number, reason: Uint8Array): void {
    if (session.isClosed) return;
    this.shard.bus.flushTo(session);
    session.close(code, reason);
    this.#clock.startCutOff(session);
    this.#close(session, code, ownCopy(reason));
  }

  /** What the peer sends until it has read the Close frame is still delivered; `close` is called behind it. */
  drain(transport: Transport<Session>, code: number): void {
    const session = transport.owner;
    if (session.isClosed) return;
    this.shard.bus.flushTo(session);
    session.leave(code, NO_BYTES);
    this.#clock.startCutOff(session);
  }

  dismiss(_transport: Transport<Session>): void {}

  subscribe(session: Session, topic: string): boolean {
    if (session.isClosed) return false;
    const count = this.shard.subscribe(session, topic, this.behavior.maxSubscriptions);
    if (count === REFUSED) return false;
    session.hasSubscribed = true;
    if (count > 0) this.#tellSubscription(session, topic, count, count - 1);
    return session.isOpen;
  }

  unsubscribe(session: Session, topic: string): boolean {
    const count = this.shard.unsubscribe(session, topic);
    if (count < 0) return false;
    this.#tellSubscription(session, topic, count, count + 1);
    return true;
  }

  isOverLimit(session: Session): boolean {
    const { maxBackpressure } = this.behavior;
    return maxBackpressure !== 0 && session.bufferedAmount > maxBackpressure;
  }

  drop(session: Session, message: Uint8Array, isBinary: boolean): void {
    this.shard.count(Counter.DROPPED);
    const { dropped, closeOnBackpressureLimit } = this.behavior;
    if (closeOnBackpressureLimit && session.isOpen) {
      // Nothing leaves behind the gap. The connection ends with the turn: a loop that sends need not expect it before.
      session.end();
      session.transport.io.destroyLater(session.transport);
    }
    // A handler knows from the result what it sends in vain itself; telling it would not end.
    if (dropped === undefined || session.isDropping) return;
    session.isDropping = true;
    this.#call(session, dropped, session.socket, ownCopy(message), isBinary);
    session.isDropping = false;
  }

  /** An error of a user's handler. `socket` is undefined when it was the `upgrade` handler. */
  #report(socket: object | undefined, error: unknown): void {
    this.shard.count(Counter.HANDLER_ERRORS);
    const { onError } = this.behavior;
    if (onError === undefined) reportError(`a handler of ws('${this.pattern}')`, error);
    else callUser(onError, this.#onErrorFailed, socket, error);
  }

  /** What the `close` handler is told when the connection is lost: after a Close frame of ours, its code. */
  #lossCode({ state }: Session): number {
    return state === ConnectionState.LEAVING ? this.shard.drainCode : CloseCode.ABNORMAL;
  }

  #close(session: Session, code: number, message: ArrayBuffer | string): void {
    if (session.isClosed) return;
    session.isClosed = true;
    session.dropHeld();
    this.shard.count(Counter.CLOSED);
    if (session.canDeflate) this.shard.bus.variants!.remove(session.deflateBits);
    if (session.subscriptions !== null) {
      for (const topic of Array.from(session.subscriptions)) {
        if (topic.isGroup) this.shard.bus.leave(topic as BusGroup, session);
        else this.unsubscribe(session, topic.name);
      }
    }
    // The `subscription` handler, which may tell the others who leaves, has been called.
    session.hasSubscribed = false;
    const { close } = this.behavior;
    if (close !== undefined) {
      const text = typeof message === 'string' ? ownCopy(Buffer.from(message)) : message;
      this.#call(session, close, session.socket, code, text);
    }
    this.#faces.detach(session.socket);
  }

  #tellSubscription(session: Session, topic: string, newCount: number, oldCount: number): void {
    const { subscription } = this.behavior;
    if (subscription === undefined) return;
    this.#call(session, subscription, session.socket, ownCopy(Buffer.from(topic)), newCount, oldCount);
  }

  readonly #onErrorFailed = (error: unknown): void => {
    reportError(`onError of ws('${this.pattern}')`, error);
  };

  /** Calls a user's handler; what it throws or rejects with ends that one connection. */
  #call(session: Session, handler: UserCode<Handler>, ...args: unknown[]): void {
    callUser(handler, this.#failing(session), ...args);
  }

  watch(session: Session, result: unknown): void {
    watch(result, this.#failing(session));
  }

  #failing(session: Session): OnFailure {
    return (error) => {
      this.#fail(session, error);
    };
  }

  #fail(session: Session, error: unknown): void {
    this.#report(session.socket, error);
    if (!session.isClosed) this.endSession(session, CloseCode.INTERNAL_ERROR, NO_BYTES);
  }
}

const NO_BYTES = new Uint8Array(0);
const PLEASE_RECONNECT = new TextEncoder().encode('please reconnect');

function copyOf(bytes: Uint8Array, offset: number, length: number): ArrayBuffer {
  return ownCopy(bytes.subarray(offset, offset + length));
}
