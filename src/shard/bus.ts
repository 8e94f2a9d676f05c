import { Counter } from '../net/counter.ts';
import { FIN, headerLength, writeHeader } from '../protocol/frame-header.ts';
import { Opcode } from '../protocol/opcode.ts';
import { type Delivery, type Subscriber, TopicTree } from '../pubsub/topic-tree.ts';

/** A subscriber that takes frames as they go on the wire. */
export interface BusSubscriber {
  /** `frame` is valid during the call. Returns false when the message was dropped. */
  deliverFrame(frame: Uint8Array, isBinary: boolean): boolean;
}

/**
 * Bus: publishes of one thread. A message is framed once, whatever the number of subscribers. The seam for
 * other threads is here: `publish` is where a record for each interested shard will be written, and
 * `deliverFrame` is what an arriving record ends in.
 */
export class Bus<S extends BusSubscriber & Subscriber> implements Delivery<S> {
  readonly topics = new TopicTree<S>();
  readonly #counters: Float64Array;
  #memory = new Uint8Array(4096);
  // The publish under way. A handler that publishes from inside a delivery gets other memory.
  #frame: Uint8Array = this.#memory;
  #isBinary = false;
  #isPublishing = false;

  constructor(counters: Float64Array) {
    this.#counters = counters;
  }

  /** Sends a message to all subscribers of the topic but `except`. Returns whether there was one. */
  publish(topic: string, message: Uint8Array, isBinary: boolean, except: S | null): boolean {
    if (this.topics.subscriberCount(topic) === 0) return false;
    this.#counters[Counter.PUBLISHED]!++;
    const frame = this.#frameMessage(message, isBinary);
    return this.#deliver(topic, frame, isBinary, except);
  }

  deliver(subscriber: S): void {
    if (subscriber.deliverFrame(this.#frame, this.#isBinary)) this.#counters[Counter.DELIVERED]!++;
  }

  #deliver(topic: string, frame: Uint8Array, isBinary: boolean, except: S | null): boolean {
    const outer = { frame: this.#frame, isBinary: this.#isBinary, isPublishing: this.#isPublishing };
    this.#frame = frame;
    this.#isBinary = isBinary;
    this.#isPublishing = true;
    const found = this.topics.publish(topic, except, this);
    this.#frame = outer.frame;
    this.#isBinary = outer.isBinary;
    this.#isPublishing = outer.isPublishing;
    return found;
  }

  #frameMessage(message: Uint8Array, isBinary: boolean): Uint8Array {
    const size = headerLength(message.length, false) + message.length;
    const memory = this.#isPublishing || size > MAX_KEPT ? new Uint8Array(size) : this.#room(size);
    const start = writeHeader(memory, 0, FIN | (isBinary ? Opcode.BINARY : Opcode.TEXT), message.length);
    memory.set(message, start);
    return memory.subarray(0, size);
  }

  #room(size: number): Uint8Array {
    if (this.#memory.length < size) this.#memory = new Uint8Array(Math.max(size, this.#memory.length * 2));
    return this.#memory;
  }
}

/** Messages larger than this get memory of their own. */
const MAX_KEPT = 256 * 1024;
