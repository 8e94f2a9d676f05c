/**
 * SentTimes: when the messages of a connection that have no reply yet were sent, oldest first. Messages written
 * together are one entry, so there are at most as many entries as messages in flight.
 */
export class SentTimes {
  readonly #times: Float64Array;
  readonly #counts: Uint32Array;
  #first = 0;
  #size = 0;
  /** Messages in all entries. */
  outstanding = 0;

  /** @param capacity messages in flight at most */
  constructor(capacity: number) {
    this.#times = new Float64Array(capacity);
    this.#counts = new Uint32Array(capacity);
  }

  push(time: number, count: number): void {
    let at = this.#first + this.#size;
    if (at >= this.#times.length) at -= this.#times.length;
    this.#times[at] = time;
    this.#counts[at] = count;
    this.#size++;
    this.outstanding += count;
  }

  /** When the oldest message was sent; only when there is one. */
  get oldest(): number {
    return this.#times[this.#first]!;
  }

  /** Messages of the oldest entry. */
  get oldestCount(): number {
    return this.#counts[this.#first]!;
  }

  /** Removes the oldest messages, at most those of the oldest entry. */
  remove(count: number): void {
    this.outstanding -= count;
    this.#counts[this.#first]! -= count;
    if (this.#counts[this.#first]! > 0) return;
    this.#first = this.#first + 1 === this.#times.length ? 0 : this.#first + 1;
    this.#size--;
  }

  clear(): void {
    this.#size = 0;
    this.outstanding = 0;
  }
}
