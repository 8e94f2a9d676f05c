import { StringCache } from '../http/latin1.ts';
import type { RequestHead } from '../http/request-head.ts';
import { ParseStatus, RequestParser } from '../http/request-parser.ts';
import { dated, errorResponse } from '../http/response-writer.ts';
import { ANY_METHOD, Router } from '../http/router.ts';
import { Counter } from '../net/counter.ts';
import { IoLoop } from '../net/io-loop.ts';
import { httpDate, latin1Port, writeLatin1 } from '../net/native-ports.ts';
import type { SocketAddress, SocketHandle, TcpHandle } from '../net/node-internals.ts';
import { HandoffSender } from '../net/socket-handoff.ts';
import { Transport, type TransportContext } from '../net/transport.ts';
import { isHandshake, isUpgradeRequest } from '../protocol/handshake.ts';
import type { ControlBlock } from '../ring/control-block.ts';
import { Admission } from './admission.ts';
import { Balancer } from './balancer.ts';
import type { AcceptorLimits, Balance, RouteEntry } from './control-message.ts';
import { HandoffKind, handoffPrefix } from './handoff-message.ts';
import { NO_ADDRESS } from './shard.ts';
import { refuseUpgrade } from './upgrade.ts';

/** Seconds a peer that was refused has to follow our FIN. */
const LINGER = 5;

/** Connections beyond `maxConnections` that are still told why; more are cut off. */
export const REFUSING = 64;

/** WebSocket routes, which have the number of their place between threads. */
interface RouteTable {
  /** Tells it from others. */
  readonly signature: string;
  readonly routes: readonly RouteEntry[];
  readonly router: Router<number>;
}

/** A connection between accept and handoff. */
class Pending {
  /** Lent while the head is incomplete. */
  parser: RequestParser | null = null;
  deadline: number;
  isLingering = false;
  /** Row of the address table; counted once the socket is handed over. */
  address = NO_ADDRESS;

  constructor(deadline: number) {
    this.deadline = deadline;
  }
}

/**
 * Acceptor: reads request heads, refuses bad WebSocket handshakes and passes each socket, with the head and whatever
 * bytes followed, to a shard.
 */
