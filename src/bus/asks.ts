import { MillraceError } from '../errors.ts';
import { Counter } from '../metrics/counter.ts';
import { printable } from '../printable.ts';
import { AnswerStatus, REPLY_HEADER, readId, writeRequest } from './ask-record.ts';
import { DeadlineWheel, type Waiter } from './deadline-wheel.ts';
import { SendStatus } from './send-status.ts';

/** Requests of one thread that may wait for their answers. */
export const MAX_ASKS = 65_536;
/** Bytes of these, with `ASK_OVERHEAD` for each. */
export const MAX_ASK_BYTES = 64 * 1024 * 1024;
/** What a request that waits takes beside its bytes. */
const ASK_OVERHEAD = 256;
/** Ms until a request has failed, unless it says otherwise. */
const ASK_TIMEOUT = 10_000;
/** The longest that can be waited for an answer. */
const MAX_ASK_TIMEOUT = 3_600_000;

export interface AskOptions {
  /** Ms until the answer has to be there, 1 to 3,600,000. Default 10,000. */
  readonly timeout?: number;
}

/** What `Asks` needs of the thread's participant. */
export interface AskPort {
  /** Instance number of the thread with this number; 0: there is none. */
  instanceAt(id: number): number;
  /** Sends a request to a thread of this instance; this one may be meant, too. */
  sendRequest(id: number, record: Uint8Array, instance: number): SendStatus;
}

/** A request that waits for its answer. */
class PendingAsk implements Waiter {
  readonly id: number;
  readonly to: number;
  /** Instance of the thread that is asked. */
  readonly instance: number;
  readonly cost: number;
  readonly timeout: number;
  deadline: number;
  waiterNext: Waiter | null = null;
  waiterPrevious: Waiter | null = null;
  waiterSlot = -1;
  readonly resolve: (answer: Uint8Array) => void;
  readonly reject: (error: MillraceError) => void;
  readonly #asks: Asks;

  constructor(
    asks: Asks,
    id: number,
    to: number,
    instance: number,
    cost: number,
    timeout: number,
    resolve: (answer: Uint8Array) => void,
    reject: (error: MillraceError) => void,
  ) {
    this.#asks = asks;
    this.id = id;
    this.to = to;
    this.instance = instance;
    this.cost = cost;
    this.timeout = timeout;
    this.deadline = performance.now() + timeout;
    this.resolve = resolve;
    this.reject = reject;
  }

  onDeadline(): void {
    this.#asks.expire(this);
  }
}

/** Asks: the requests of one thread to others, from when they are made until they are answered or have failed. */
export class Asks {
  readonly #port: AskPort;
  readonly #counters: Float64Array;
  readonly #pending = new Map<number, PendingAsk>();
  readonly #wheel = new DeadlineWheel();
  #bytes = 0;
  #lastId = 0;
  /** Why nothing can be asked; null: it can. */
  #closed: string | null = null;
  /** Called when none waits any more. */
  #onIdle: (() => void) | null = null;

  /** @param counters of this thread */
  constructor(port: AskPort, counters: Float64Array) {
    this.#port = port;
    this.#counters = counters;
  }

