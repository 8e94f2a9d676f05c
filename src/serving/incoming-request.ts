import { MillraceError } from '../errors.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { OnFailure } from '../user-code.ts';
import { copyOf, type HeadSource } from './head-source.ts';

/** What is left of a request whose handler has returned. */
export interface KeptRequest {
  /** A copy of the head. */
  readonly bytes: Uint8Array;
  /** The request can be read for as long as it is kept; false: to the end of the turn. */
  readonly isLasting: boolean;
  /** The handler passes the request on after all. */
  yielded(): void;
}

class AnsweredRequest implements KeptRequest {
  readonly bytes: Uint8Array;
  readonly isLasting: boolean;

  constructor(bytes: Uint8Array, isLasting: boolean) {
    this.bytes = bytes;
    this.isLasting = isLasting;
  }

  yielded(): void {}
}

/**
 * IncomingRequest: the engine's side of one request, as one handler is given it. What its user holds points here. The
 * usual request reads the receive buffer, which the next socket overwrites; a copy is made of those whose handlers
 * returned without an answer.
 */
export class IncomingRequest {
  /** Values and names of the route's parameters. */
  readonly params: readonly string[];
  readonly names: readonly string[];
  /** What the user holds, where more than one handler is given it; null: none was. */
  face: object | null = null;
  /** The handler passed it on. */
  hasYielded = false;
  readonly #source: HeadSource;
  /** Null when the handler has returned, until it is read anew. */
  #head: RequestHead | null;
  #kept: KeptRequest | null = null;
  /** Without a copy: where in the receive buffer the head lies. */
  #start = 0;
  /** Of the turn, and of what the receive buffer held, when the handler returned. */
  #stamp = 0;

  constructor(
    source: HeadSource,
    head: RequestHead,
    params: readonly string[] = [],
    names: readonly string[] = [],
  ) {
    this.#source = source;
    this.#head = head;
    this.params = params;
    this.names = names;
  }

  /** @throws MillraceError MILLRACE_STALE_ACCESS when it is over */
  get head(): RequestHead {
    if (this.#head !== null) return this.#head;
    const kept = this.#kept;
    const head = readAgain(this.#source, kept, this.#start, this.#stamp);
    if (kept?.isLasting === true) this.#head = head;
    return head;
  }

  /** Told of failures of callbacks of the request's user. */
  get visitFailed(): OnFailure {
    return this.#source.visitFailed;
  }

  /** The handler hands it on to the next one, or does not after all. */
  yieldToNext(yields: boolean): void {
    this.hasYielded = yields;
    if (yields && this.#kept !== null) this.#kept.yielded();
  }

  /**
   * The handler returned, and nothing more is to come of it: the request lives to the end of its microtasks.
   *
   * @param isRead it may be read later, too: by an async `open`
   */
  release(isRead = false): void {
    const head = this.#head!;
    const source = this.#source;
    this.#stamp = source.stamp;
    if (head.bytes === source.received && !isRead) {
      this.#head = null;
      this.#start = head.headStart;
    } else {
      // The head came with the socket, had to wait, or came in pieces: nothing tells when such bytes are overwritten.
      this.keep(new AnsweredRequest(copyOf(head), isRead));
    }
  }

  /** The handler returned, and is to answer later: the request lives on from a copy of its head. */
  keep(kept: KeptRequest): void {
    this.#head = null;
    this.#kept = kept;
  }
}

/** Reads the head of a request whose handler has returned, at each access if it is over with the turn. */
function readAgain(source: HeadSource, kept: KeptRequest | null, start: number, stamp: number): RequestHead {
  if (kept?.isLasting === true || stamp === source.stamp) {
    return kept === null ? source.read(source.received, start) : source.read(kept.bytes);
  }
  throw new MillraceError(
    'MILLRACE_STALE_ACCESS',
    'uWS.HttpRequest must not be accessed after await or route handler return, when the handler sent the response ' +
      'or passed the request on. Copy what you need from it first.',
  );
}
