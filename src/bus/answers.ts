import { messageOf } from '../error-report.ts';
import { Counter } from '../metrics/counter.ts';
import { callUser, THREW, type UserCode, userCode } from '../user-code.ts';
import { AnswerStatus, REQUEST_HEADER, readId, writeReply } from './ask-record.ts';

/** Requests that may be under way in one thread, their handlers not done yet. */
const MAX_ANSWERS = 65_536;

/** Bytes of a handler's message that are sent. */
const MAX_MESSAGE_BYTES = 1024;

/**
 * Answers the requests of one kind. `request` is the handler's own. What it throws, or its promise rejects with, is told
 * to the thread that asked.
 */
export type AnswerHandler = (request: Uint8Array, from: number) => Uint8Array | Promise<Uint8Array>;

/** Writes a reply to a thread of this instance. Returns false when it was dropped. */
export type SendReply = (to: number, record: Uint8Array, instance: number) => boolean;

/** A request whose handler has returned a promise. */
interface UnderWay {
  readonly from: number;
  readonly id: number;
  readonly instance: number;
}

/** Answers: the requests of others to one thread, from when they arrive until they are answered. */
export class Answers {
  readonly #send: SendReply;
  readonly #counters: Float64Array;
  readonly #handlers = new Map<number, UserCode<AnswerHandler>>();
  readonly #underWay = new Set<UnderWay>();
  /** Called when nothing is under way any more. */
  #onIdle: (() => void) | null = null;

  /** @param counters of this thread */
  constructor(send: SendReply, counters: Float64Array) {
    this.#send = send;
    this.#counters = counters;
  }

  /** Requests whose handlers are not done. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** Has a handler answer the requests of one kind. Returns false when another one does. */
  handle(kind: number, handler: AnswerHandler): boolean {
    if (this.#handlers.has(kind)) return false;
    this.#handlers.set(kind, userCode(handler));
    return true;
  }

  /** A request arrived; its bytes are valid during the call. */
  onRequest(record: Uint8Array, from: number, instance: number): void {
    if (record.length < REQUEST_HEADER) return;
    const asked: UnderWay = { from, id: readId(record), instance };
    const handler = this.#handlers.get(record[4]!);
    if (handler === undefined) {
      this.#refuse(asked, AnswerStatus.UNKNOWN);
      return;
    }
    if (this.#underWay.size >= MAX_ANSWERS) {
      this.#refuse(asked, AnswerStatus.BUSY);
      return;
    }
    // A copy: the record is ring memory, and a handler may go on when this call is over.
    const request = new Uint8Array(record.subarray(REQUEST_HEADER));
    this.#underWay.add(asked);
    const failed = (error: unknown): void => {
      this.#fail(asked, error);
    };
    const answer = callUser(handler, failed, request, from);
    if (answer === THREW) return;
    if (answer instanceof Uint8Array) this.#done(asked, AnswerStatus.DONE, answer);
    else void this.#whenSettled(asked, answer);
  }

  /** Resolves when nothing is under way any more. */
  idle(): Promise<void> {
    if (this.#underWay.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Tells those whose requests are under way that they are not answered any more. */
  abandon(): void {
    for (const asked of this.#underWay) this.#done(asked, AnswerStatus.UNFINISHED, NO_BYTES);
  }

  async #whenSettled(asked: UnderWay, answer: unknown): Promise<void> {
    try {
      const bytes: unknown = await answer;
      if (bytes instanceof Uint8Array) this.#done(asked, AnswerStatus.DONE, bytes);
      else this.#fail(asked, new TypeError('the handler gave no Uint8Array'));
    } catch (error) {
      this.#fail(asked, error);
    }
  }

  #fail(asked: UnderWay, error: unknown): void {
    if (!this.#underWay.has(asked)) return;
    this.#counters[Counter.ANSWERS_FAILED]!++;
    const message = Buffer.from(messageOf(error)).subarray(0, MAX_MESSAGE_BYTES);
    this.#done(asked, AnswerStatus.FAILED, message);
  }

  #refuse(asked: UnderWay, status: AnswerStatus): void {
    this.#counters[Counter.ANSWERS_REFUSED]!++;
    this.#reply(asked, status, NO_BYTES);
  }

  #done(asked: UnderWay, status: AnswerStatus, bytes: Uint8Array): void {
    if (!this.#underWay.delete(asked)) return;
    this.#reply(asked, status, bytes);
    if (this.#underWay.size > 0) return;
    this.#onIdle?.();
    this.#onIdle = null;
  }

  #reply({ from, id, instance }: UnderWay, status: AnswerStatus, bytes: Uint8Array): void {
    this.#counters[Counter.ANSWERS]!++;
    if (!this.#send(from, writeReply(id, status, bytes), instance))
      this.#counters[Counter.ANSWERS_DROPPED]!++;
  }
}

const NO_BYTES = new Uint8Array(0);
