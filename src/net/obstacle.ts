import { errorText } from '../error-report.ts';
import { MillraceError } from '../errors.ts';
import { printable } from '../printable.ts';

/** Obstacle: why something cannot be done for now. The caller tries again and again; the reason is printed once. */
export class Obstacle {
  readonly #where: string;
  #last = '';

  /** @param where what the obstacle is in the way of, as the message starts */
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

  /** The obstacle is gone. */
  clear(): void {
    this.#last = '';
  }
}
