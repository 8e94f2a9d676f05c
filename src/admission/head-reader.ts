import type { RequestParser } from '../http/request-parser.ts';
import { dated } from '../http/response-writer.ts';
import { Counter } from '../metrics/counter.ts';
import type { IoLoop } from '../net/io-loop.ts';
import { LINGER } from '../net/linger.ts';
import { httpDate, writeLatin1 } from '../net/native-ports.ts';
import type { Transport } from '../net/transport.ts';
import { refusalText } from './refusal-text.ts';

/** Parsers kept for reuse. */
const MAX_SPARE = 256;

/** A connection whose requests are read, as its reader sees it. */
export interface HeadConnection {
  readonly transport: Transport;
  /** Lent by the reader while a head is incomplete. */
  parser: RequestParser | null;
  /** Second at which a head, the next request, or the peer's FIN, is late. */
  deadline: number;
  /** Our FIN was sent: what comes is not looked at. */
  isLingering: boolean;
}

/**
 * HeadReader: how connections are read whose requests come, in the acceptor and in those that serve: the parsers of heads,
 * the time a head may take, the answer to one that cannot be served, and the end behind it.
 *
 *     head too late ─▶ 408 ┐
 *                  refused ─┴▶ FIN, the peer's FIN awaited for 5 s ─▶ closed
 */
export class HeadReader<Connection extends HeadConnection> {
  readonly #io: IoLoop;
  readonly #timeout: number;
  readonly #newParser: () => RequestParser;
  readonly #onLinger: (connection: Connection) => void;
  readonly #spare: RequestParser[] = [];

  /**
   * @param timeout seconds a head may take
   * @param onLinger called before the FIN is sent
   */
  constructor(
    io: IoLoop,
    timeout: number,
    newParser: () => RequestParser,
    onLinger: (connection: Connection) => void,
  ) {
    this.#io = io;
    this.#timeout = timeout;
    this.#newParser = newParser;
    this.#onLinger = onLinger;
  }

  /** Second at which a head is late that is awaited from now on. */
  get deadline(): number {
    return this.#io.timer.now + this.#timeout + 1;
  }

  /** The parser of the head that is under way. */
  parserOf(connection: Connection): RequestParser {
    return (connection.parser ??= this.take());
  }

  /** The head is read, or nobody waits for it. */
  release(connection: Connection): void {
    const { parser } = connection;
    if (parser === null) return;
    connection.parser = null;
    this.give(parser);
  }

  /** A parser for a head that is read at once, to be given back. */
  take(): RequestParser {
    return this.#spare.pop() ?? this.#newParser();
  }

  give(parser: RequestParser): void {
    parser.reset();
    if (this.#spare.length < MAX_SPARE) this.#spare.push(parser);
  }

  /** Its deadline has passed. Returns the second of the next visit, or 0 for none. */
  expire(connection: Connection): number {
    const { transport } = connection;
    if (connection.isLingering) {
      transport.destroy();
      return 0;
    }
    if (connection.parser === null) {
      // Not at once: a request that comes now would be answered with a reset.
      this.linger(connection);
    } else {
      this.#io.counters[Counter.TIMEOUTS]!++;
      this.refuse(connection, refusalText(408));
    }
    return transport.isClosed ? 0 : connection.deadline;
  }

  /** Sends the response, and FIN behind it. */
  refuse(connection: Connection, response: string): void {
    writeLatin1(connection.transport, dated(response, httpDate()));
    this.linger(connection);
  }

  /** Sends FIN and reads on without looking, so that the peer gets the response before a reset could eat it. */
  linger(connection: Connection): void {
    const { transport } = connection;
    this.#onLinger(connection);
    connection.isLingering = true;
    this.lingerOn(connection);
    if (transport.isClosed) return;
    this.#io.timer.schedule(transport, connection.deadline);
    transport.end();
  }

  /** The peer has its time to follow our FIN from now on. */
  lingerOn(connection: Connection): void {
    connection.deadline = this.#io.timer.now + LINGER + 1;
  }
}
