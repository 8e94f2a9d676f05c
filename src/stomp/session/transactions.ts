import { StompError, StompFault } from '../codec/frame.ts';
import { emptyMap, ownMap } from './lazy-map.ts';

/** Limits of the transactions of a session. */
export interface TransactionLimits {
  /** Transactions that are open at once. */
  readonly maxTransactions: number;
  /** Frames that wait in all of them. */
  readonly maxTransactionFrames: number;
  /** Bytes of bodies and characters of headers that wait in all of them. */
  readonly maxTransactionBytes: number;
}

/** What is done at COMMIT. */
export interface Waiting<Operation> {
  readonly operation: Operation;
  readonly size: number;
}

/** Transactions: the frames of a session that wait for their COMMIT (STOMP 1.2, "BEGIN"). */
export class Transactions<Operation> {
  readonly #limits: TransactionLimits;
  #open: Map<string, Waiting<Operation>[]> = emptyMap();
  #frames = 0;
  #bytes = 0;

  constructor(limits: TransactionLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#open.size;
  }

  /** @throws StompError it is open already, or there are too many */
  begin(id: string): void {
    if (this.#open.has(id)) throw new StompError(StompFault.PROTOCOL, 'the transaction has begun already');
    if (this.#open.size >= this.#limits.maxTransactions) {
      throw new StompError(StompFault.LIMIT, `more than ${this.#limits.maxTransactions} transactions`);
    }
    this.#open = ownMap(this.#open);
    this.#open.set(id, []);
  }

  /** @throws StompError there is no such transaction, or too much waits */
  add(id: string, operation: Operation, size: number): void {
    const { maxTransactionFrames, maxTransactionBytes } = this.#limits;
    const waiting = this.#get(id);
    if (this.#frames >= maxTransactionFrames) {
      throw new StompError(StompFault.LIMIT, `more than ${maxTransactionFrames} frames in transactions`);
    }
    if (this.#bytes + size > maxTransactionBytes) {
      throw new StompError(StompFault.LIMIT, `more than ${maxTransactionBytes} bytes in transactions`);
    }
    waiting.push({ operation, size });
    this.#frames++;
    this.#bytes += size;
  }

  /**
   * Ends a transaction. Returns what waited in it, in order.
   *
   * @throws StompError there is no such transaction
   */
  end(id: string): Operation[] {
    const waiting = this.#get(id);
    this.#open.delete(id);
    this.#frames -= waiting.length;
    for (const { size } of waiting) this.#bytes -= size;
    return waiting.map(({ operation }) => operation);
  }

  /** The session is over: all that waits is given up. */
  clear(): void {
    this.#open.clear();
    this.#frames = 0;
    this.#bytes = 0;
  }

  #get(id: string): Waiting<Operation>[] {
    const waiting = this.#open.get(id);
    if (waiting === undefined) throw new StompError(StompFault.PROTOCOL, 'there is no such transaction');
    return waiting;
  }
}
