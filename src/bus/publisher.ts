import { Counter } from '../metrics/counter.ts';
import { allocate } from '../net/write-memory.ts';
import { ZlibDeflatePort } from '../net/zlib-deflater.ts';
import { FIN, headerLength, writeHeader } from '../protocol/frame-header.ts';
import { Opcode } from '../protocol/opcode.ts';
import { isTopicTooLong } from '../ring/topic-bytes.ts';
import { DeflateForms } from './deflate-forms.ts';
import { LinkMessage, NO_BYTES } from './link-message.ts';
import type { Links } from './links.ts';
import { publishFlags } from './publish-codec.ts';

/** Publishes from a thread that has no sockets of its own. */
export class Publisher {
  readonly #links: Links;
  readonly #counters: Float64Array;
  readonly #forms: DeflateForms;
  readonly #message = new LinkMessage();
  #isScheduled = false;

  /** @param counters of its thread, indexed by Counter */
  constructor(links: Links, counters: Float64Array) {
    this.#links = links;
    this.#counters = counters;
    this.#forms = new DeflateForms(new ZlibDeflatePort(counters));
  }

  /**
   * Returns whether the topic has a subscriber on any shard.
   *
   * @param compress in compressed form to those that take it
   */
  publish(topic: string, payload: Uint8Array, isBinary: boolean, compress = false): boolean {
    if (isTopicTooLong(topic, this.#links.maxTopicLength)) return false;
    this.#counters[Counter.PUBLISHED]!++;
    const hash = this.#links.hash(topic);
    if (!this.#links.isWanted(hash)) return false;
    const opcode = isBinary ? Opcode.BINARY : Opcode.TEXT;
    const frame = allocate(headerLength(payload.length, false) + payload.length);
    frame.set(payload, writeHeader(frame, 0, FIN | opcode, payload.length));
    const joined =
      compress && payload.length >= this.#forms.threshold
        ? this.#forms.join(frame, payload, opcode, true)
        : null;
    const message = this.#message;
    message.name = topic;
    message.tag = hash;
    message.flags = publishFlags(opcode, joined !== null);
    message.body = joined ?? frame;
    message.isStable = true;
    this.#links.write(message);
    message.body = NO_BYTES;
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(this.#flush);
    }
    return this.#links.hasElsewhere(topic);
  }

  readonly #flush = (): void => {
    this.#isScheduled = false;
    this.#links.flush();
  };
}
