import { Counter } from '../metrics/counter.ts';
import type { IoLoop, TurnListener } from '../net/io-loop.ts';
import { textPort } from '../net/native-ports.ts';
import { allocate } from '../net/write-memory.ts';
import { FIN, headerLength, writeHeader } from '../protocol/frame-header.ts';
import type { DeflatePort } from '../protocol/message-deflate.ts';
import { Opcode } from '../protocol/opcode.ts';
import { Sender } from '../protocol/sender.ts';
import { newTopic, type Topic, TopicTree } from '../pubsub/topic-tree.ts';
import type { ReceivedRecord } from '../ring/record.ts';
import { isTopicTooLong } from '../ring/topic-bytes.ts';
import { type BusSubscriber, cursorOf, type FrameSink, indexOf, messagesFor } from './bus-subscriber.ts';
import { DeflateVariants, fits, frameHeaderLength, frameLengthAt } from './deflate-variants.ts';
import type { Delivery } from './delivery.ts';
import type { Links } from './links.ts';
import type { Message } from './message.ts';
import { isBinary, isCompressed, publishFlags } from './publish-codec.ts';
import { clearResult, noResult, type PublishResult } from './publish-result.ts';
import { TurnBatch } from './turn-batch.ts';

// The compiler takes constants of this module for what they are.
const { PUBLISHED, DELIVERED, MESSAGES_OUT } = Counter;

/** Messages with a longer frame are not batched, and their bytes are shared by all that wait with them. */
const MAX_BATCHED = 16 * 1024;
/** Bytes of the longest header a server's frame has. */
const MAX_HEADER = 10;

/** Sockets that were written to in one flush from which on another one right behind it waits a round of the loop. */
const LARGE_FLUSH = 256;
/** What "right behind" means, in ms. */
const RIGHT_BEHIND = 1;

/** Sockets of this thread that get the same frames. */
export type BusGroup = Topic<BusSubscriber>;

/**
 * Bus: the publishes of one thread. A message is framed once. What is published in a turn is delivered at its
 * end: subscribers of the same topics get the same bytes in one write each, and each interested shard gets its
 * records in one commit.
 *
 * A socket's direct sends and subscriptions keep their place among its publishes: before one of them, what was
 * published to the socket earlier in the turn is written (`flushTo`).
 */
export class Bus implements TurnListener, Delivery {
  readonly topics: TopicTree<BusSubscriber>;
  /** Bytes of the longest topic that can have subscribers. */
  maxTopicLength = Number.POSITIVE_INFINITY;
  /** Null: nothing is compressed here. */
  readonly variants: DeflateVariants | null;
  readonly #io: IoLoop;
  readonly #counters: Float64Array;
  #links: Links | null;
  /** What became of the message that was published last. */
  readonly result: PublishResult = noResult();
  readonly #sender = new Sender('server', textPort);
  /** Takes what is published. */
  #batch: TurnBatch<BusSubscriber>;
  /** The other one: what is being delivered. */
  #flushing: TurnBatch<BusSubscriber>;
  /** Topics with messages in the batch. */
  #dirty: Topic<BusSubscriber>[] = [];
  #flushingDirty: Topic<BusSubscriber>[] = [];
  #isFlushing = false;
  /** Calls of `flushTo` that are reading the batch which takes what is published. */
  #flushesTo = 0;
  /** Numbers batches and flushes. */
  #epoch = 1;
  /** When the last flush ended, if it was a large one. */
  #largeFlushAt = Number.NEGATIVE_INFINITY;
  /** The next flush was put off. */
  #hasWaited = false;

