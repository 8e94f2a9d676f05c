import { ADDRESS_SLOTS, type ControlBlock } from '../ring/control-block.ts';
import { NO_ADDRESS } from './shard.ts';

/** Rows looked at for a free one before the address goes uncounted. */
const SWEEP = 1024;

/** Gives each peer address its row in the control block, where the shards count its sockets. */
export class AddressTable {
  readonly #control: ControlBlock;
  readonly #rows = new Map<string, number>();
  readonly #names = new Array<string | undefined>(ADDRESS_SLOTS);
  #next = 0;

  constructor(control: ControlBlock) {
    this.#control = control;
  }

  /** The row of an address, or NO_ADDRESS when all rows are in use: such an address is not limited. */
  rowOf(address: string): number {
    const known = this.#rows.get(address);
    if (known !== undefined) return known;
    for (let i = 0; i < SWEEP; i++) {
      const row = this.#next;
      this.#next = (row + 1) % ADDRESS_SLOTS;
      const owner = this.#names[row];
      // A row in use without a name is that of an acceptor before this one.
      if (this.#control.addressTotal(row) > 0) continue;
      if (owner !== undefined) this.#rows.delete(owner);
      this.#names[row] = address;
      this.#rows.set(address, row);
      return row;
    }
    return NO_ADDRESS;
  }
}
