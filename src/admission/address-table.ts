import { KeyedHash, newHashKey } from '../keyed-hash.ts';
import { parseAddress } from './peer-address.ts';

/** No row of the address table. */
export const NO_ADDRESS = -1;

/** The header: rows, columns, the two words of the hash's key, and the columns in use. */
const HEADER_WORDS = 16;
const Header = {
  ROWS: 0,
  COLUMNS: 1,
  KEY: 2,
  /** Columns that were ever counted in, from the first on. */ USED: 4,
} as const;

/** Words of an address. */
const KEY_WORDS = 2;

/** Rows at least and at most. */
const MIN_ROWS = 1024;
export const MAX_ROWS = 2 ** 18;

/** Neighbouring rows that an address may have one of. */
const WINDOW = 32;

/**
 * Address table: the connections of each peer address, in shared memory of the server, so that they are counted whichever
 * thread has them, and stay counted when a thread dies.
 *
 *     ┌ header ┐ ┌ addresses, by row (2 words each) ┐ ┌ column 0: counts, by row ┐ ┌ column 1 …
 *
 * An address is an IPv4 address or the /64 of an IPv6 one (what one customer gets). Each column is that of a thread: of a
 * shard, and the last one of the acceptor, for connections it has not given to a shard yet. The acceptor alone chooses
 * rows; the thread that has a connection counts it down.
 *
 * The table has two rows for each connection that there may be, up to 262,144. When more addresses than that are connected,
 * an address may find the 32 rows that it may have all taken: it then shares one of them, always the same. So no address
 * ever has more than its limit, and to lock out others somebody must hold as many connections as all rows allow.
 */
export class AddressTable {
  readonly memory: SharedArrayBuffer;
  readonly columns: number;
  readonly #words: Int32Array;
  readonly #mask: number;
  readonly #hash: KeyedHash;

  constructor(memory: SharedArrayBuffer) {
    const words = new Int32Array(memory);
    this.memory = memory;
    this.#words = words;
    this.columns = words[Header.COLUMNS]!;
    this.#mask = words[Header.ROWS]! - 1;
    this.#hash = new KeyedHash([words[Header.KEY]!, words[Header.KEY + 1]!]);
  }

  /** @param connections how many there may be, of all addresses together */
  static create(columns: number, connections: number): AddressTable {
    const wanted = Math.min(Math.max(2 * connections, MIN_ROWS), MAX_ROWS);
    const rows = 2 ** Math.ceil(Math.log2(wanted));
    const memory = new SharedArrayBuffer((HEADER_WORDS + rows * (KEY_WORDS + columns)) * 4);
    const words = new Int32Array(memory);
    words[Header.ROWS] = rows;
    words[Header.COLUMNS] = columns;
    words.set(newHashKey(), Header.KEY);
    return new AddressTable(memory);
  }

  /** Tells it from other tables, in whichever thread. */
  get name(): string {
    return `${this.#words[Header.KEY]} ${this.#words[Header.KEY + 1]}`;
  }

  get rows(): number {
    return this.#mask + 1;
  }

  /** The row that an address is counted in from now on; NO_ADDRESS when the text is none. In the acceptor only. */
  rowOf(address: string): number {
    const key = parseAddress(address);
    return key === undefined ? NO_ADDRESS : this.rowOfKey(key[0], key[1]);
  }

  rowOfKey(high: number, low: number): number {
    const words = this.#words;
    const hash = this.#hash.words(high, low);
    let free = NO_ADDRESS;
    for (let i = 0; i < WINDOW; i++) {
      const row = (hash + i) & this.#mask;
      const at = this.#at(row);
      if (words[at] === high && words[at + 1] === low && this.total(row) > 0) return row;
      // A thread that is asked for its counts may be about to write them: a row is taken from nobody who has one.
      if (free === NO_ADDRESS && this.total(row) <= 0) free = row;
    }
    if (free === NO_ADDRESS) return (hash + (hash >>> 27)) & this.#mask;
    const at = this.#at(free);
    words[at] = high;
    words[at + 1] = low;
    return free;
  }

  /** Connections of a row, of all threads. */
  total(row: number): number {
    let total = 0;
    const used = Atomics.load(this.#words, Header.USED);
    for (let column = 0; column < used; column++)
      total += Atomics.load(this.#words, this.#count(row, column));
    return total;
  }

  // Counts order nothing but themselves: the acceptor acts on a sum that may be a moment old.

  add(row: number, column: number, by: number): void {
    this.#use(column);
    Atomics.add(this.#words, this.#count(row, column), by);
  }

  /** A connection goes from one thread to another. */
  move(row: number, from: number, to: number): void {
    if (row === NO_ADDRESS) return;
    // In this order the sum is never too low: a row without connections is another address's.
    this.add(row, to, 1);
    this.add(row, from, -1);
  }

  /** The connections of a column are gone: its thread is. */
  clear(column: number): void {
    this.recount(column, new Map());
  }

  /** The connections of a column are these, by row. Any other thread that counts in it must have stopped. */
  recount(column: number, counts: ReadonlyMap<number, number>): void {
    const words = this.#words;
    if (column >= Atomics.load(words, Header.USED) && counts.size === 0) return;
    this.#use(column);
    // Rows without a change are not written to: most of the memory was never touched, and takes no room until it is.
    for (let row = 0, at = this.#count(0, column); row <= this.#mask; row++, at++) {
      const count = counts.get(row) ?? 0;
      if (Atomics.load(words, at) !== count) Atomics.store(words, at, count);
    }
  }

  /** Where the address of a row is. */
  #at(row: number): number {
    return HEADER_WORDS + row * KEY_WORDS;
  }

  #count(row: number, column: number): number {
    return HEADER_WORDS + (this.#mask + 1) * (KEY_WORDS + column) + row;
  }

  #use(column: number): void {
    const words = this.#words;
    let used = Atomics.load(words, Header.USED);
    while (column >= used) {
      const seen = Atomics.compareExchange(words, Header.USED, used, column + 1);
      if (seen === used) return;
      used = seen;
    }
  }
}