  /** @param deflate compresses what is published so */
  constructor(io: IoLoop, links: Links | null, deflate: DeflatePort | null = null) {
    this.#io = io;
    this.variants = deflate === null ? null : new DeflateVariants(deflate);
    this.#counters = io.counters;
    this.#links = links;
    this.topics = new TopicTree<BusSubscriber>((name) => this.#links?.hash(name) ?? 0);
    this.#batch = new TurnBatch<BusSubscriber>(io.slabs);
    this.#batch.epoch = this.#epoch;
    this.#flushing = new TurnBatch<BusSubscriber>(io.slabs);
    io.addTurnListener(this);
  }

  /** From here on publishes go to the threads of these links too, which are told of the subscribers here; null: to none. */
  link(links: Links | null): void {
    this.#links = links;
    this.topics.rehash();
    if (links === null) return;
    for (const { name, hash, subscribers } of this.topics.values()) {
      links.setCount(name, hash, subscribers.size, 0);
    }
  }

  /** Whether anything published waits for the end of the turn. */
  get hasPending(): boolean {
    return this.#batch.count > 0 || this.#isFlushing;
  }

  /**
   * Sends a message to all subscribers of its topic but `except`, on all threads. Handlers may be called meanwhile: the
   * message must not be another one then.
   */
  publish(message: Message): PublishResult {
    const { result } = this;
    const isLarge = this.#prepare(longestFrame(message.payload));
    clearResult(result);
    const { name, except } = message;
    const topic = this.topics.get(name);
    const others = topic === undefined ? 0 : topic.subscribers.size - (isMember(topic, except) ? 1 : 0);
    const links = this.#links;
    if (links !== null) message.tag = topic?.hash ?? links.hash(name);
    const isWanted =
      links !== null && links.isWanted(message.tag) && (topic !== undefined || !this.#isTooLong(name));
    if (others === 0 && !isWanted) return result;
    this.#counters[PUBLISHED]!++;
    result.local = others;
    result.isHeard = others > 0 || links!.hasElsewhere(name, message.tag);
    const target = others === 0 ? undefined : topic;
    const variants = message.compress ? this.#variantsFor(isWanted) : null;
    if (isLarge) this.#publishLarge(message, target, isWanted, variants);
    else this.#publishBatched(message, target, isWanted, variants);
    return result;
  }

  /** A topic that nobody may subscribe to, here or elsewhere. */
  #isTooLong(name: string): boolean {
    return isTopicTooLong(name, this.maxTopicLength);
  }

  /** A publish of another thread arrived. */
  onRemotePublish(record: ReceivedRecord): void {
    const { bodyOffset, flags } = record;
    // Behind the plain frame there is the same compressed.
    const compressed = isCompressed(flags);
    const frameLength = compressed ? frameLengthAt(record.bytes, bodyOffset) : record.bodyLength;
    const isLarge = this.#prepare(frameLength);
    const topic = this.topics.get(record.name());
    // Another topic of the same slot was wanted.
    if (topic === undefined) return;
    const opcode = isBinary(flags) ? Opcode.BINARY : Opcode.TEXT;
    if (isLarge) {
      // Ring memory is the producer's again after this call; a message that came in pieces has its own.
      const pair = record.owned ? record.body() : new Uint8Array(record.body());
      this.#deliverLarge(topic, pair, frameLength, compressed ? this.variants : null, opcode, null);
      return;
    }
    const message = this.#begin(topic, null, opcode === Opcode.BINARY);
    const batch = this.#batch;
    const at = batch.reserve(frameLength);
    batch.bytes.set(record.bytes.subarray(bodyOffset, bodyOffset + frameLength), at);
    batch.commit(frameLength);
    topic.pending.push(message);
    if (compressed && this.variants !== null && this.variants.used.length > 0) {
      const other = record.bytes.subarray(bodyOffset + frameLength, bodyOffset + record.bodyLength);
      this.#addVariants(this.variants, other, opcode);
    }
  }

  /**
   * Writes what was published to a socket so far in this turn. To be called before anything that must not
   * overtake it, or be overtaken: a direct send, a change of its subscriptions.
   */
  flushTo(subscriber: BusSubscriber): void {
    if (this.#isFlushing && subscriber.flushMark !== this.#epoch) {
      subscriber.flushMark = this.#epoch;
      this.#deliver(subscriber, this.#flushing, this.#flushingDirty, true);
    }
    const batch = this.#batch;
    const { count } = batch;
    const cursor = cursorOf(subscriber, batch);
    if (cursor === count) return;
    // First, so that a handler that is called meanwhile and comes here again finds nothing left to do.
    subscriber.batchEpoch = batch.epoch;
    subscriber.batchCursor = count;
    this.#flushesTo++;
    this.#deliver(subscriber, batch, this.#dirty, false, cursor);
    this.#flushesTo--;
  }

  // Groups: sockets of this thread that get the same frames, under no name that could be published to.

  /** It is gone when nobody holds it any more, and has no subscriber. */
  openGroup(): BusGroup {
    return newTopic<BusSubscriber>('', 0, true);
  }

  /** Returns false when the subscriber is not open. What was sent to the group before is not for it. */
  join(group: BusGroup, subscriber: BusSubscriber): boolean {
    this.flushTo(subscriber);
    // A handler that was told of a dropped message may have closed it, and nobody would have it leave again.
    if (!subscriber.isOpen) return false;
    group.subscribers.add(subscriber);
    subscriber.subscriptions ??= new Set();
    subscriber.subscriptions.add(group);
    return true;
  }

  /** What was sent to the group before is written first. */
  leave(group: BusGroup, subscriber: BusSubscriber): void {
    this.flushTo(subscriber);
    group.subscribers.delete(subscriber);
    const { subscriptions } = subscriber;
    if (subscriptions !== null && subscriptions.delete(group) && subscriptions.size === 0)
      subscriber.subscriptions = null;
  }

  /**
   * Sends a message to all of a group, in one order with what is published. It goes to no other thread, and counts as no
   * publish. Handlers may be called meanwhile: the message must not be another one then.
   */
  sendToGroup(group: BusGroup, message: Message): void {
    const isLarge = this.#prepare(longestFrame(message.payload));
    if (group.subscribers.size === 0) return;
    const variants = message.compress ? this.#variantsFor(false) : null;
    if (isLarge) this.#publishLarge(message, group, false, variants);
    else this.#publishBatched(message, group, false, variants);
  }

  onTurnEnd(): void {
    if (this.#isWorthWaiting()) this.#io.requestTurnEnd();
    else this.flush();
    this.#links?.flush();
  }

  /**
   * A flush to many sockets costs the kernel far more than a round of the loop costs. Where one follows the other at
   * once, publishers are faster than that: what they publish in one more round leaves in the same writes.
   */
  #isWorthWaiting(): boolean {
    if (this.#hasWaited || this.#batch.count === 0) return false;
    this.#hasWaited = performance.now() - this.#largeFlushAt < RIGHT_BEHIND;
    return this.#hasWaited;
  }

  /** Delivers everything published so far. */
  flush(): void {
    if (this.#isBusy || this.#batch.count === 0) return;
    const batch = this.#batch;
    const dirty = this.#dirty;
    this.#batch = this.#flushing;
    this.#dirty = this.#flushingDirty;
    this.#flushing = batch;
    this.#flushingDirty = dirty;
    this.#isFlushing = true;
    this.#batch.epoch = ++this.#epoch;
    for (const topic of dirty) {
      const taken = topic.pending;
      topic.pending = topic.flushing;
      topic.flushing = taken;
    }
    const mark = this.#epoch;
    let sockets = 0;
    for (const topic of dirty) {
      for (const subscriber of topic.subscribers) {
        if (subscriber.flushMark === mark) continue;
        subscriber.flushMark = mark;
        sockets++;
        this.#deliver(subscriber, batch, dirty, true);
      }
    }
    for (const topic of dirty) topic.flushing.length = 0;
    dirty.length = 0;
    batch.reset();
    this.#isFlushing = false;
    this.#hasWaited = false;
    this.#largeFlushAt = sockets < LARGE_FLUSH ? Number.NEGATIVE_INFINITY : performance.now();
  }

  #publishBatched(
    message: Message,
    topic: Topic<BusSubscriber> | undefined,
    isWanted: boolean,
    variants: DeflateVariants | null,
  ): void {
    const batch = this.#batch;
    const { payload } = message;
    const opcode = message.isBinary ? Opcode.BINARY : Opcode.TEXT;
    const number = this.#begin(topic, message.except, message.isBinary);
    if (typeof payload === 'string') this.#sender.text(batch, FIN | opcode, payload);
    else this.#sender.bytes(batch, FIN | opcode, payload);
    if (topic !== undefined) topic.pending.push(number);
    if (!isWanted && variants === null) return;
    const frame = batch.bytes.subarray(batch.start(number), batch.length);
    const pair = variants === null ? null : pairOf(variants, frame, opcode, false);
    if (pair !== null && topic !== undefined) {
      this.#addVariants(variants!, pair.subarray(frame.length), opcode);
    }
    if (isWanted) this.#write(message, pair ?? frame, pair !== null, false);
  }

  /** Writes a message for the other threads. */
  #write(message: Message, body: Uint8Array, isCompressed: boolean, isStable: boolean): void {
    message.flags = publishFlags(message.isBinary, isCompressed);
    message.body = body;
    message.isStable = isStable;
    this.#links!.write(message, this.result);
  }

  /** Compression that is of use: to a socket here, or to one on the other shards. */
  #variantsFor(isWanted: boolean): DeflateVariants | null {
    const { variants } = this;
    if (variants === null || !(isWanted ? variants.isEnabled : variants.used.length > 0)) return null;
    return variants;
  }

