import { NO_ADDRESS } from './address-table.ts';

/** Connections too many that are still told why; more are cut off. */
export const REFUSING = 64;

/** Those of them that one address may have. */
export const REFUSING_PER_ADDRESS = 4;

/** A connection too many that is told so: it has a place among those that are, to be given back when it is gone. */
export interface Refusal {
  /** What its first request is answered with: 429 when its address has too many, 503 when all together have. */
  readonly status: number;
  /** The row of the address table that has too many; NO_ADDRESS: all together have. */
  readonly row: number;
}

/** Refusing: the connections beyond a limit that are open to be told so. */
export class Refusing {
  #total = 0;
  /** How many each row of the address table has. */
  readonly #rows = new Map<number, number>();

  get total(): number {
    return this.#total;
  }

  /** Takes a place; null: there is none. `row`: the address has too many; NO_ADDRESS: all together have. */
  take(status: number, row: number): Refusal | null {
    if (this.#total >= REFUSING) return null;
    if (row !== NO_ADDRESS) {
      const count = this.#rows.get(row) ?? 0;
      if (count >= REFUSING_PER_ADDRESS) return null;
      this.#rows.set(row, count + 1);
    }
    this.#total++;
    return { status, row };
  }

  giveBack({ row }: Refusal): void {
    this.#total--;
    const count = this.#rows.get(row);
    if (count === undefined) return;
    if (count === 1) this.#rows.delete(row);
    else this.#rows.set(row, count - 1);
  }
}
