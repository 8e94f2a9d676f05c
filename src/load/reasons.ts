/** More different reasons are counted as one. */
const MOST_REASONS = 20;
const OTHERS = 'other reasons';

/** How often connections failed for each reason. */
export class Reasons {
  readonly #counts = new Map<string, number>();

  add(reason: string, count = 1): void {
    const isKnown = this.#counts.has(reason) || this.#counts.size < MOST_REASONS;
    const name = isKnown ? reason : OTHERS;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  /** The most frequent one first. */
  entries(): [reason: string, count: number][] {
    return [...this.#counts].sort(([, a], [, b]) => b - a);
  }
}
