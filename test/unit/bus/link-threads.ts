import { type LinkMemory, ringRegion } from '../../../src/bus/link-memory.ts';
import { Links } from '../../../src/bus/links.ts';
import { Message } from '../../../src/bus/message.ts';
import { isBinary, publishFlags } from '../../../src/bus/publish-codec.ts';
import { noResult, type PublishResult } from '../../../src/bus/publish-result.ts';
import { PairCounter, PairTable } from '../../../src/metrics/pair-table.ts';
import { ringDepth } from '../../../src/ring/byte-ring.ts';

/** A message as a thread got it. */
export interface Got {
  readonly topic: string;
  readonly opcode: number;
  readonly publisher: number;
  readonly sequence: number;
  readonly frame: Buffer;
}

/** One end of all rings, as a thread of the server has it; here all of them share one thread. */
export class LinkThread {
  readonly got: Got[] = [];
  /** What `onOverflow` was told. */
  readonly reports: [to: number, dropped: number][] = [];
  /** Threads that came and went. */
  readonly peers: string[] = [];
  readonly links: Links;
  readonly #counts = new Map<string, number>();

  readonly #message = new Message();

  constructor(memory: LinkMemory, thread: number) {
    this.links = new Links(memory, thread, (to, dropped) => {
      this.reports.push([to, dropped]);
    });
  }

  listen(): this {
    this.links.listen(0, {
      onRecord: (record) => {
        const { flags, sender, sequence } = record;
        this.got.push({
          topic: record.name(),
          opcode: isBinary(flags) ? 2 : 1,
          publisher: sender,
          sequence,
          frame: Buffer.from(Uint8Array.from(record.body())),
        });
        return true;
      },
      onInstance: (id, instance, _role, isUp) => {
        this.peers.push(`${id} ${isUp ? 'up' : 'gone'} ${instance}`);
      },
    });
    return this;
  }

  subscribe(...topics: string[]): this {
    for (const topic of topics) this.#change(topic, 1);
    return this;
  }

  unsubscribe(topic: string): void {
    this.#change(topic, -1);
  }

  /** Writes a message whose memory is used again right after. */
  publish(topic: string, frame: string | Uint8Array, opcode = 1): PublishResult {
    const memory = Buffer.from(frame);
    const result = this.#write(topic, memory, opcode, false);
    memory.fill(0xdd);
    return result;
  }

  /** Writes a message whose memory stays as it is. */
  publishStable(topic: string, frame: Uint8Array): PublishResult {
    return this.#write(topic, frame, 2, true);
  }

  #write(topic: string, frame: Uint8Array, opcode: number, isStable: boolean): PublishResult {
    const message = this.#message;
    message.name = topic;
    message.tag = this.links.hash(topic);
    message.flags = publishFlags(opcode === 2, false);
    message.body = frame;
    message.isStable = isStable;
    const result = noResult();
    this.links.write(message, result);
    return result;
  }

  flush(): void {
    this.links.flush();
  }

  /** Takes what it got so far, as text. */
  texts(): string[] {
    return this.got.splice(0).map(({ frame }) => frame.toString());
  }

  /** The thread ends as in a crash: it never reads again. It must be asleep. */
  die(): void {
    this.links.onWake = () => {};
  }

  #change(topic: string, by: number): void {
    const before = this.#counts.get(topic) ?? 0;
    this.#counts.set(topic, before + by);
    this.links.setCount(topic, this.links.hash(topic), before + by, before);
  }
}

/** The counters of a pair, by name. */
export function pairStats(
  memory: LinkMemory,
  from: number,
  to: number,
): Record<keyof typeof PairCounter, number> {
  const counters = new PairTable(memory.pairs, memory.threads, memory.threads).counters(from, to);
  const entries = Object.entries(PairCounter).map(([name, counter]) => [name, counters.get(counter)]);
  return Object.fromEntries(entries) as Record<keyof typeof PairCounter, number>;
}

/** Turns the event loop until no ring holds anything and nobody waits for room. */
export async function quiet(memory: LinkMemory): Promise<void> {
  for (let calm = 0, turns = 0; calm < 3; turns++) {
    if (turns > 200_000) throw new Error('the rings do not become empty');
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    calm = isQuiet(memory) ? calm + 1 : 0;
  }
}

function isQuiet(memory: LinkMemory): boolean {
  for (let from = 0; from < memory.threads; from++) {
    for (let to = 0; to < memory.threads; to++) {
      if (memory.inboxes[to] === undefined) continue;
      if (ringDepth(ringRegion(memory, from, to)) > 0) return false;
      if (pairStats(memory, from, to).OVERFLOW_BYTES > 0) return false;
    }
  }
  return true;
}
