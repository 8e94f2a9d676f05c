import { printable } from '../printable.ts';

/** Characters of a reason that are kept. */
const MAX_LENGTH = 500;
/** More different reasons are counted as one. */
const MOST_REASONS = 20;
const OTHERS = 'other reasons';

/** How often connections failed for each reason. */
export class Reasons {
  readonly #counts = new Map<string, number>();

  /** What a server said may be part of it. */
  add(text: string, count = 1): void {
    const reason = printable(text, MAX_LENGTH);
    const isKnown = this.#counts.has(reason) || this.#counts.size < MOST_REASONS;
    const name = isKnown ? reason : OTHERS;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
  }

  /** The most frequent one first. */
  entries(): [reason: string, count: number][] {
    return [...this.#counts].sort(([, a], [, b]) => b - a);
  }
}
