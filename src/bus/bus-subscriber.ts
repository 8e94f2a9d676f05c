import type { Slab } from '../net/write-memory.ts';
import type { Output } from '../protocol/sender.ts';
import type { Subscriber, Topic } from '../pubsub/topic-tree.ts';

/** Where a subscriber's frames go: a socket's transport, for one. */
export interface FrameSink extends Output {
  /**
   * Sends frames whose bytes others are sent, too.
   *
   * @param slab the memory they lie in, which stays as it is while it is pinned; null: they never change
   */
  writeShared(frames: Uint8Array, slab: Slab | null): void;
  /** From here to `endCork` what it is sent goes out in one write. */
  beginCork(): void;
  /** @param previous the one that was corked before (`IoLoop.corked`), which is corked again */
  endCork(previous: unknown): void;
}

/** A subscriber as the bus sees it. */
export interface BusSubscriber extends Subscriber {
  readonly sink: FrameSink;
  /** Frames can be sent. */
  readonly isOpen: boolean;
  /** So much waits for it already that its route drops messages. */
  readonly isOverLimit: boolean;
  /** A message that it is sent in fragments is under way: others must wait (RFC 6455 §5.4). */
  readonly isHolding: boolean;
  /** Keeps a copy of a frame until that message is done. */
  hold(frame: Uint8Array): void;
  /** The flush that served it last. */
  flushMark: number;
  /** The batch whose first `batchCursor` messages it has got, or is not to get, already. */
  batchEpoch: number;
  batchCursor: number;
  /** The batch it published into last. */
  sentEpoch: number;
  /** It takes compressed messages that refer back by at most 2^deflateBits bytes; 0: it takes none. */
  readonly deflateBits: number;
  /** The subscriber was sent a variant that others got, too: what is compressed for it alone must not refer back behind that. */
  noteForeign(): void;
  /** Tells that a frame is not sent to it. Calls handlers of the user, which may do anything. */
  drop(frame: Uint8Array, isBinary: boolean): void;
}

/** The numbers of a subscriber's messages in a batch, in the order they were published. */
export function messagesFor<S extends BusSubscriber>(
  subscriber: S,
  dirty: readonly Topic<S>[],
  isFlushing: boolean,
): readonly number[] {
  const { subscriptions } = subscriber;
  if (subscriptions === null) return NONE;
  let found: readonly number[] = NONE;
  let merged: number[] | null = null;
  const isFewDirty = dirty.length < subscriptions.size;
  const candidates: Iterable<Pick<Topic<S>, 'pending' | 'flushing'>> = isFewDirty ? dirty : subscriptions;
  for (const topic of candidates) {
    if (isFewDirty && !subscriptions.has(topic as Topic<Subscriber>)) continue;
    const messages = isFlushing ? topic.flushing : topic.pending;
    if (messages.length === 0) continue;
    if (found.length === 0) {
      found = messages;
    } else {
      merged ??= found.slice();
      for (const message of messages) merged.push(message);
    }
  }
  return merged === null ? found : merged.sort(ascending);
}

/** The first message of the batch that is not written to the subscriber yet. */
export function cursorOf(subscriber: BusSubscriber, batch: { readonly epoch: number }): number {
  return subscriber.batchEpoch === batch.epoch ? subscriber.batchCursor : 0;
}

/** Where the first message from `cursor` on is among ascending ones. */
export function indexOf(messages: readonly number[], cursor: number): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (messages[middle]! < cursor) low = middle + 1;
    else high = middle;
  }
  return low;
}

function ascending(a: number, b: number): number {
  return a - b;
}

const NONE: readonly number[] = [];
