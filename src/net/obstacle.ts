import { errorText } from '../error-report.ts';
import { MillraceError } from '../errors.ts';
import { printable } from '../printable.ts';

/** Obstacle: why threads cannot be joined for now. It is tried again and again, and printed once. */
export class Obstacle {
  readonly #where: string;
  #last = '';

  /** @param where what is in the way of, as the message starts */
  constructor(where: string) {
    this.#where = where;
  }

  /** Tells of what is in the way, but for the lack of descriptors, which passes. */
  tell(error: unknown): void {
    if (error instanceof MillraceError && error.cause === undefined) return;
    const { message } = error as Error;
    if (message === this.#last) return;
    this.#last = message;
    console.error(
      this.#where,
      error instanceof MillraceError ? `${printable(message)}; it is tried again` : errorText(error),
    );
  }

  /** It is gone. */
  clear(): void {
    this.#last = '';
  }
}
