import type { Gate } from '../admission/gate.ts';
import { type HeadConnection, HeadReader } from '../admission/head-reader.ts';
import { refusalText } from '../admission/refusal-text.ts';
import type { Refusal } from '../admission/refusing.ts';
import { WaitingRoom } from '../admission/waiting-room.ts';
import { StringCache } from '../http/latin1.ts';
import type { RequestHead } from '../http/request-head.ts';
import { ParseStatus, RequestParser } from '../http/request-parser.ts';
import { errorResponse, headOf } from '../http/response-writer.ts';
import { Counter } from '../metrics/counter.ts';
import type { IoLoop } from '../net/io-loop.ts';
import { latin1Port } from '../net/native-ports.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import { Transport, type TransportContext } from '../net/transport.ts';
import type { ServerLimits } from '../options/server-limits.ts';

/** Limits of heads. */
type OpeningLimits = Pick<ServerLimits, 'maxHeadSize' | 'maxHeaders' | 'handshakeTimeout'>;

/** A connection between accept and handoff. */
export class Opening implements HeadConnection {
  readonly transport: Transport<Opening>;
  parser: RequestParser | null = null;
  deadline: number;
  isLingering = false;
  /** Row of the address table. */
  readonly row: number;
  /** What the request is answered, because the connection is one too many; null: it is not. */
  readonly refusal: Refusal | null;

  constructor(transport: Transport<Opening>, deadline: number, row: number, refusal: Refusal | null) {
    this.transport = transport;
    this.deadline = deadline;
    this.row = row;
    this.refusal = refusal;
  }
}

/** What is done with the requests of openings. */
export interface OpeningServer {
  /** The head is complete; `bytes[rest, end)` came behind it. */
  onRequest(opening: Opening, head: RequestHead, bytes: Uint8Array, rest: number, end: number): void;
  /** The opening waits for a shard no more. Returns whether it did. */
  dropHeld(opening: Opening): boolean;
}

/**
 * Openings: the connections whose heads are read in the acceptor, until they are handed over, or refused and closed.
 *
 *     head ─▶ request ─▶ handed over
 *      │        └──────▶ refused ┐
 *      └──────▶ too late: 408 ───┴▶ lingering ─▶ closed
 */
export class Openings implements TransportContext<Opening> {
  readonly #io: IoLoop;
  readonly #counters: Float64Array;
  readonly #server: OpeningServer;
  readonly #gate: Gate;
  readonly #heads: HeadReader<Opening>;
  readonly #all = new Set<Opening>();
  /** The openings whose head is not complete. */
  readonly #waiting = new WaitingRoom();
  /** How many of them were refused, or said nothing, and are to follow our FIN. */
  #lingering = 0;
  /** Told when one of them is gone, or lingers. */
  #onFewer: () => void = ignore;

  constructor(io: IoLoop, limits: OpeningLimits, gate: Gate, server: OpeningServer) {
    const { maxHeadSize, maxHeaders, handshakeTimeout } = limits;
    const strings = new StringCache(latin1Port);
    this.#io = io;
    this.#counters = io.counters;
    this.#server = server;
    this.#gate = gate;
    this.#heads = new HeadReader(
      io,
      handshakeTimeout,
      () => new RequestParser({ maxHeadSize, maxHeaders, strings }),
      ({ transport }) => {
        this.#waiting.delete(transport);
        this.#lingering++;
        this.#onFewer();
      },
    );
  }

  get size(): number {
    return this.#all.size;
  }

  /** Ends the oldest connection whose head is not complete. Returns false when there is none. */
  evict(): boolean {
    return this.#waiting.evict();
  }

  /** Reads the head of a connection. */
  read(client: TcpHandle, row: number, refusal: Refusal | null): void {
    const transport = new Transport<Opening>(this.#io, client, this, null);
    const opening = new Opening(transport, this.#heads.deadline, row, refusal);
    transport.owner = opening;
    this.#all.add(opening);
    this.#waiting.add(transport);
    this.#io.timer.schedule(transport, opening.deadline);
    transport.startReading();
  }

  /** Reads a head again, and gives it to the server, with what came behind it. */
  readAgain(opening: Opening, bytes: Uint8Array, use: (head: RequestHead, rest: number) => void): void {
    const parser = this.#heads.parserOf(opening);
    parser.feed(bytes, 0, bytes.length);
    use(parser.head, parser.consumed);
    this.#heads.release(opening);
  }

  /** The head is complete: the opening gives way to no other any more. */
  served(opening: Opening): void {
    this.#waiting.delete(opening.transport);
  }

  /** Gives the socket away. */
  detach(opening: Opening): TcpHandle {
    const handle = opening.transport.detach();
    this.#forget(opening);
    return handle;
  }

  /**
   * Answers, and closes behind the answer.
   *
   * @param head of the request that is refused; null: it could not be read, or is not complete
   */
  refuse(opening: Opening, response: string, head: RequestHead | null = null): void {
    this.#counters[Counter.REFUSED]!++;
    this.#heads.refuse(opening, head?.method === 'HEAD' ? headOf(response) : response);
  }

  /** Resolves when all that are left are to follow our FIN. */
  untilLingering(): Promise<void> {
    return this.#untilFew(() => this.#lingering);
  }

  /** Resolves when none is left. */
  untilNone(): Promise<void> {
    return this.#untilFew(() => 0);
  }

  /** Resolves when no more are left than that. */
  #untilFew(enough: () => number): Promise<void> {
    return new Promise((resolve) => {
      this.#onFewer = (): void => {
        if (this.#all.size <= enough()) resolve();
      };
      this.#onFewer();
    });
  }

  /** There was time to send a head. Connections that have begun one are told why it is not answered. */
  turnAwayAll(): void {
    for (const opening of this.#all) {
      if (opening.isLingering) continue;
      if (opening.parser !== null) this.refuse(opening, refusalText(503));
      else this.#heads.linger(opening);
    }
  }

  // Events of the transport.

  onChunk({ owner: opening }: Transport<Opening>, bytes: Uint8Array, start: number, end: number): void {
    if (opening.isLingering) return;
    const parser = this.#heads.parserOf(opening);
    const status = parser.feed(bytes, start, end);
    if (status === ParseStatus.INCOMPLETE) return;
    if (status === ParseStatus.COMPLETE) {
      this.#counters[Counter.REQUESTS]!++;
      this.#server.onRequest(opening, parser.head, bytes, parser.consumed, end);
    } else {
      this.refuse(opening, errorResponse(status));
    }
    this.#heads.release(opening);
  }

  onWritable(_transport: Transport<Opening>): void {}

  onEnd(transport: Transport<Opening>): void {
    if (!transport.owner.isLingering) transport.destroy();
  }

  onClosed({ owner: opening }: Transport<Opening>, _error: number): void {
    this.#forget(opening);
    this.#gate.leave(opening.row);
    if (opening.refusal !== null) this.#gate.giveBack(opening.refusal);
  }

  onTimer({ owner: opening }: Transport<Opening>, now: number): number {
    if (now < opening.deadline) return opening.deadline;
    if (!this.#server.dropHeld(opening)) return this.#heads.expire(opening);
    this.refuse(opening, refusalText(503));
    return opening.deadline;
  }

  /** The connection is open here no more. */
  #forget(opening: Opening): void {
    this.#heads.release(opening);
    this.#server.dropHeld(opening);
    if (opening.isLingering) this.#lingering--;
    this.#all.delete(opening);
    this.#waiting.delete(opening.transport);
    this.#onFewer();
  }
}

function ignore(): void {}