  /** Gives the message begun last its compressed variants. `frame` is the one that refers to nothing but itself. */
  #addVariants(variants: DeflateVariants, frame: Uint8Array, opcode: number): void {
    const batch = this.#batch;
    const start = batch.start(batch.count - 1);
    const payload = batch.bytes.subarray(start + frameHeaderLength(batch.bytes, start), batch.length);
    for (const bits of variants.used) {
      const own = fits(payload.length, bits) ? frame : variants.frameFor(bits, payload, opcode);
      if (own !== null) batch.addVariant(bits, own);
    }
  }

  #publishLarge(
    message: Message,
    topic: Topic<BusSubscriber> | undefined,
    isWanted: boolean,
    variants: DeflateVariants | null,
  ): void {
    const payload = encode(message.payload);
    const opcode = message.isBinary ? Opcode.BINARY : Opcode.TEXT;
    const frame = allocate(headerLength(payload.length, false) + payload.length);
    frame.set(payload, writeHeader(frame, 0, FIN | opcode, payload.length));
    const pair = variants === null ? null : pairOf(variants, frame, opcode, true);
    if (isWanted) {
      this.#write(message, pair ?? frame, pair !== null, true);
      this.#io.requestTurnEnd();
    }
    if (topic === undefined) return;
    const used = pair === null ? null : variants;
    const result = { ...this.result };
    this.#deliverLarge(topic, pair ?? frame, frame.length, used, opcode, message.except);
    // Handlers may have published meanwhile.
    Object.assign(this.result, result);
  }

  /** @param pair the frame, `length` bytes, and unless `variants` is null the same compressed behind it */
  #deliverLarge(
    topic: Topic<BusSubscriber>,
    pair: Uint8Array,
    length: number,
    variants: DeflateVariants | null,
    opcode: number,
    except: BusSubscriber | null,
  ): void {
    const frame = pair.length === length ? pair : pair.subarray(0, length);
    const compressed =
      variants === null ? null : largeVariants(variants, frame, pair.subarray(length), opcode);
    let refused: BusSubscriber[] | null = null;
    for (const subscriber of topic.subscribers) {
      if (subscriber === except || !subscriber.isOpen) continue;
      if (subscriber.isOverLimit) {
        refused ??= [];
        refused.push(subscriber);
        continue;
      }
      if (subscriber.isHolding) {
        subscriber.hold(frame);
        continue;
      }
      const variant = compressed?.[subscriber.deflateBits] ?? null;
      if (variant !== null) subscriber.noteForeign();
      subscriber.sink.writeShared(variant ?? frame, null);
      this.#count(1);
    }
    // Their handlers come when all others have it, so that nothing these send can overtake it.
    if (refused === null) return;
    for (const subscriber of refused) {
      if (subscriber.isOpen) subscriber.drop(frame, opcode === Opcode.BINARY);
    }
  }

  /** A handler was called in the middle of a delivery: what it publishes waits for the next. */
  get #isBusy(): boolean {
    return this.#isFlushing || this.#flushesTo > 0;
  }

  /**
   * Makes room for a message whose frame has at most `size` bytes. Returns whether it is to be sent by itself,
   * in which case nothing waits any more. It may call handlers, which may publish and change who is subscribed.
   */
  #prepare(size: number): boolean {
    const isLarge = size > MAX_BATCHED;
    if (isLarge || !this.#batch.hasRoom(size)) this.flush();
    return isLarge && this.#batch.count === 0 && !this.#isBusy;
  }

  #begin(topic: Topic<BusSubscriber> | undefined, sender: BusSubscriber | null, isBinary: boolean): number {
    const batch = this.#batch;
    if (batch.count === 0) this.#io.requestTurnEnd();
    if (topic !== undefined && topic.pending.length === 0) this.#dirty.push(topic);
    if (sender !== null) sender.sentEpoch = batch.epoch;
    return batch.begin(sender, isBinary);
  }

  /** Writes a subscriber's part of a batch, from message `cursor` on. */
  #deliver(
    subscriber: BusSubscriber,
    batch: TurnBatch<BusSubscriber>,
    dirty: Topic<BusSubscriber>[],
    isFlushing: boolean,
    cursor: number = cursorOf(subscriber, batch),
  ): void {
    if (cursor === batch.count || !subscriber.isOpen) return;
    const messages = messagesFor(subscriber, dirty, isFlushing);
    const { length } = messages;
    if (length === 0) return;
    const rest = subscriber.isHolding ? hold(subscriber, batch, messages, cursor) : cursor;
    if (rest === HELD_ALL) return;
    const first = messages[0]!;
    const last = messages[length - 1]!;
    const { sink } = subscriber;
    // It may have published into a later batch since, in a handler: whether also into this one is not known then.
    const isWhole = rest === 0 && subscriber.sentEpoch < batch.epoch;
    const variant = batch.hasVariants && subscriber.deflateBits !== 0 ? variantOf(subscriber, batch) : batch;
    if (isWhole && !sink.blocked && last - first === length - 1) {
      sink.writeShared(variant.view(variant.start(first), variant.end(last)), variant.slab);
      this.#count(length);
    } else {
      this.#deliverSome(subscriber, batch, variant, messages, length, rest);
    }
  }

  /** Without those it sent itself or has got already; neighbours are copied together. */
  #deliverSome(
    subscriber: BusSubscriber,
    batch: TurnBatch<BusSubscriber>,
    variant: TurnBatch<BusSubscriber>,
    messages: readonly number[],
    length: number,
    cursor: number,
  ): void {
    const { sink } = subscriber;
    const previous = this.#io.corked;
    sink.beginCork();
    let start = -1;
    let end = -1;
    let count = 0;
    // The list may grow under a handler; what it grows by is for later.
    for (let i = indexOf(messages, cursor); i < length; i++) {
      const message = messages[i]!;
      if (batch.senderOf(message) === subscriber) continue;
      if (sink.blocked) {
        copyRange(sink, variant, start, end);
        start = end = -1;
        if (subscriber.isOverLimit) {
          const frame = batch.bytes.subarray(batch.start(message), batch.end(message));
          subscriber.drop(frame, batch.isBinary(message));
          if (!subscriber.isOpen) break;
          continue;
        }
      }
      if (variant.start(message) !== end) {
        copyRange(sink, variant, start, end);
        start = variant.start(message);
      }
      end = variant.end(message);
      count++;
    }
    copyRange(sink, variant, start, end);
    this.#count(count);
    sink.endCork(previous);
  }

  #count(messages: number): void {
    this.#counters[DELIVERED]! += messages;
    this.#counters[MESSAGES_OUT]! += messages;
  }
}

