import { Counter } from '../metrics/counter.ts';
import { allocate } from '../net/write-memory.ts';
import { ZlibDeflatePort } from '../net/zlib-deflater.ts';
import { FIN, headerLength, writeHeader } from '../protocol/frame-header.ts';
import { Opcode } from '../protocol/opcode.ts';
import { isTopicTooLong } from '../ring/topic-bytes.ts';
import { DeflateVariants } from './deflate-variants.ts';
import type { Delivery } from './delivery.ts';
import type { Links } from './links.ts';
import type { Message } from './message.ts';
import { publishFlags } from './publish-codec.ts';
import { clearResult, noResult, type PublishResult } from './publish-result.ts';

/** Publisher: the publishes of a thread that has no sockets of its own. */
export class Publisher implements Delivery {
  readonly result: PublishResult = noResult();
  #links: Links | null = null;
  readonly #counters: Float64Array;
  readonly #variants: DeflateVariants;
  #isScheduled = false;

  /** @param counters of its thread, indexed by Counter */
  constructor(counters: Float64Array) {
    this.#counters = counters;
    this.#variants = new DeflateVariants(new ZlibDeflatePort(counters));
  }

  link(links: Links | null): void {
    this.#links = links;
  }

  publish(message: Message): PublishResult {
    const { result } = this;
    clearResult(result);
    const links = this.#links;
    if (links === null || isTopicTooLong(message.name, links.maxTopicLength)) return result;
    this.#counters[Counter.PUBLISHED]!++;
    message.tag = links.hash(message.name);
    if (!links.isWanted(message.tag)) return result;
    this.#frame(message);
    links.write(message, result);
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(this.#flush);
    }
    result.isHeard = links.hasElsewhere(message.name, message.tag);
    return result;
  }

  /** There are no sockets here. */
  onRemotePublish(): void {}

  /** Gives a message the body that is written. */
  #frame(message: Message): void {
    const payload = typeof message.payload === 'string' ? Buffer.from(message.payload) : message.payload;
    const opcode = message.isBinary ? Opcode.BINARY : Opcode.TEXT;
    const frame = allocate(headerLength(payload.length, false) + payload.length);
    frame.set(payload, writeHeader(frame, 0, FIN | opcode, payload.length));
    const pair =
      message.compress && payload.length >= this.#variants.threshold
        ? this.#variants.pair(frame, payload, opcode, true)
        : null;
    message.flags = publishFlags(message.isBinary, pair !== null);
    message.body = pair ?? frame;
    message.isStable = true;
  }

  readonly #flush = (): void => {
    this.#isScheduled = false;
    this.#links?.flush();
  };
}
