import { BufferPool } from './buffer-pool.ts';
import { CloseCode, closePayloadCode, closePayloadError, writeClosePayload } from './close-code.ts';
import { FIN, RSV1 } from './frame-header.ts';
import { FrameParser, type Pace } from './frame-parser.ts';
import { type DeflatePort, MessageDeflate } from './message-deflate.ts';
import { Opcode } from './opcode.ts';
import type { DeflateParams } from './permessage-deflate.ts';
import { type MessageHandler, Receiver, type ReceiverLimits, ReceiverState } from './receiver.ts';
import { type Output, type Role, Sender, type TextPort } from './sender.ts';
import type { Utf8Port } from './utf8.ts';

/**
 * Connection: one WebSocket after its opening handshake, sans-I/O: bytes in by `receive`, bytes out through
 * an Output, events through a handler that all connections of a route share.
 *
 *            leave()           close()                  peer's Close
 *     OPEN ───────────▶ LEAVING ───────▶ CLOSE_SENT ───────────────────▶ DONE
 *       ├─────────────────────────────────▲  close()                      ▲
 *       └─────────────────────────────────────────────────────────────────┘
 *         peer's Close (answered), or a broken rule (answered with its code)
 *
 * In LEAVING and CLOSE_SENT a Close frame was sent, and nothing is sent behind it. What the peer sent before it read
 * that frame is delivered in LEAVING, and ignored in CLOSE_SENT (RFC 6455 §1.4 and §5.5.1 allow both). In DONE
 * everything received is ignored; the TCP connection is to be closed.
 */
export const ConnectionState = { OPEN: 0, LEAVING: 1, CLOSE_SENT: 2, DONE: 3 } as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

const { LEAVING, DONE } = ConnectionState;
const { BINARY } = Opcode;

/** The pings of a peer. */
export class PingState {
  /** Payload of the newest that could not be answered yet (RFC 6455 §5.5.3: only the newest counts). */
  pending: Uint8Array | null = null;
  /** Second in which they were counted last, and how many they were. */
  second = 0;
  count = 0;
}

export class Connection extends ReceiverState {
  readonly context: ConnectionContext;
  /** Where frames go; the transport of this connection. */
  readonly output: Output;
  /** Whatever the layer above wants to find again in an event. */
  owner: unknown;
  state: ConnectionState = ConnectionState.OPEN;
  /** What is known of the peer's pings; null: it sent none. */
  pings: PingState | null = null;

  constructor(context: ConnectionContext, output: Output, owner: unknown) {
    super();
    this.context = context;
    this.output = output;
    this.owner = owner;
    this.deflate = context.newDeflate();
  }

  /**
   * Takes bytes from the peer; payloads are unmasked where they lie. Never throws for what the peer sent. Returns `end`, or
   * where it stopped because of the pace: what is from there on is to come again.
   */
  receive(bytes: Uint8Array, start: number, end: number): number {
    return this.state === DONE ? end : this.context.parser.parse(this, bytes, start, end);
  }

  /**
   * Sends a Close frame, unless one was sent before, and waits for the peer's.
   *
   * @param code 0, 1005 and 1006 send an empty payload
   * @param reason UTF-8, cut to 123 bytes
   */
  close(code: number, reason: Uint8Array): void {
    this.#sendClose(ConnectionState.CLOSE_SENT, code, reason);
  }

  /** As `close`, and messages are delivered until the peer's Close, as it may have sent some before it reads ours. */
  leave(code: number, reason: Uint8Array): void {
    if (this.state === ConnectionState.OPEN) this.#sendClose(ConnectionState.LEAVING, code, reason);
  }

  #sendClose(next: ConnectionState, code: number, reason: Uint8Array): void {
    const { state } = this;
    if (state >= ConnectionState.CLOSE_SENT) return;
    // First, so that an output which fails while it takes the frame, and ends the connection, has the last word.
    this.state = next;
    if (state === ConnectionState.OPEN) this.context.sendClose(this, code, reason);
  }

  /** Fails the connection (RFC 6455 §7.1.7): a Close frame with `code` when none was sent, then DONE. */
  fail(code: number): void {
    const { state, context } = this;
    if (state === ConnectionState.DONE) return;
    if (state === ConnectionState.OPEN) context.sendClose(this, code, NO_BYTES);
    this.end();
  }

  /** DONE without a word: the TCP connection is gone. Gives borrowed memory back. */
  end(): void {
    this.state = ConnectionState.DONE;
    this.pings = null;
    this.context.release(this);
  }

  /**
   * The output got rid of bytes that had waited: answers the ping that had to wait, behind those that still do.
   * So a peer that reads slowly is answered, and one that does not read makes nothing pile up.
   */
  outputWritable(): void {
    const { pings } = this;
    if (pings === null || pings.pending === null || this.state !== ConnectionState.OPEN) return;
    const payload = pings.pending;
    pings.pending = null;
    this.context.sender.bytes(this.output, FIN | Opcode.PONG, payload);
  }
}

