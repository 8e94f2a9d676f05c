import { NO_ADDRESS } from './address-table.ts';

/** Connections too many that are still told why; more are cut off. */
export const REFUSING = 64;

/** Those of them that one address may have. */
export const REFUSING_PER_ADDRESS = 4;

/** Refusing: the connections beyond a limit that are open to be told so. */
export class Refusing {
  #total = 0;
  /** How many each row of the address table has. */
  readonly #rows = new Map<number, number>();

  get total(): number {
    return this.#total;
  }

  /** Takes a place. Returns false when there is none. `row`: the address has too many; NO_ADDRESS: all together have. */
  take(row: number): boolean {
    if (this.#total >= REFUSING) return false;
    if (row !== NO_ADDRESS) {
      const count = this.#rows.get(row) ?? 0;
      if (count >= REFUSING_PER_ADDRESS) return false;
      this.#rows.set(row, count + 1);
    }
    this.#total++;
    return true;
  }

  giveBack(row: number): void {
    this.#total--;
    const count = this.#rows.get(row);
    if (count === undefined) return;
    if (count === 1) this.#rows.delete(row);
    else this.#rows.set(row, count - 1);
  }
}