const HELD_ALL = -1;

/**
 * Has a subscriber keep its messages of a batch, from `cursor` on, as they are. Returns HELD_ALL, or the message to go on
 * with when a handler ended what they had to wait for.
 */
function hold<S extends BusSubscriber>(
  subscriber: S,
  batch: TurnBatch<S>,
  messages: readonly number[],
  cursor: number,
): number {
  for (let i = indexOf(messages, cursor), { length } = messages; i < length && subscriber.isOpen; i++) {
    const message = messages[i]!;
    if (!subscriber.isHolding) return message;
    if (batch.senderOf(message) === subscriber) continue;
    const frame = batch.bytes.subarray(batch.start(message), batch.end(message));
    if (subscriber.isOverLimit) subscriber.drop(frame, batch.isBinary(message));
    else subscriber.hold(frame);
  }
  return HELD_ALL;
}

/** What a socket that takes compressed messages is sent of a batch. */
function variantOf<S extends BusSubscriber>(subscriber: S, batch: TurnBatch<S>): TurnBatch<S> {
  const variant = batch.variantFor(subscriber.deflateBits);
  if (variant !== batch) subscriber.noteForeign();
  return variant;
}

/** The frame with the same compressed behind it, or null: it is too short, or becomes no shorter. */
function pairOf(
  variants: DeflateVariants,
  frame: Uint8Array,
  opcode: number,
  isStable: boolean,
): Uint8Array | null {
  const payload = frame.subarray(frameHeaderLength(frame, 0));
  return payload.length < variants.threshold ? null : variants.pair(frame, payload, opcode, isStable);
}

