import { described, readInteger } from '../caller-values.ts';
import { invalidArgument, MillraceError } from '../errors.ts';
import { CloseCode, isValidCloseCode } from '../protocol/close-code.ts';
import { FIN } from '../protocol/frame-header.ts';
import { Opcode } from '../protocol/opcode.ts';
import { addressAsText, addressBytes } from '../serving/address.ts';
import { bytesOf, type RecognizedString, textOrBytes, topicName } from '../serving/recognized-string.ts';
import { inFragments, type SendStatus, sendFirst, sendFrame, sendNext } from '../websocket/sending.ts';
import type { Session } from '../websocket/session.ts';

// Constants of this module: of imported ones, and of properties, the compiler does not know the values.
const WHOLE_TEXT = FIN | Opcode.TEXT;
const WHOLE_BINARY = FIN | Opcode.BINARY;

/** Ends the object's access to its connection. */
export let detach: (ws: WebSocket) => void;
/** Not a private method: its class would be a field of every WebSocket. */
let live: (ws: object) => Session;

/**
 * An open WebSocket, in the names of uWebSockets.js. After its `close` handler has run every method but `getUserData`
 * throws MILLRACE_CLOSED_SOCKET.
 */
export class WebSocket<UserData = unknown> {
  #session: Session | null;

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Sends a message.
   *
   * @param isBinary default false: text, which must then be UTF-8
   * @param compress compress this message, when the route has a compressor, the peer agreed on compression, the
   *   message has `compressionThreshold` bytes, and it becomes shorter
   */
  send(message: RecognizedString, isBinary = false, compress = false): SendStatus {
    const session = live(this);
    if (session.isHolding) throw inFragments('send');
    return sendFrame(session, isBinary ? WHOLE_BINARY : WHOLE_TEXT, message, isBinary, compress);
  }

  /**
   * Starts a message that is sent in fragments. Until `sendLastFragment` nothing but pings, fragments and a Close frame
   * can be sent; what is published to this socket waits. `maxBackpressure` is judged here, for the whole message: if it
   * is dropped, so are its other fragments.
   *
   * @param compress compress the whole message, when the route has a compressor and the peer agreed
   */
  sendFirstFragment(message: RecognizedString, isBinary = false, compress = false): SendStatus {
    return sendFirst(live(this), isBinary ? Opcode.BINARY : Opcode.TEXT, message, isBinary, compress);
  }

  /** @param _compress has no effect: all fragments are compressed, or none, as the first one says (RFC 7692 §6.1) */
  sendFragment(message: RecognizedString, _compress = false): SendStatus {
    return sendNext(live(this), 'sendFragment', Opcode.CONTINUATION, message);
  }

  /**
   * Ends a message that is sent in fragments.
   *
   * @param _compress has no effect, see sendFragment
   */
  sendLastFragment(message: RecognizedString, _compress = false): SendStatus {
    return sendNext(live(this), 'sendLastFragment', FIN | Opcode.CONTINUATION, message);
  }

  /** Sends a ping of at most 125 bytes. */
  ping(message: RecognizedString = ''): SendStatus {
    const session = live(this);
    const payload = bytesOf(message);
    if (payload.length > 125) throw tooLong('A ping', payload.length);
    return sendFrame(session, FIN | Opcode.PING, payload, true);
  }

  /**
   * Sends a Close frame and ends the connection when the peer has answered it. The `close` handler is called
   * before this returns. A second call is a no-op as long as the handler runs.
   *
   * @param code 0 sends no code; else 1000 to 1003, 1007 to 1014 or 3000 to 4999. Default 0
   * @param shortMessage at most 123 bytes are sent
   */
  end(code = 0, shortMessage: RecognizedString = ''): void {
    const session = live(this);
    const given = readInteger(code) ?? 0;
    const isKnown = given === 0 || given === CloseCode.NO_STATUS || given === CloseCode.ABNORMAL;
    if (!isKnown && !isValidCloseCode(given)) {
      throw new MillraceError(
        'MILLRACE_INVALID_ARGUMENT',
        `ws.end: the code must be one an endpoint may send: 1000 to 1003, 1007 to 1014, or 3000 to 4999; got ${described(code)}`,
      );
    }
    session.route.endSession(session, given, bytesOf(shortMessage));
  }

