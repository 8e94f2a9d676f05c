import { refusalText } from '../admission/refusal-text.ts';
import { BodyDecoder, BodyStatus } from '../http/body-decoder.ts';
import type { RequestHead } from '../http/request-head.ts';
import { CONTINUE } from '../http/response-writer.ts';
import { Counter } from '../metrics/counter.ts';
import { writeLatin1 } from '../net/native-ports.ts';
import type { ServerLimits } from '../options/server-limits.ts';
import type { Shard } from '../shard/shard.ts';
import type { HandlerErrors } from './handler-errors.ts';
import { type HttpConnection, MAX_FORGOTTEN } from './http-connection.ts';
import type { Refuser } from './refuser.ts';

/** Decoders kept for reuse. */
const MAX_SPARE = 256;

const NO_BYTES = new Uint8Array(0);

/** What becomes of a connection whose body cannot be read to its end. */
export interface BodyOwner extends Refuser {
  /** Sends FIN, and looks at nothing that comes any more. */
  linger(connection: HttpConnection): void;
}

/**
 * RequestBodies: the bodies of requests, from bytes to the reader of each. What comes for a response that was sent
 * already is forgotten, up to MAX_FORGOTTEN bytes.
 */
export class RequestBodies {
  readonly #shard: Shard;
  readonly #limits: ServerLimits;
  readonly #errors: HandlerErrors;
  readonly #owner: BodyOwner;
  readonly #decoders: BodyDecoder[] = [];

  constructor(shard: Shard, limits: ServerLimits, errors: HandlerErrors, owner: BodyOwner) {
    this.#shard = shard;
    this.#limits = limits;
    this.#errors = errors;
    this.#owner = owner;
  }

  /** The head announces a body. Returns false when it is refused. */
  start(connection: HttpConnection, head: RequestHead): boolean {
    const decoder = this.#decoders.pop() ?? this.#newDecoder();
    const status = decoder.start(head.contentLength, head.chunked);
    if (status !== 0) {
      this.#decoders.push(decoder);
      this.#shard.count(Counter.REFUSED);
      this.#owner.refuse(connection, refusalText(status, head.method === 'HEAD'));
      return false;
    }
    connection.decoder = decoder;
    connection.bodySince = this.#shard.io.timer.now;
    connection.bodyReceived = 0;
    if (head.expectContinue) writeLatin1(connection.transport, CONTINUE);
    return true;
  }

  /** Returns the position behind the bytes of the body that were taken in. */
  take(
    connection: HttpConnection,
    decoder: BodyDecoder,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): number {
    const status = decoder.feed(bytes, start, end);
    const { dataStart, dataEnd, consumed } = decoder;
    if (status === BodyStatus.INCOMPLETE) return consumed;
    if (status >= 400) {
      this.fail(connection, status);
      return end;
    }
    const isLast = status === BodyStatus.COMPLETE;
    const remaining = isLast ? 0 : decoder.remaining;
    if (isLast) this.drop(connection);
    const { response } = connection;
    if (response !== null) {
      const reader = response.reader!;
      if (isLast) response.dropReader();
      this.#errors.call(connection, response, (failed) => {
        reader.take(bytes, dataStart, dataEnd, isLast, remaining, failed);
      });
    } else if (!isLast && decoder.received - connection.forgottenFrom > MAX_FORGOTTEN) {
      this.#owner.linger(connection);
    }
    return consumed;
  }

  /** A request without a body: its reader gets an empty last piece, as in uWebSockets.js. */
  giveEmpty(connection: HttpConnection): void {
    const { response, decoder } = connection;
    if (response === null || decoder !== null || !connection.isHttp) return;
    const reader = response.reader;
    if (reader === null) return;
    response.dropReader();
    this.#errors.call(connection, response, (failed) => {
      reader.take(NO_BYTES, 0, 0, true, 0, failed);
    });
  }

  /** The body is malformed, too long (`status`) or late (408). */
  fail(connection: HttpConnection, status: number): void {
    const { response } = connection;
    this.#shard.count(status === 408 ? Counter.TIMEOUTS : Counter.REFUSED);
    this.drop(connection);
    if (response === null) {
      this.#owner.linger(connection);
      return;
    }
    connection.response = null;
    this.#errors.refuse(connection, response, status);
  }

  /** Reads no more of it. */
  drop(connection: HttpConnection): void {
    const { decoder } = connection;
    if (decoder === null) return;
    connection.decoder = null;
    if (this.#decoders.length < MAX_SPARE) this.#decoders.push(decoder);
  }

  #newDecoder(): BodyDecoder {
    const { maxBodySize } = this.#limits;
    return new BodyDecoder(maxBodySize === 0 ? {} : { maxBodySize });
  }
}