/** Compressed frames of a large message by window bits. */
function largeVariants(
  variants: DeflateVariants,
  frame: Uint8Array,
  compressed: Uint8Array,
  opcode: number,
): (Uint8Array | null)[] {
  const payload = frame.subarray(frameHeaderLength(frame, 0));
  const found: (Uint8Array | null)[] = [];
  for (const bits of variants.used) {
    found[bits] = fits(payload.length, bits) ? compressed : variants.frameFor(bits, payload, opcode);
  }
  return found;
}

function copyRange<S>(sink: FrameSink, batch: TurnBatch<S>, start: number, end: number): void {
  if (start === end) return;
  const at = sink.reserve(end - start);
  sink.bytes.set(batch.view(start, end), at);
  sink.commit(end - start);
}

function isMember<S>(topic: Topic<S>, subscriber: S | null): boolean {
  return subscriber !== null && topic.subscribers.has(subscriber);
}

/** A bound on the bytes of a message's frame, found without encoding it. */
function longestFrame(message: Uint8Array | string): number {
  if (typeof message !== 'string') return MAX_HEADER + message.length;
  const most = message.length * 3;
  return MAX_HEADER + (most > MAX_BATCHED ? textPort.byteLength(message) : most);
}

function encode(message: Uint8Array | string): Uint8Array {
  return typeof message === 'string' ? Buffer.from(message) : message;
}
