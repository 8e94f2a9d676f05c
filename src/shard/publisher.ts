import { allocate } from '../net/write-memory.ts';
import { FIN, headerLength, writeHeader } from '../protocol/frame-header.ts';
import { Opcode } from '../protocol/opcode.ts';
import type { Links } from './links.ts';

/** Publishes from a thread that has no sockets of its own. */
export class Publisher {
  readonly #links: Links;
  #isScheduled = false;

  constructor(links: Links) {
    this.#links = links;
  }

  /** Returns whether the topic has a subscriber on any shard. */
  publish(topic: string, payload: Uint8Array, isBinary: boolean): boolean {
    const hash = this.#links.hash(topic);
    if (!this.#links.isWanted(hash)) return false;
    const opcode = isBinary ? Opcode.BINARY : Opcode.TEXT;
    const frame = allocate(headerLength(payload.length, false) + payload.length);
    frame.set(payload, writeHeader(frame, 0, FIN | opcode, payload.length));
    this.#links.write(topic, hash, opcode, frame, true);
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(this.#flush);
    }
    return this.#links.countElsewhere(topic) > 0;
  }

  readonly #flush = (): void => {
    this.#isScheduled = false;
    this.#links.flush();
  };
}
