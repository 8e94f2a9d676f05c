import type { BusSubscriber } from '../bus/bus-subscriber.ts';
import { Counter } from '../metrics/counter.ts';
import { WriteHeadway } from '../net/headway.ts';
import type { Transport } from '../net/transport.ts';
import { Connection, type ConnectionContext, ConnectionState } from '../protocol/connection.ts';
import { copyBytes } from '../protocol/copy-bytes.ts';
import { payloadOf } from '../protocol/frame-header.ts';
import type { Subscriber, Topic } from '../pubsub/topic-tree.ts';
import type { Shard } from '../shard/shard.ts';
import type { CheckedBehavior } from './behavior.ts';
import { FragmentState } from './fragment-state.ts';

/** A message that is sent in fragments. */
class OutgoingFragments {
  state: FragmentState = FragmentState.NONE;
  /** The message is compressed, and not done. */
  isDeflating = false;
  /** Frames published meanwhile. */
  held: Uint8Array[] = [];
  heldBytes = 0;
}

/** Headway of an incomplete message, and of what waits for the peer. */
export interface Progress {
  /** Second since which there is no headway; 0: there is no such message. */
  since: number;
  /** Length of the message then. */
  length: number;
  /** How the peer takes what waits for it; null: nothing did so far. */
  write: WriteHeadway | null;
}

/** What sessions ask of the route they belong to. */
export interface SessionRoute {
  readonly shard: Shard;
  readonly behavior: CheckedBehavior;
  readonly protocol: ConnectionContext;
  /** What the route sends may be compressed. */
  readonly compresses: boolean;
  /** Makes what the user holds of a session. */
  newSocket(session: Session): object;
  /** Sends a Close frame; the user's side of the connection is over at once. */
  endSession(session: Session, code: number, reason: Uint8Array): void;
  subscribe(session: Session, topic: string): boolean;
  unsubscribe(session: Session, topic: string): boolean;
  /** More waits for the peer than its messages may. */
  isOverLimit(session: Session): boolean;
  /** A message cannot be queued: tells the user, and ends the connection when the route says so. */
  drop(session: Session, message: Uint8Array, isBinary: boolean): void;
  /** Watches what a handler of the socket, or a callback that it was given, returned. */
  watch(session: Session, result: unknown): void;
}

const { OPEN } = ConnectionState;

/**
 * Session: the engine's side of one open WebSocket. It is the protocol's Connection with what the server keeps
 * beside it; what the user holds points here until it is closed.
 */
export class Session extends Connection implements BusSubscriber {
  /** What the user holds. */
  readonly socket: object;
  subscriptions: Set<Topic<Subscriber>> | null = null;
  // BusSubscriber
  flushMark = 0;
  batchEpoch = 0;
  batchCursor = 0;
  sentEpoch = 0;
  /** The `close` handler has run, or is running. */
  isClosed = false;
  /** The session may publish: it was subscribed to some topic, if only before. */
  hasSubscribed = false;
  /** The `dropped` handler is running. */
  isDropping = false;
  /** Second the unanswered automatic ping was sent; 0: none. */
  pingedAt = 0;
  /** Headway, in both directions; null: there was no need to look at it yet. */
  progress: Progress | null = null;
  /** Second the connection has lived long enough; 0: no limit. */
  expiresAt = 0;
  /** Second a closing connection is cut off; 0: it is open. */
  cutOffAt = 0;
  /** The message that is sent in fragments; null: there was none yet. */
  fragments: OutgoingFragments | null = null;

  constructor(route: SessionRoute, transport: Transport, context: ConnectionContext) {
    super(context, transport, route);
    this.socket = route.newSocket(this);
  }

  get route(): SessionRoute {
    return this.owner as SessionRoute;
  }

  get transport(): Transport<Session> {
    return this.output as Transport<Session>;
  }

  get sink(): Transport<Session> {
    return this.output as Transport<Session>;
  }

  /** Messages can be sent; a socket that closes ends its session first, see SessionRoute. */
  get isOpen(): boolean {
    return this.state === ConnectionState.OPEN;
  }

  /** A message can go out at once: nothing waits before it, nothing bars its way. The usual case, told by few loads. */
  get isClear(): boolean {
    return (
      this.state === OPEN &&
      this.fragments === null &&
      !this.output.blocked &&
      (this.subscriptions === null || !this.route.shard.bus.hasPending)
    );
  }

  get isOverLimit(): boolean {
    return (this.transport.blocked || this.heldBytes > 0) && this.route.isOverLimit(this);
  }

  /** Bytes that wait in user space. */
  get bufferedAmount(): number {
    return this.transport.bufferedAmount + this.heldBytes;
  }

  get heldBytes(): number {
    return this.fragments === null ? 0 : this.fragments.heldBytes;
  }

  get isHolding(): boolean {
    return this.fragments !== null && this.fragments.state === FragmentState.BEGUN;
  }

  /** Second since which an incomplete message makes no headway; 0: there is none. */
  get stalledSince(): number {
    return this.progress === null ? 0 : this.progress.since;
  }

  /** Second since which the peer takes too little of what waits for it; 0: nothing does. */
  get unreadSince(): number {
    return this.progress?.write?.since ?? 0;
  }

  /** The seconds for which the peer has taken too little of what waits for it. */
  unreadFor(now: number): number {
    this.progress ??= { since: 0, length: 0, write: null };
    this.progress.write ??= new WriteHeadway();
    return this.progress.write.look(this.transport, now);
  }

  /** Nothing waits for the peer any more. */
  noteRead(): void {
    if (this.progress !== null && this.progress.write !== null) this.progress.write.since = 0;
  }

  /** There is no incomplete message. */
  noteComplete(): void {
    if (this.progress !== null) this.progress.since = 0;
  }

  /** The first fragment of a message was sent, or dropped. */
  beginFragments(isDropped: boolean): void {
    const fragments = this.openFragments();
    fragments.state = isDropped ? FragmentState.SKIPPED : FragmentState.BEGUN;
  }

  openFragments(): OutgoingFragments {
    this.fragments ??= new OutgoingFragments();
    return this.fragments;
  }

  hold(frame: Uint8Array): void {
    const fragments = this.openFragments();
    fragments.held.push(new Uint8Array(frame));
    fragments.heldBytes += frame.length;
  }

  /** The message in fragments is done: sends what was held. */
  releaseHeld(): void {
    const { fragments, transport } = this;
    if (fragments === null || fragments.held.length === 0) return;
    const { held } = fragments;
    this.dropHeld();
    for (const frame of held) {
      const at = transport.reserve(frame.length);
      copyBytes(frame, transport.bytes, at);
      transport.commit(frame.length);
      this.route.shard.count(Counter.DELIVERED);
      this.route.shard.count(Counter.MESSAGES_OUT);
    }
  }

  dropHeld(): void {
    if (this.fragments === null) return;
    this.fragments.held = [];
    this.fragments.heldBytes = 0;
  }

  /** Messages may be sent compressed: the handshake agreed on it, and the route wants it. */
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
