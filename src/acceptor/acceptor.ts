import { NO_ADDRESS } from '../admission/address-table.ts';
import { Admission, OVER_LIMIT } from '../admission/admission.ts';
import { REFUSING, Refusing } from '../admission/refusing.ts';
import { WaitingRoom } from '../admission/waiting-room.ts';
import { AllowedHosts } from '../http/allowed-hosts.ts';
import { StringCache } from '../http/latin1.ts';
import type { RequestHead } from '../http/request-head.ts';
import { ParseStatus, RequestParser } from '../http/request-parser.ts';
import { dated, errorResponse, headOf } from '../http/response-writer.ts';
import { ANY_METHOD, Router } from '../http/router.ts';
import type { ControlBlock } from '../metrics/control-block.ts';
import { Counter } from '../metrics/counter.ts';
import { timeStamp } from '../metrics/monotonic-time.ts';
import { IoLoop } from '../net/io-loop.ts';
import { httpDate, latin1Port, writeLatin1 } from '../net/native-ports.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import { peerAddress } from '../net/peer-name.ts';
import { Transport, type TransportContext } from '../net/transport.ts';
import { readWaiting } from '../net/turns.ts';
import { isHandshake, isUpgradeRequest } from '../protocol/handshake.ts';
import { type AcceptorData, HandoffMode, type RouteEntry } from '../shard/control-message.ts';
import type { DrainTerms } from '../shard/drain.ts';
import { addressIn, HandoffKind, handoffPrefix } from '../shard/handoff-message.ts';
import { within } from '../shard/timeout.ts';
import { FOREIGN_HOST, refuseUpgrade } from '../shard/upgrade.ts';
import { Balancer } from './balancer.ts';
import { HeldConnections } from './held-connections.ts';
import { ShardIntakes } from './intake.ts';

/** Seconds a peer that was refused has to follow our FIN. */
const LINGER = 5;

/** Sockets that may wait in a port for a shard that does not take them. */
const MAX_IN_PORT = 1024;

/** The way of sockets to a shard. */
export interface SocketSender {
  /** The shard does not keep up; send elsewhere. */
  readonly isFull: boolean;
  /** Messages that the system has not taken. */
  readonly pending: number;
  /** Gets back what was not sent when the way is lost, cancelled or closed. */
  onUnsent: ((message: string, handle: TcpHandle) => void) | null;
  /** Sends a socket with a message, one byte a character. On failure it stays open, and the caller's. */
  send(message: string, handle: TcpHandle): boolean;
  /** Gives up what is pending: the way is lost. */
  cancel(): void;
  /** What was sent arrives; nothing more is sent. */
  finish(): void;
  close(): void;
}

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
  /** Row of the address table. */
  readonly address: number;
  /** Status of the answer when it is one too many, and is not counted; else 0. */
  readonly refusal: number;

  constructor(deadline: number, address: number, refusal: number) {
    this.deadline = deadline;
    this.address = address;
    this.refusal = refusal;
  }
}

/**
 * Acceptor: counts each connection from its first moment, reads request heads, refuses bad WebSocket handshakes and passes
 * each socket, with the head and whatever bytes followed, to a shard. Where the shards must read them (TLS, or sockets that
 * go by postMessage), it passes connections on unread.
 *
 *     accept ─▶ too many of its address ─▶ 429 behind its head, or cut off
 *            ├▶ unread ─▶ shard
 *            └▶ head ─▶ refused, 408, lingering
 *                    └▶ shard
 */
