import { Counter } from '../net/counter.ts';
import type { Transport } from '../net/transport.ts';
import { Connection, type ConnectionContext, ConnectionState } from '../protocol/connection.ts';
import { copyBytes } from '../protocol/copy-bytes.ts';
import type { Subscriber, Topic } from '../pubsub/topic-tree.ts';
import type { BusSubscriber } from '../shard/bus-subscriber.ts';
import { FragmentState } from './fragment-state.ts';
import { WebSocket } from './web-socket.ts';
import type { WebSocketRoute } from './websocket-route.ts';

/**
 * Session: the engine's side of one open WebSocket. It is the protocol's Connection with what the server keeps
 * beside it; the WebSocket that the user holds points here until it is closed.
 */
export class Session extends Connection implements BusSubscriber {
  readonly route: WebSocketRoute;
  readonly transport: Transport;
  readonly socket: WebSocket;
  subscriptions: Set<Topic<Subscriber>> | null = null;
  // BusSubscriber
  flushMark = 0;
  batchEpoch = 0;
  batchCursor = 0;
  sentEpoch = 0;
  /** The `close` handler has run, or is running. */
  isClosed = false;
  /** The `dropped` handler is running. */
  isDropping = false;
  /** Second the unanswered automatic ping was sent; 0: none. */
  pingedAt = 0;
  /** Second since which an incomplete message makes no headway; 0: there is none. */
  stalledSince = 0;
  /** Length of that message then. */
  stalledLength = 0;
  /** Second the connection has lived long enough; 0: no limit. */
  expiresAt = 0;
  /** Second a closing connection is cut off; 0: it is open. */
  cutOffAt = 0;
  outgoing: FragmentState = FragmentState.NONE;
  /** Frames published meanwhile. */
  held: Uint8Array[] | null = null;
  heldBytes = 0;
  /** A message that is sent in fragments is under way, compressed. */
  isDeflating = false;

  constructor(route: WebSocketRoute, transport: Transport, context: ConnectionContext) {
    super(context, transport, null);
    this.route = route;
    this.transport = transport;
    this.socket = new WebSocket(this);
  }

  get isOpen(): boolean {
    return this.state === ConnectionState.OPEN && !this.transport.isClosed;
  }

  get isOverLimit(): boolean {
    return (this.transport.blocked || this.heldBytes > 0) && this.route.isOverLimit(this);
  }

  /** Bytes that wait in user space. */
  get bufferedAmount(): number {
    return this.transport.bufferedAmount + this.heldBytes;
  }

  get isHolding(): boolean {
    return this.outgoing === FragmentState.BEGUN;
  }

  hold(frame: Uint8Array): void {
    this.held ??= [];
    this.held.push(new Uint8Array(frame));
    this.heldBytes += frame.length;
  }

  /** The message in fragments is done: sends what was held. */
  releaseHeld(): void {
    const { held, transport } = this;
    if (held === null) return;
    this.held = null;
    this.heldBytes = 0;
    for (const frame of held) {
      const at = transport.reserve(frame.length);
      copyBytes(frame, transport.bytes, at);
      transport.commit(frame.length);
      this.route.shard.count(Counter.DELIVERED);
      this.route.shard.count(Counter.MESSAGES_OUT);
    }
  }

  /** It was agreed, and its route wants it: messages may be sent compressed. */
  get canDeflate(): boolean {
    return this.deflate !== null && this.route.compresses;
  }

  get deflateBits(): number {
    return this.canDeflate ? this.deflate!.windowBits : 0;
  }

  noteForeign(): void {
    this.deflate!.noteForeign();
  }

  drop(frame: Uint8Array, isBinary: boolean): void {
    this.route.drop(this, payloadOf(frame), isBinary);
  }
}

/** The payload of an unmasked frame. */
function payloadOf(frame: Uint8Array): Uint8Array {
  const short = frame[1]! & 0x7f;
  return frame.subarray(short < 126 ? 2 : short === 126 ? 4 : 10);
}