export class Acceptor implements TransportContext {
  readonly #io: IoLoop;
  readonly #limits: AcceptorLimits;
  readonly #isTls: boolean;
  readonly #balancer: Balancer;
  readonly #admission: Admission;
  readonly #counters: Float64Array;
  readonly #senders: (HandoffSender | null)[];
  readonly #sockets = new Set<Transport>();
  readonly #parsers: RequestParser[] = [];
  readonly #strings = new StringCache(latin1Port);
  /** The routes of each shard. */
  readonly #tables: (RouteTable | null)[];
  readonly #isAvailable = (shard: number): boolean => {
    const sender = this.#senders[shard];
    return sender !== null && sender !== undefined && !sender.isFull;
  };

  constructor(control: ControlBlock, limits: AcceptorLimits, balance: Balance, isTls = false) {
    this.#limits = limits;
    this.#isTls = isTls;
    this.#counters = control.counters(control.shards);
    this.#io = new IoLoop(this.#counters);
    this.#balancer = new Balancer(balance, control);
    this.#admission = new Admission(control, limits);
    this.#senders = new Array<HandoffSender | null>(control.shards).fill(null);
    this.#tables = new Array<RouteTable | null>(control.shards).fill(null);
  }

  /** The shard takes connections through the channel with this end. `onLost`: it broke. */
  shardUp(index: number, fd: number, routes: readonly RouteEntry[], onLost: () => void): void {
    this.shardDown(index);
    this.#senders[index] = new HandoffSender(fd, () => {
      this.#senders[index] = null;
      onLost();
    });
    this.#tables[index] = this.#tableOf(routes);
  }

  /** The shard is gone. */
  shardDown(index: number): void {
    this.#senders[index]?.close();
    this.#senders[index] = null;
  }

  /** The shard is to end: it gets what was sent to it, and no more. */
  shardRetires(index: number): void {
    this.#senders[index]?.finish();
    this.#senders[index] = null;
  }

  /** All shards are to end. */
  stop(): void {
    for (let i = 0; i < this.#senders.length; i++) this.shardRetires(i);
  }

  accept(client: TcpHandle): void {
    if (this.#isTls) {
      this.#passOn(client);
      return;
    }
    const { maxConnections } = this.#limits;
    const total = this.#sockets.size + this.#admission.total;
    if (maxConnections !== 0 && total >= maxConnections + REFUSING) {
      this.#counters[Counter.OVER_LIMIT]!++;
      client.close();
      return;
    }
    const { timer } = this.#io;
    const transport = new Transport(this.#io, client, this, null);
    const pending = new Pending(timer.now + this.#limits.handshakeTimeout + 1);
    transport.owner = pending;
    this.#sockets.add(transport);
    timer.schedule(transport, pending.deadline);
    transport.startReading();
  }

  /** Passes a connection on unread: TLS cannot change threads. Who cannot be taken cannot be told why. */
  #passOn(client: TcpHandle): void {
    const address = this.#admission.countsAddresses ? this.#rowOf(client) : NO_ADDRESS;
    const refusal = this.#admission.refusal(address);
    const shard =
      refusal === 0 ? this.#balancer.choose(this.#isAvailable, null, () => addressOf(client)) : -1;
    if (refusal !== 0) this.#counters[Counter.OVER_LIMIT]!++;
    if (shard < 0) client.close();
    else this.#send(client, shard, handoffPrefix(HandoffKind.TLS, 0, address), address);
  }

  // Events of the transport.

  onChunk(transport: Transport, bytes: Uint8Array, start: number, end: number): void {
    const pending = transport.owner as Pending;
    if (pending.isLingering) return;
    const parser = (pending.parser ??= this.#parsers.pop() ?? this.#newParser());
    const status = parser.feed(bytes, start, end);
    if (status === ParseStatus.INCOMPLETE) return;
    if (status === ParseStatus.COMPLETE) this.#request(transport, parser.head, bytes, parser.consumed, end);
    else this.#refuse(transport, errorResponse(status));
    this.#returnParser(pending);
  }

  onWritable(_transport: Transport): void {}

  onEnd(transport: Transport): void {
    if (!(transport.owner as Pending).isLingering) transport.destroy();
  }

  onClosed(transport: Transport, _error: number): void {
    this.#returnParser(transport.owner as Pending);
    this.#sockets.delete(transport);
  }

  onTimer(transport: Transport, now: number): number {
    const pending = transport.owner as Pending;
    if (now < pending.deadline) return pending.deadline;
    if (!pending.isLingering && pending.parser !== null) {
      this.#counters[Counter.TIMEOUTS]!++;
      this.#refuse(transport, errorResponse(408));
      return pending.deadline;
    }
    transport.destroy();
    return 0;
  }

  // Requests.

  #request(transport: Transport, head: RequestHead, bytes: Uint8Array, rest: number, end: number): void {
    this.#counters[Counter.REQUESTS]!++;
    const pending = transport.owner as Pending;
    if (this.#admission.countsAddresses) pending.address = this.#rowOf(transport.handle);
    const refusal = this.#admission.refusal(pending.address);
    if (refusal !== 0) {
      this.#counters[Counter.OVER_LIMIT]!++;
      this.#refuse(transport, errorResponse(refusal));
      return;
    }
    const shard = this.#balancer.choose(this.#isAvailable, head, () => transport.peerName().address);
    if (shard < 0) {
      this.#refuse(transport, errorResponse(503, [['Retry-After', '1']]));
      return;
    }
    const table = this.#tables[shard]!;
    const route = isUpgradeRequest(head) && isHandshake(head) ? this.#routeOf(table, head) : -1;
    if (route < 0 || table.routes[route]!.hasUpgrade) {
      const message =
        handoffPrefix(HandoffKind.HTTP, 0, pending.address) + requestText(head, bytes, rest, end);
      this.#handOff(transport, shard, message);
      return;
    }
    this.#handshake(transport, head, shard, route, requestText(head, bytes, rest, end));
  }

  /** A good handshake is the shard's to answer, see docs/architecture.md; a bad one costs it nothing. */
  #handshake(transport: Transport, head: RequestHead, shard: number, route: number, request: string): void {
    const refusal = refuseUpgrade(head, this.#tables[shard]!.routes[route]!.rules);
    if (refusal !== undefined) {
      this.#refuse(transport, refusal);
      return;
    }
    const { address } = transport.owner as Pending;
    this.#handOff(transport, shard, handoffPrefix(HandoffKind.WEBSOCKET, route, address) + request);
  }

  /** Gives the socket away, to another shard when the chosen one is gone. */
  #handOff(transport: Transport, shard: number, message: string): void {
    const { address } = transport.owner as Pending;
    const handle = transport.detach();
    this.#returnParser(transport.owner as Pending);
    this.#sockets.delete(transport);
    this.#send(handle, shard, message, address);
  }

  #send(handle: TcpHandle, shard: number, message: string, address: number): void {
    const table = this.#tables[shard];
    // The message has a number of the chosen shard's table.
    const isLike = (other: number): boolean => this.#isAvailable(other) && this.#tables[other] === table;
    for (let at = shard; at >= 0; at = this.#balancer.choose(isLike, null, () => '')) {
      this.#admission.add(at, address);
      if (this.#senders[at]?.send(message, handle) === true) return;
      this.#counters[Counter.HANDOFF_FAILED]!++;
      this.#admission.takeBack(at, address);
    }
    handle.close();
  }

  /** The row that the peer's connections are counted in. */
  #rowOf(handle: SocketHandle): number {
    return this.#admission.rowOf(addressOf(handle));
  }

  /** Shards of one app module have one table; while a server is reloaded there are two. */
  #tableOf(routes: readonly RouteEntry[]): RouteTable {
    const signature = JSON.stringify(routes);
    const same = this.#tables.find((table) => table?.signature === signature);
    if (same !== undefined && same !== null) return same;
    const router = new Router<number>();
    routes.forEach((route, i) => {
      router.add(ANY_METHOD, route.pattern, i);
    });
    return { signature, routes, router };
  }

  #routeOf({ router }: RouteTable, head: RequestHead): number {
    let found = -1;
    router.match(ANY_METHOD, head.path, (route) => {
      found = route;
      return true;
    });
    return found;
  }

  #refuse(transport: Transport, response: string): void {
    this.#counters[Counter.REFUSED]!++;
    const pending = transport.owner as Pending;
    const { timer } = this.#io;
    pending.isLingering = true;
    pending.deadline = timer.now + LINGER + 1;
    timer.schedule(transport, pending.deadline);
    writeLatin1(transport, dated(response, httpDate()));
    transport.end();
  }

  #newParser(): RequestParser {
    const { maxHeadSize, maxHeaders } = this.#limits;
    return new RequestParser({ maxHeadSize, maxHeaders, strings: this.#strings });
  }

  #returnParser(pending: Pending): void {
    const { parser } = pending;
    if (parser === null) return;
    pending.parser = null;
    parser.reset();
    if (this.#parsers.length < 1024) this.#parsers.push(parser);
  }
}

function addressOf(handle: SocketHandle): string {
  const name: SocketAddress = {};
  return handle.getpeername(name) === 0 ? (name.address ?? '') : '';
}

/** The request as it came and all bytes behind it, a character each. */
function requestText(head: RequestHead, bytes: Uint8Array, rest: number, end: number): string {
  const text = latin1Port.latin1(head.bytes, head.headStart, head.headEnd);
  return rest < end ? text + latin1Port.latin1(bytes, rest, end) : text;
}