  /** Closes at once, without a Close frame; the `close` handler gets 1006. */
  close(): void {
    const session = live(this);
    session.transport.destroy();
  }

  /** Subscribes to a topic. True: the socket is subscribed. */
  subscribe(topic: RecognizedString): boolean {
    const session = live(this);
    return session.route.subscribe(session, topicName(topic));
  }

  /** Returns whether it was subscribed. */
  unsubscribe(topic: RecognizedString): boolean {
    const session = live(this);
    return session.route.unsubscribe(session, topicName(topic));
  }

  isSubscribed(topic: RecognizedString): boolean {
    const session = live(this);
    return session.route.shard.bus.topics.isSubscribed(session, topicName(topic));
  }

  /** The topics it is subscribed to. */
  getTopics(): string[] {
    const session = live(this);
    return session.route.shard.bus.topics.topicsOf(session);
  }

  /**
   * Sends a message to every other subscriber of the topic, never to itself. Returns false when there is none,
   * or when this socket was never subscribed to any topic.
   *
   * @param compress send it compressed, once for all, to subscribers that agreed on compression
   */
  publish(topic: RecognizedString, message: RecognizedString, isBinary = false, compress = false): boolean {
    const session = live(this);
    // Before the answer for one without topics: what cannot be sent is an error for all.
    const name = topicName(topic);
    const data = textOrBytes(message);
    if (!session.hasSubscribed) return false;
    return session.route.shard.publish(name, data, isBinary, session, compress);
  }

  /** Sends all that `callback` sends on this socket in one write. Handlers run corked already. */
  cork(callback: (ws: this) => void): this {
    const session = live(this);
    if (typeof callback !== 'function') {
      throw invalidArgument(`ws.cork: the callback must be a function; got ${described(callback)}`);
    }
    const { transport } = session;
    const previous = transport.io.corked;
    transport.beginCork();
    try {
      const result: unknown = callback(this);
      if (result !== undefined) session.route.watch(session, result);
    } finally {
      transport.endCork(previous);
    }
    return this;
  }

  /** Bytes, framing included, that wait in user space because the kernel does not take them. */
  getBufferedAmount(): number {
    return live(this).bufferedAmount;
  }

  /** The peer's address: 4 bytes, or 16 for IPv6. */
  getRemoteAddress(): ArrayBuffer {
    return addressBytes(live(this).transport.peerName().address);
  }

  /** The peer's address as text, in bytes: dotted, or all eight groups of IPv6 with four digits each. */
  getRemoteAddressAsText(): ArrayBuffer {
    return addressAsText(new Uint8Array(this.getRemoteAddress()));
  }

  getRemotePort(): number {
    return live(this).transport.peerName().port;
  }

  /**
   * The user data given to `res.upgrade`: its properties are on the socket itself, which is returned. The one method
   * that goes on working when the socket is closed.
   */
  getUserData(): UserData {
    return this as unknown as UserData;
  }

  static {
    // What programs for uWebSockets.js look at.
    Object.defineProperty(this, 'name', { value: 'uWS.WebSocket' });
    detach = (ws) => {
      ws.#session = null;
    };
    live = (ws) => {
      const session = (ws as WebSocket).#session;
      if (session === null) throw new MillraceError('MILLRACE_CLOSED_SOCKET');
      return session;
    };
  }
}

/** A WebSocket over TLS: what tells them apart is the name. */
export class SslWebSocket<UserData = unknown> extends WebSocket<UserData> {
  static {
    Object.defineProperty(this, 'name', { value: 'uWS.SSLWebSocket' });
  }
}

function tooLong(what: string, length: number): MillraceError {
  return new MillraceError(
    'MILLRACE_INVALID_ARGUMENT',
    `${what} holds at most 125 bytes (RFC 6455 §5.5); got ${length}`,
  );
}