  /** Requests that wait for an answer. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Sends a request of this kind to a thread. Resolves with the answer's bytes. What is asked of one thread gets there
   * in the order in which it was asked.
   *
   * @throws (it rejects) MillraceError
   *   MILLRACE_ASK_REFUSED when it was not begun, so that it can be made again: dropped on the way, too many wait here or
   *   are under way there, nobody answers that kind, this thread ends;
   *   MILLRACE_ASK_FAILED when the handler there threw or rejected;
   *   MILLRACE_PEER_GONE when the thread is not there, or ended before it answered, and MILLRACE_ASK_TIMEOUT when the
   *   answer was not there in time: what was asked may have been done then
   */
  ask(
    to: number,
    kind: number,
    bytes: Uint8Array,
    { timeout = ASK_TIMEOUT }: AskOptions = {},
  ): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#counters[Counter.ASKS]!++;
      const instance = this.#port.instanceAt(to);
      const refusal = this.#refusal(to, instance, bytes, timeout);
      if (refusal !== null) {
        this.#counters[Counter.ASKS_FAILED]!++;
        reject(refusal);
        return;
      }
      const id = this.#nextId();
      const pending = new PendingAsk(
        this,
        id,
        to,
        instance,
        ASK_OVERHEAD + bytes.length,
        Math.max(timeout, 1),
        resolve,
        reject,
      );
      this.#pending.set(id, pending);
      this.#bytes += pending.cost;
      this.#wheel.add(pending);
      const status = this.#port.sendRequest(to, writeRequest(id, kind, bytes), instance);
      if (status > SendStatus.QUEUED) this.#fail(pending, unsent(status, to));
    });
  }

  /** A reply arrived; its bytes are valid during the call. */
  onReply(from: number, record: Uint8Array): void {
    const pending = this.#match(from, record);
    if (pending === undefined) {
      this.#counters[Counter.LATE_ANSWERS]!++;
      return;
    }
    const status = record[4]!;
    const body = record.subarray(REPLY_HEADER);
    if (status !== AnswerStatus.DONE) {
      this.#fail(pending, errorOf(status, from, body));
      return;
    }
    this.#remove(pending);
    // A copy: the record is ring memory. slice() would be none of a Buffer.
    pending.resolve(new Uint8Array(body));
  }

  /** The thread of this number is gone; what it was asked is not answered any more. */
  peerGone(id: number, instance: number): void {
    for (const pending of this.#pending.values()) {
      // A later one may have been asked already.
      if (pending.to === id && pending.instance <= instance)
        this.#fail(pending, peerGone(`thread ${id} ended before it answered`));
    }
  }

  /** Number of the last request. What is asked from here on has higher ones than `id`. */
  get lastId(): number {
    return this.#lastId;
  }

  continueFrom(id: number): void {
    this.#lastId = id;
  }

  /** Resolves when no request waits for an answer any more. */
  idle(): Promise<void> {
    if (this.#pending.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** This thread may not ask, until `open`; what it has asked may still be answered. */
  refuse(why: string): void {
    this.#closed ??= why;
  }

  open(): void {
    this.#closed = null;
  }

  /** The same, and nobody waits for answers any more. */
  close(why: string): void {
    this.refuse(why);
    for (const pending of this.#pending.values()) this.#fail(pending, peerGone(why));
  }

  /** The answer is not there in time. */
  expire(pending: PendingAsk): void {
    this.#counters[Counter.ASK_TIMEOUTS]!++;
    const { to, timeout } = pending;
    this.#fail(
      pending,
      new MillraceError('MILLRACE_ASK_TIMEOUT', `thread ${to} did not answer within ${timeout} ms`),
    );
  }

  #refusal(to: number, instance: number, bytes: Uint8Array, timeout: number): MillraceError | null {
    if (this.#closed !== null) return refused(this.#closed);
    if (!(timeout > 0 && timeout <= MAX_ASK_TIMEOUT)) {
      return new MillraceError(
        'MILLRACE_INVALID_ARGUMENT',
        `ask: 'timeout' must be a number from 1 to ${MAX_ASK_TIMEOUT} (milliseconds); got ${timeout}`,
      );
    }
    if (instance === 0) return peerGone(`thread ${to} is not there`);
    const isFull =
      this.#pending.size >= MAX_ASKS || this.#bytes + ASK_OVERHEAD + bytes.length > MAX_ASK_BYTES;
    return isFull ? refused(`${this.#pending.size} requests of this thread wait for answers already`) : null;
  }

  #match(from: number, record: Uint8Array): PendingAsk | undefined {
    if (record.length < REPLY_HEADER) return undefined;
    const pending = this.#pending.get(readId(record));
    return pending?.to === from ? pending : undefined;
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }

  #fail(pending: PendingAsk, error: MillraceError): void {
    if (!this.#remove(pending)) return;
    this.#counters[Counter.ASKS_FAILED]!++;
    pending.reject(error);
  }

  #remove(pending: PendingAsk): boolean {
    if (!this.#pending.delete(pending.id)) return false;
    this.#bytes -= pending.cost;
    this.#wheel.remove(pending);
    if (this.#pending.size === 0) {
      this.#onIdle?.();
      this.#onIdle = null;
    }
    return true;
  }
}

function refused(why: string): MillraceError {
  return new MillraceError('MILLRACE_ASK_REFUSED', `The request was not sent: ${why}`);
}

function peerGone(why: string): MillraceError {
  return new MillraceError('MILLRACE_PEER_GONE', `The request has no answer: ${why}`);
}

/** Why a request could not be sent. */
function unsent(status: SendStatus, to: number): MillraceError {
  if (status === SendStatus.GONE) return peerGone(`thread ${to} is not there`);
  if (status === SendStatus.TOO_BIG) return refused('it is longer than what may cross threads');
  return refused(`thread ${to} does not keep up, and no more may wait for it`);
}

function errorOf(status: number, from: number, body: Uint8Array): MillraceError {
  switch (status) {
    case AnswerStatus.FAILED: {
      // Two threads of one process; but what the handler said may hold what a peer sent.
      const message = printable(Buffer.from(body).toString(), MAX_MESSAGE);
      return new MillraceError('MILLRACE_ASK_FAILED', `thread ${from} failed at the request: ${message}`);
    }
    case AnswerStatus.UNKNOWN:
      return refused(`thread ${from} has no handler for its kind`);
    case AnswerStatus.BUSY:
      return refused(`too many requests are under way in thread ${from}`);
    default:
      return peerGone(`thread ${from} was replaced before it was done`);
  }
}

/** Characters of a handler's message that are shown. */
const MAX_MESSAGE = 300;