/** What a peer broke a rule with. */
export const FailureCause = {
  FRAME: 0,
  /** A message that could not be decompressed, or became too long. */
  INFLATION: 1,
  /** What is in its Close frame. */
  CLOSE_PAYLOAD: 2,
} as const;
export type FailureCause = (typeof FailureCause)[keyof typeof FailureCause];

/** Events of all connections of a context. Handlers may close the connection; they must not throw. */
export interface ConnectionHandler {
  /** A whole message; the memory is valid during the call only. */
  onMessage(
    connection: Connection,
    bytes: Uint8Array,
    offset: number,
    length: number,
    isBinary: boolean,
  ): void;
  /** A ping, already answered, or to be answered when the output takes bytes again. */
  onPing(connection: Connection, bytes: Uint8Array, offset: number, length: number): void;
  onPong(connection: Connection, bytes: Uint8Array, offset: number, length: number): void;
  /** The peer's Close frame is there, behind its last message: without a Close of ours, the last occasion to send. */
  onPeerClosing?(connection: Connection): void;
  /**
   * The peer's Close frame, already answered: `code` is 1005 when it had none; the rest of the payload is the
   * reason. Not called when the close was ours.
   */
  onPeerClose(connection: Connection, code: number, bytes: Uint8Array, offset: number, length: number): void;
  /**
   * The peer broke a rule; a Close frame with `code` went out.
   */
  onFailure(connection: Connection, code: number, cause: FailureCause): void;
  /**
   * DONE by what the peer sent: no frame follows in either direction; close the TCP connection. Comes last, once.
   * Not called for `fail` and `end`, whose caller knows.
   */
  onDone(connection: Connection): void;
}

export interface ConnectionOptions extends ReceiverLimits {
  readonly role: Role;
  /** Pings a second; more fails with 1008. */
  readonly maxPingsPerSecond: number;
  /** What permessage-deflate was agreed on; without it RSV1 fails with 1002. Needs the `deflate` port. */
  readonly deflate?: DeflateParams | undefined;
  /** Memory of the compressor of a connection that keeps history, as zlib counts it, 1 to 9. Default 8. */
  readonly deflateMemLevel?: number | undefined;
}

/** What connections need from outside the protocol. */
export interface ConnectionPorts {
  readonly utf8: Utf8Port;
  readonly text: TextPort;
  /** Memory to join messages in; by default a pool of this context's own. */
  readonly pool?: BufferPool;
  /** A monotonic clock in whole seconds. */
  readonly seconds: () => number;
  /** A fresh unpredictable masking key (RFC 6455 §5.3). Needed in the client role. */
  readonly maskKey?: () => number;
  /** The thread's DEFLATE contexts. */
  readonly deflate?: DeflatePort;
  /** How many frames are handled at a time; by default all that arrived. */
  readonly pace?: Pace;
}

/** The rules, parser and handlers that all connections of a route share. */
export class ConnectionContext implements MessageHandler<Connection> {
  readonly parser: FrameParser<Connection>;
  readonly sender: Sender;
  readonly #receiver: Receiver<Connection>;
  readonly #handler: ConnectionHandler;
  readonly #maxPings: number;
  readonly #seconds: () => number;
  /** Makes what a connection compresses with; null: nothing is compressed. */
  readonly #newDeflate: (() => MessageDeflate) | null;
  /** What all its connections compress with, if they keep no history. */
  readonly #sharedDeflate: MessageDeflate | null;

  constructor(options: ConnectionOptions, handler: ConnectionHandler, ports: ConnectionPorts) {
    this.#handler = handler;
    this.#maxPings = options.maxPingsPerSecond;
    this.#seconds = ports.seconds;
    this.#receiver = new Receiver<Connection>(options, this, ports.pool ?? new BufferPool(), ports.utf8);
    this.parser = new FrameParser<Connection>(
      {
        expectMasked: options.role === 'server',
        allowedRsv: options.deflate === undefined ? 0 : RSV1,
      },
      this.#receiver,
      ports.pace,
    );
    this.sender = new Sender(options.role, ports.text, ports.maskKey);
    this.#newDeflate = deflateMaker(options, ports.deflate);
    const deflate = this.#newDeflate?.() ?? null;
    this.#sharedDeflate = deflate?.isShared === true ? deflate : null;
  }

