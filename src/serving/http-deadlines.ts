import type { HeadReader } from '../admission/head-reader.ts';
import { Counter } from '../metrics/counter.ts';
import { MIN_HEADWAY, WriteHeadway } from '../net/headway.ts';
import type { IoLoop } from '../net/io-loop.ts';
import type { ServerLimits } from '../options/server-limits.ts';
import type { HttpConnection } from './http-connection.ts';
import type { RequestBodies } from './request-bodies.ts';

/** Seconds between two looks at a connection whose request is under way. */
const WATCH = 5;

/**
 * HttpDeadlines: what a peer has to do in time: send a head, the body, the next request, follow our FIN, and take what waits
 * for it.
 */
export class HttpDeadlines {
  readonly #io: IoLoop;
  readonly #limits: ServerLimits;
  readonly #heads: HeadReader<HttpConnection>;
  readonly #bodies: RequestBodies;

  constructor(io: IoLoop, limits: ServerLimits, heads: HeadReader<HttpConnection>, bodies: RequestBodies) {
    this.#io = io;
    this.#limits = limits;
    this.#heads = heads;
    this.#bodies = bodies;
  }

  /** Second at which the next request is late that is awaited from now on. */
  get nextRequest(): number {
    return this.#io.timer.now + this.#limits.keepAliveTimeout + 1;
  }

  /** Has the timer look at the connection's deadline. */
  schedule({ transport, deadline }: HttpConnection): void {
    this.#io.timer.schedule(transport, this.#visitAt(deadline));
  }

  /** Ends what is late. Returns the second of the next visit, or 0 for none. */
  visit(connection: HttpConnection, now: number): number {
    const { transport } = connection;
    if (isStalled(connection, now, this.#limits.writeTimeout)) {
      this.#io.counters[Counter.TIMEOUTS]!++;
      transport.destroy();
      return 0;
    }
    if (isBodyLate(connection, now, this.#limits.bodyTimeout)) this.#bodies.fail(connection, 408);
    if (transport.isClosed) return 0;
    const isWaiting = connection.response !== null || connection.decoder !== null || transport.blocked;
    // The time a handler takes to answer is its own.
    if (isWaiting && !(connection.isLingering && !transport.blocked)) return this.#visitAt(now + WATCH);
    if (now < connection.deadline) return this.#visitAt(connection.deadline);
    return this.#heads.expire(connection);
  }

  /** Deadlines are set without a word to the timer, which so must look in time for the earliest that can be set. */
  #visitAt(second: number): number {
    return Math.min(second, this.nextRequest);
  }
}

/** Whether bytes of the body can be taken in: somebody reads them, or nobody ever will. */
export function wantsBody({ response, isPaused, awaitsMicrotasks }: HttpConnection): boolean {
  return response === null || (!isPaused && !awaitsMicrotasks && response.reader !== null);
}

/**
 * Whether the peer takes too little of what waits for it.
 *
 * @param writeTimeout seconds; 0: never
 */
function isStalled(connection: HttpConnection, now: number, writeTimeout: number): boolean {
  const { transport } = connection;
  if (writeTimeout === 0 || (!transport.blocked && connection.headway === null)) return false;
  connection.headway ??= new WriteHeadway();
  return connection.headway.look(transport, now) > writeTimeout;
}

/** Whether a body that is awaited makes no headway; single bytes do not renew its time. */
function isBodyLate(connection: HttpConnection, now: number, bodyTimeout: number): boolean {
  const { decoder } = connection;
  if (decoder === null || connection.isLingering) return false;
  const { received } = decoder;
  const isProgress = received - connection.bodyReceived >= MIN_HEADWAY;
  if (!isProgress && wantsBody(connection)) return now - connection.bodySince > bodyTimeout;
  connection.bodySince = now;
  connection.bodyReceived = received;
  return false;
}