export class Acceptor implements TransportContext<Pending> {
  readonly #io: IoLoop;
  readonly #limits: AcceptorData['limits'];
  readonly #isTls: boolean;
  /** A proxy in front ends TLS. */
  readonly #isBehindTls: boolean;
  /** Null: requests may have any. */
  readonly #hosts: AllowedHosts | null;
  /** Shards read requests themselves. */
  readonly #isUnread: boolean;
  /** Sockets go by postMessage. */
  readonly #isByPort: boolean;
  readonly #balancer: Balancer;
  readonly #admission: Admission;
  readonly #counters: Float64Array;
  readonly #senders: (SocketSender | null)[];
  readonly #sockets = new Set<Transport<Pending>>();
  /** Those of them whose head is not complete. */
  readonly #heads = new WaitingRoom();
  readonly #refusing = new Refusing();
  /** Shards that are being replaced, and whom they are waited for by. */
  readonly #awaited = new Set<number>();
  readonly #held = new HeldConnections<Pending>();
  /** How many of the sockets were refused, or said nothing, and are to follow our FIN. */
  #lingering = 0;
  /** Told when one of them is gone, or lingers. */
  #onFewer: () => void = ignore;
  readonly #parsers: RequestParser[] = [];
  readonly #strings = new StringCache(latin1Port);
  /** The routes of each shard. */
  readonly #tables: (RouteTable | null)[];
  readonly #intakes: ShardIntakes;
  /** The shard has room for another. */
  readonly #hasRoom = (shard: number): boolean => {
    const sender = this.#senders[shard];
    if (sender === null || sender === undefined || sender.isFull) return false;
    // A port does not say that it is full.
    return !this.#isByPort || this.#intakes.waiting(shard) < MAX_IN_PORT;
  };
  /** It takes them, too, as far as is known. */
  readonly #isAvailable = (shard: number): boolean => this.#hasRoom(shard) && !this.#intakes.isStalled(shard);

  /** @param onStalled a shard does not take what it is sent, or takes it again */
  constructor(
    data: AcceptorData,
    control: ControlBlock,
    onStalled: (shard: number, isStalled: boolean) => void,
  ) {
    this.#intakes = new ShardIntakes(control, onStalled, (shard) => {
      this.#relieve(shard);
    });
    this.#limits = data.limits;
    this.#isTls = data.isTls;
    const { allowedHosts, behindTls } = data.hosts;
    this.#isBehindTls = behindTls;
    this.#hosts = allowedHosts === null ? null : new AllowedHosts(allowedHosts);
    this.#isByPort = data.mode === HandoffMode.TRANSFER;
    this.#isUnread = data.isTls || this.#isByPort;
    this.#counters = control.acceptor.counters;
    this.#io = new IoLoop(this.#counters);
    this.#balancer = new Balancer(data.balance, control, data.hashKey);
    this.#admission = new Admission(control, data.limits, data.addresses);
    this.#senders = new Array<SocketSender | null>(control.shards).fill(null);
    this.#tables = new Array<RouteTable | null>(control.shards).fill(null);
  }

  /**
   * The shard takes connections.
   *
   * @param open makes the way to it; `onLost` is to be called when it breaks
   */
  shardUp(
    index: number,
    routes: readonly RouteEntry[],
    open: (onLost: () => void) => SocketSender,
    onLost: () => void,
  ): void {
    this.shardDown(index);
    const sender = open(() => {
      this.#senders[index] = null;
      this.#intakes.closed(index);
      onLost();
    });
    sender.onUnsent = (message, handle) => {
      this.#resend(handle, index, message);
    };
    this.#senders[index] = sender;
    this.#intakes.opened(index);
    this.#tables[index] = this.#tableOf(routes);
    this.#awaited.delete(index);
    this.#release();
  }

  /** The shard's thread is gone, its counts are cleared: what was sent to it since counts no more. */
  shardGone(index: number): void {
    this.shardDown(index);
    this.#admission.clear(index);
  }

  /** The way to the shard is gone. */
  shardDown(index: number): void {
    this.#senders[index]?.close();
    this.#senders[index] = null;
    this.#intakes.closed(index);
  }

  /** The shard is to end, and another to take its place: it gets what was sent to it, and no more. */
  shardRetires(index: number): void {
    if (this.#intakes.isStalled(index)) this.#relieve(index);
    this.#awaited.add(index);
    this.#finish(index);
  }

  #finish(index: number): void {
    this.#senders[index]?.finish();
    this.#senders[index] = null;
    this.#intakes.closed(index);
  }

  /**
   * All shards are to end, and nobody is accepted any more. Who is here gets the grace to send its head, and is passed
   * on. Resolves when nobody is here any more, or the deadline has passed.
   */
  async stop({ grace, deadline }: DrainTerms): Promise<void> {
    this.#awaited.clear();
    this.#release();
    await readWaiting();
    await within(
      this.#untilFew(() => this.#lingering),
      grace,
    );
    for (const transport of this.#sockets) this.#turnAway(transport);
    for (let i = 0; i < this.#senders.length; i++) this.#finish(i);
    await within(
      this.#untilFew(() => 0),
      deadline - grace,
    );
  }

  /** Resolves when no more sockets are here than that. */
  #untilFew(enough: () => number): Promise<void> {
    return new Promise((resolve) => {
      this.#onFewer = (): void => {
        if (this.#sockets.size <= enough()) resolve();
      };
      this.#onFewer();
    });
  }

  /** There was time to send a head. Whoever has begun one is told why it is not answered. */
  #turnAway(transport: Transport<Pending>): void {
    const pending = transport.owner;
    if (pending.isLingering) return;
    if (pending.parser !== null) this.#refuse(transport, refusalOf(503));
    else this.#linger(transport);
  }

  accept(client: TcpHandle): void {
    const row = this.#admission.enter(client);
    if (row === OVER_LIMIT) {
      this.#counters[Counter.OVER_LIMIT]!++;
      this.#tellExcess(client, 429, this.#admission.rowOf(client));
    } else if (this.#isUnread) {
      this.#passOn(client, row);
    } else if (this.#hasPlace || this.#heads.evict()) {
      this.#read(client, row, 0);
    } else {
      this.#counters[Counter.OVER_LIMIT]!++;
      this.#admission.leave(row);
      client.close();
    }
  }

  /** Another connection may be open here. */
  get #hasPlace(): boolean {
    const { maxConnections } = this.#limits;
    return maxConnections === 0 || this.#sockets.size + this.#admission.total < maxConnections + REFUSING;
  }

  #read(client: TcpHandle, row: number, refusal: number): void {
    const { timer } = this.#io;
    const transport = new Transport<Pending>(this.#io, client, this, null);
    const pending = new Pending(timer.now + this.#limits.handshakeTimeout + 1, row, refusal);
    transport.owner = pending;
    this.#sockets.add(transport);
    this.#heads.add(transport);
    timer.schedule(transport, pending.deadline);
    transport.startReading();
  }

  /** One too many, which is not counted: it is told so behind its request. Who speaks TLS would not understand it. */
  #tellExcess(client: TcpHandle, status: number, row: number): void {
    if (!this.#isTls && this.#hasPlace && this.#refusing.take(row)) this.#read(client, row, status);
    else client.close();
  }

  /** Passes a connection on unread: what was read of it could not go with it, and TLS cannot change threads. */
  #passOn(client: TcpHandle, row: number): void {
    const { isFull } = this.#admission;
    const shard = isFull
      ? this.#balancer.mostWaiting(this.#isAvailable)
      : this.#choose(null, () => peerAddress(client));
    if (shard >= 0) {
      const kind = isFull ? HandoffKind.UNREAD_IN_PLACE : HandoffKind.UNREAD;
      this.#send(client, shard, handoffPrefix(kind, 0, row, timeStamp()), row);
      return;
    }
    const turnAway = (): void => {
      this.#admission.leave(row);
      this.#tellExcess(client, 503, NO_ADDRESS);
    };
    if (isFull) this.#counters[Counter.OVER_LIMIT]!++;
    if (isFull || !this.#canHold) turnAway();
    else this.#held.holdUnread(client, row, this.#limits.handshakeTimeout, turnAway);
  }

  /** No shard can take a connection, but one that can is to come. */
  get #canHold(): boolean {
    return this.#awaited.size > 0 && this.#held.hasRoom;
  }

  /** Whoever waits is tried again: sent to a shard, or refused if none is to come any more. */
  #release(): void {
    const onRequest = (transport: Transport<Pending>, request: string): void => {
      const bytes = Buffer.from(request, 'latin1');
      const parser = this.#parsers.pop() ?? this.#newParser();
      const pending = transport.owner;
      pending.parser = parser;
      parser.feed(bytes, 0, bytes.length);
      this.#place(transport, parser.head, bytes, parser.consumed, bytes.length);
      this.#returnParser(pending);
    };
    this.#held.release(onRequest, ({ client, row }) => {
      this.#passOn(client, row);
    });
  }

  // Events of the transport.

  onChunk(transport: Transport<Pending>, bytes: Uint8Array, start: number, end: number): void {
    const pending = transport.owner;
    if (pending.isLingering) return;
    const parser = (pending.parser ??= this.#parsers.pop() ?? this.#newParser());
    const status = parser.feed(bytes, start, end);
    if (status === ParseStatus.INCOMPLETE) return;
    if (status === ParseStatus.COMPLETE) this.#request(transport, parser.head, bytes, parser.consumed, end);
    else this.#refuse(transport, errorResponse(status));
    this.#returnParser(pending);
  }

  onWritable(_transport: Transport<Pending>): void {}

  onEnd(transport: Transport<Pending>): void {
    if (!transport.owner.isLingering) transport.destroy();
  }

  onClosed(transport: Transport<Pending>, _error: number): void {
    const pending = transport.owner;
    this.#forget(transport);
    if (pending.refusal === 0) this.#admission.leave(pending.address);
    else this.#refusing.giveBack(pending.refusal === 429 ? pending.address : NO_ADDRESS);
  }

  onTimer(transport: Transport<Pending>, now: number): number {
    const pending = transport.owner;
    if (now < pending.deadline) return pending.deadline;
    if (this.#held.drop(transport) !== '') {
      this.#refuse(transport, refusalOf(503));
      return pending.deadline;
    }
    if (!pending.isLingering && pending.parser !== null) {
      this.#counters[Counter.TIMEOUTS]!++;
      this.#refuse(transport, errorResponse(408));
      return pending.deadline;
    }
    if (!pending.isLingering) {
      // Not at once: a head that comes now would be answered with a reset.
      this.#linger(transport);
      return pending.deadline;
    }
    transport.destroy();
    return 0;
  }

  // Requests.

  #request(
    transport: Transport<Pending>,
    head: RequestHead,
    bytes: Uint8Array,
    rest: number,
    end: number,
  ): void {
    this.#counters[Counter.REQUESTS]!++;
    const { refusal } = transport.owner;
    if (refusal !== 0) {
      this.#refuse(transport, refusalOf(refusal), head);
      return;
    }
    if (this.#hosts !== null && !this.#hosts.has(head.host)) {
      this.#refuse(transport, FOREIGN_HOST, head);
      return;
    }
    if (this.#admission.isFull) {
      this.#counters[Counter.OVER_LIMIT]!++;
      this.#refuse(transport, refusalOf(503), head);
      return;
    }
    this.#place(transport, head, bytes, rest, end);
  }

  /** Gives a request that is to be served to a shard, or has it wait for one. */
  #place(
    transport: Transport<Pending>,
    head: RequestHead,
    bytes: Uint8Array,
    rest: number,
    end: number,
  ): void {
    const { address } = transport.owner;
    const shard = this.#choose(head, () => transport.peerName().address);
    if (shard < 0 && this.#canHold) {
      this.#heads.delete(transport);
      this.#held.hold(transport, requestText(head, bytes, rest, end));
      return;
    }
    if (shard < 0) {
      this.#refuse(transport, refusalOf(503), head);
      return;
    }
    const table = this.#tables[shard]!;
    const route = isUpgradeRequest(head) && isHandshake(head) ? this.#routeOf(table, head) : -1;
    if (route < 0 || table.routes[route]!.hasUpgrade) {
      const message =
        handoffPrefix(HandoffKind.HTTP, 0, address, transport.acceptedAt) +
        requestText(head, bytes, rest, end);
      this.#handOff(transport, shard, message);
      return;
    }
    this.#handshake(transport, head, shard, route, requestText(head, bytes, rest, end));
  }

  /** A good handshake is the shard's to answer, see docs/architecture.md; a bad one costs it nothing. */
  #handshake(
    transport: Transport<Pending>,
    head: RequestHead,
    shard: number,
    route: number,
    request: string,
  ): void {
    const refusal = refuseUpgrade(head, this.#tables[shard]!.routes[route]!.rules, this.#isBehindTls);
    if (refusal !== undefined) {
      this.#refuse(transport, refusal);
      return;
    }
    const { address } = transport.owner;
    const prefix = handoffPrefix(HandoffKind.WEBSOCKET, route, address, transport.acceptedAt);
    this.#handOff(transport, shard, prefix + request);
  }

  /** Gives the socket away, to another shard when the chosen one is gone. */
  #handOff(transport: Transport<Pending>, shard: number, message: string): void {
    const { address } = transport.owner;
    const handle = transport.detach();
    this.#forget(transport);
    this.#send(handle, shard, message, address);
  }

  #send(handle: TcpHandle, shard: number, message: string, address: number): void {
    for (let at = shard; at >= 0; at = this.#chooseLike(shard)) {
      this.#admission.add(at, address);
      if (this.#senders[at]?.send(message, handle) === true) {
        this.#intakes.sent(at);
        return;
      }
      this.#counters[Counter.HANDOFF_FAILED]!++;
      this.#admission.takeBack(at, address);
    }
    this.#admission.leave(address);
    handle.close();
  }

  /** A shard that can take a connection; when all are stalled, one whose channel has room. */
  #choose(head: RequestHead | null, address: () => string): number {
    const shard = this.#balancer.choose(this.#isAvailable, head, address);
    return shard >= 0 ? shard : this.#balancer.choose(this.#hasRoom, head, address);
  }

  /** Another one for a message that has a number of the table of `shard`. */
  #chooseLike(shard: number): number {
    const table = this.#tables[shard];
    const choose = (isGood: (shard: number) => boolean): number =>
      this.#balancer.choose(
        (other) => isGood(other) && this.#tables[other] === table,
        null,
        () => '',
      );
    const other = choose(this.#isAvailable);
    return other >= 0 ? other : choose(this.#hasRoom);
  }

  /** The shard is stalled: what the kernel has not taken for it goes to another, as soon as there is one. */
  #relieve(shard: number): void {
    const sender = this.#senders[shard];
    if (sender === null || sender === undefined || sender.pending === 0) return;
    const other = this.#chooseLike(shard);
    if (other >= 0 && this.#isAvailable(other)) sender.cancel();
  }

  /** It was sent to the shard, and the channel ended before the kernel had it. */
  #resend(handle: TcpHandle, shard: number, message: string): void {
    const address = addressIn(message);
    this.#admission.takeBack(shard, address);
    const other = this.#chooseLike(shard);
    if (other >= 0) {
      this.#send(handle, other, message, address);
      return;
    }
    this.#counters[Counter.HANDOFF_FAILED]!++;
    this.#admission.leave(address);
    handle.close();
  }

  /** It is open here no more. */
  #forget(transport: Transport<Pending>): void {
    const pending = transport.owner;
    this.#returnParser(pending);
    this.#held.drop(transport);
    if (pending.isLingering) this.#lingering--;
    this.#sockets.delete(transport);
    this.#heads.delete(transport);
    this.#onFewer();
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

  /** @param head of the request that is refused; null: it could not be read, or is not complete */
  #refuse(transport: Transport<Pending>, response: string, head: RequestHead | null = null): void {
    this.#counters[Counter.REFUSED]!++;
    const isForHead = head !== null && head.method === 'HEAD';
    writeLatin1(transport, dated(isForHead ? headOf(response) : response, httpDate()));
    this.#linger(transport);
  }

  /** Sends FIN, and reads on until the peer's. */
  #linger(transport: Transport<Pending>): void {
    const pending = transport.owner;
    const { timer } = this.#io;
    this.#heads.delete(transport);
    pending.isLingering = true;
    pending.deadline = timer.now + LINGER + 1;
    timer.schedule(transport, pending.deadline);
    this.#lingering++;
    transport.end();
    this.#onFewer();
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

function ignore(): void {}

/** The answer to a connection too many, or one that no shard can take now. */
function refusalOf(status: number): string {
  return status === 503 ? errorResponse(503, [['Retry-After', '1']]) : errorResponse(status);
}

/** The request as it came and all bytes behind it, a character each. */
function requestText(head: RequestHead, bytes: Uint8Array, rest: number, end: number): string {
  const text = latin1Port.latin1(head.bytes, head.headStart, head.headEnd);
  return rest < end ? text + latin1Port.latin1(bytes, rest, end) : text;
}
