// @ts-check

/** Microseconds from which on a latency is only known to be that long. */
const MOST = 1_000_000;

/** Latencies in steps of a microsecond. */
export class LatencyHistogram {
  #counts = new Uint32Array(MOST + 1);
  #total = 0;
  #most = 0;

  /** @param {number} microseconds */
  add(microseconds) {
    const step = Math.min(Math.max(Math.ceil(microseconds), 0), MOST);
    this.#counts[step] = (this.#counts[step] ?? 0) + 1;
    this.#total++;
    if (step > this.#most) this.#most = step;
  }

  clear() {
    this.#counts.fill(0);
    this.#total = 0;
    this.#most = 0;
  }

  /**
   * The latencies that occurred, and how often: what another process can {@link merge}.
   *
   * @returns {[microseconds: number, times: number][]}
   */
  entries() {
    /** @type {[number, number][]} */
    const entries = [];
    for (let step = 0; step <= this.#most; step++) {
      const times = this.#counts[step] ?? 0;
      if (times > 0) entries.push([step, times]);
    }
    return entries;
  }

  /** @param {readonly [number, number][]} entries of another histogram */
  merge(entries) {
    for (const [step, times] of entries) {
      this.#counts[step] = (this.#counts[step] ?? 0) + times;
      this.#total += times;
      if (step > this.#most) this.#most = step;
    }
  }

  /**
   * @param {number} share 0 to 1
   * @returns {number} milliseconds that so many took at most; NaN when there were none
   */
  percentile(share) {
    if (this.#total === 0) return Number.NaN;
    let rest = Math.ceil(this.#total * share);
    for (let step = 0; step <= this.#most; step++) {
      rest -= this.#counts[step] ?? 0;
      if (rest <= 0) return step / 1000;
    }
    return Number.NaN;
  }
}