  /** What a new connection compresses with; null: nothing is compressed. */
  newDeflate(): MessageDeflate | null {
    return this.#sharedDeflate ?? this.#newDeflate?.() ?? null;
  }

  onMessage(
    connection: Connection,
    bytes: Uint8Array,
    offset: number,
    length: number,
    opcode: number,
  ): boolean {
    if (connection.state <= LEAVING) {
      this.#handler.onMessage(connection, bytes, offset, length, opcode === BINARY);
    }
    return connection.state !== DONE;
  }

  onControl(
    connection: Connection,
    bytes: Uint8Array,
    offset: number,
    length: number,
    opcode: number,
  ): boolean {
    if (opcode === Opcode.CLOSE) return this.#onClose(connection, bytes, offset, length);
    if (connection.state !== ConnectionState.OPEN) return !isDone(connection);
    // A pong is not limited: it costs nothing, and whoever pings often is answered often.
    if (opcode === Opcode.PONG) this.#handler.onPong(connection, bytes, offset, length);
    else if (this.#isPingFlood(connection)) this.onReceiveError(connection, CloseCode.POLICY_VIOLATION);
    else this.#onPing(connection, bytes, offset, length);
    return !isDone(connection);
  }

  hasEnded(connection: Connection): boolean {
    return isDone(connection);
  }

  onReceiveError(connection: Connection, closeCode: number, isInflation = false): void {
    this.#fail(connection, closeCode, isInflation ? FailureCause.INFLATION : FailureCause.FRAME);
  }

  #fail(connection: Connection, closeCode: number, cause: FailureCause): void {
    const wasRead = connection.state <= LEAVING;
    connection.fail(closeCode);
    if (wasRead) this.#handler.onFailure(connection, closeCode, cause);
    this.#handler.onDone(connection);
  }

  sendClose(connection: Connection, code: number, reason: Uint8Array): void {
    const length = writeClosePayload(closePayload, 0, code, reason);
    this.sender.bytes(connection.output, FIN | Opcode.CLOSE, closePayload.subarray(0, length));
  }

  release(connection: Connection): void {
    this.parser.release(connection);
    this.#receiver.release(connection);
    connection.deflate?.release();
  }

  #onPing(connection: Connection, bytes: Uint8Array, offset: number, length: number): void {
    const payload = bytes.subarray(offset, offset + length);
    // A peer that pings without reading must not make us queue: only the newest ping is answered then.
    const { blocked } = connection.output;
    // A copy: slice() would be none if the memory is a Buffer.
    connection.pings!.pending = blocked ? new Uint8Array(payload) : null;
    if (!blocked) this.sender.bytes(connection.output, FIN | Opcode.PONG, payload);
    this.#handler.onPing(connection, bytes, offset, length);
  }

  #isPingFlood(connection: Connection): boolean {
    const second = this.#seconds();
    const pings = (connection.pings ??= new PingState());
    if (pings.second !== second) {
      pings.second = second;
      pings.count = 0;
    }
    return ++pings.count > this.#maxPings;
  }

  #onClose(connection: Connection, bytes: Uint8Array, offset: number, length: number): boolean {
    const end = offset + length;
    const error = closePayloadError(bytes, offset, end);
    if (error !== 0) {
      this.#fail(connection, error, FailureCause.CLOSE_PAYLOAD);
      return false;
    }
    if (connection.state <= LEAVING) this.#handler.onPeerClosing?.(connection);
    if (connection.state === ConnectionState.DONE) return false;
    if (connection.state === ConnectionState.OPEN) {
      const code = closePayloadCode(bytes, offset, end);
      const reason = Math.min(offset + 2, end);
      this.sendClose(connection, code, bytes.subarray(reason, end));
      connection.end();
      this.#handler.onPeerClose(connection, code, bytes, reason, end - reason);
    } else {
      connection.end();
    }
    this.#handler.onDone(connection);
    return false;
  }
}

function deflateMaker(
  { deflate, role, deflateMemLevel = 8 }: ConnectionOptions,
  port: DeflatePort | undefined,
): (() => MessageDeflate) | null {
  if (deflate === undefined) return null;
  if (port === undefined) throw new Error('permessage-deflate needs a deflate port');
  return () => new MessageDeflate(deflate, role, deflateMemLevel, port);
}

/** A handler may have ended the connection meanwhile. */
function isDone(connection: Connection): boolean {
  return connection.state === ConnectionState.DONE;
}

const NO_BYTES = new Uint8Array(0);
const closePayload = new Uint8Array(125);
