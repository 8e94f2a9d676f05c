import { randomInt } from 'node:crypto';

/**
 * RunTally: what all client threads of a run know together. A message of a queue comes to one consumer, whatever its
 * thread, so each is ticked off here.
 *
 *     [run][consumed of each publisher][witnessed of each publisher][window of each publisher]
 *
 * A place of a window holds the number of the last message that was consumed there, plus one. A publisher has fewer
 * messages on their way than its window has places.
 */
export class RunTally {
  readonly memory: SharedArrayBuffer;
  readonly #values: Int32Array;
  readonly #publishers: number;
  readonly #window: number;

  constructor(publishers: number, inFlight: number, memory?: SharedArrayBuffer) {
    this.#publishers = publishers;
    this.#window = windowFor(inFlight);
    const length = 1 + publishers * (2 + this.#window);
    this.memory = memory ?? new SharedArrayBuffer(length * 4);
    this.#values = new Int32Array(this.memory);
    if (memory === undefined) this.#values[0] = randomInt(2 ** 31 - 1);
  }

  /** A number of this run, for the names of its destinations. */
  get run(): number {
    return this.#values[0]!;
  }

  /** Message `number` of a publisher came out of a queue. False: it did so before. */
  consume(publisher: number, number: number): boolean {
    const place = 1 + this.#publishers * 2 + publisher * this.#window + (number & (this.#window - 1));
    const before = Atomics.exchange(this.#values, place, number + 1);
    if (before > number) {
      // What is known of a later message of this place stays known.
      Atomics.store(this.#values, place, before);
      return false;
    }
    Atomics.add(this.#values, 1 + publisher, 1);
    return true;
  }

  /** The first subscriber of a topic has got, or will never get, so many messages more. */
  witness(publisher: number, count: number): void {
    Atomics.add(this.#values, 1 + this.#publishers + publisher, count);
  }

  /** Different messages that have come out of queues. */
  consumed(publisher: number): number {
    return Atomics.load(this.#values, 1 + publisher);
  }

  /** Messages that are on their way no more. */
  settled(publisher: number): number {
    return this.consumed(publisher) + Atomics.load(this.#values, 1 + this.#publishers + publisher);
  }
}

/** A power of two above the messages in flight, with room for those that were given up and come after all. */
function windowFor(inFlight: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(512, inFlight) * 2));
}
