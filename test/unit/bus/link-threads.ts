import { type LinkMemory, ringRegion } from '../../../src/bus/link-memory.ts';
import { Links } from '../../../src/bus/links.ts';
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
  readonly links: Links;
  readonly #counts = new Map<string, number>();

  constructor(memory: LinkMemory, thread: number) {
    this.links = new Links(memory, thread, (to, dropped) => {
      this.reports.push([to, dropped]);
    });
  }

  listen(): this {
    this.links.listen((record) => {
      const { opcode, publisher, sequence } = record;
      this.got.push({
        topic: record.topic(),
        opcode,
        publisher,
        sequence,
        frame: Buffer.from(Uint8Array.from(record.frame())),
      });
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
  publish(topic: string, frame: string | Uint8Array, opcode = 1): void {
    const memory = Buffer.from(frame);
    this.links.write(topic, this.links.hash(topic), opcode, memory, false);
    memory.fill(0xdd);
  }

  /** Writes a message whose memory stays as it is. */
  publishStable(topic: string, frame: Uint8Array): void {
    this.links.write(topic, this.links.hash(topic), 2, frame, true);
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
  const counters = new PairTable(memory.pairs, memory.publishers, memory.shards).counters(from, to);
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
  for (let from = 0; from < memory.publishers; from++) {
    for (let to = 0; to < memory.shards; to++) {
      if (memory.inboxes[to] === undefined) continue;
      if (ringDepth(ringRegion(memory, from, to)) > 0) return false;
      if (pairStats(memory, from, to).OVERFLOW_BYTES > 0) return false;
    }
  }
  return true;
}
