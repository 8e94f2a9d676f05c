import { AddressLimit, OVER_LIMIT } from '../admission/address-limit.ts';
import { AddressTable } from '../admission/address-table.ts';
import { type Admitting, Gate } from '../admission/gate.ts';
import { hostRefusal, refusalText } from '../admission/refusal-text.ts';
import { REFUSING, type Refusal } from '../admission/refusing.ts';
import { AllowedHosts } from '../http/allowed-hosts.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { ControlBlock } from '../metrics/control-block.ts';
import { Counter } from '../metrics/counter.ts';
import { timeStamp } from '../metrics/monotonic-time.ts';
import { IoLoop } from '../net/io-loop.ts';
import { latin1Port } from '../net/native-ports.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import { peerAddress } from '../net/peer-name.ts';
import { readWaiting } from '../net/turns.ts';
import { isHandshake, isUpgradeRequest } from '../protocol/handshake.ts';
import { type AcceptorData, HandoffMode, type RouteEntry } from '../shard/control-message.ts';
import type { DrainTerms } from '../shard/drain.ts';
import { HandoffKind, handoffPrefix } from '../shard/handoff-message.ts';
import { within } from '../shard/timeout.ts';
import { refuseUpgrade } from '../shard/upgrade.ts';
import { HeldConnections, type UnreadClient } from './held-connections.ts';
import { type Opening, type OpeningServer, Openings } from './openings.ts';
import { ShardChannels, type SocketSender } from './shard-channels.ts';

/** The endpoint of connections that are for HTTP. */
const HTTP = -1;

/**
 * Acceptor: has each connection pass the gate, reads its head, refuses bad WebSocket handshakes and passes the socket, with
 * the head and whatever bytes followed, to a shard. Where the shards must read them (TLS, or sockets that go by
 * postMessage), it passes connections on unread, and so it does with those of raw endpoints, whose protocols it does not know.
 *
 *     accept ─▶ gate ─▶ unread ─▶ shard
 *                ├▶ head ─▶ refused
 *                │   ├▶ shard
 *                │   └▶ held while there is no shard, but one is to come ─▶ shard
 *                └▶ too many ─▶ told so, or cut off
 */
export class Acceptor implements Admitting, OpeningServer {
  readonly #limits: AcceptorData['limits'];
  readonly #counters: Float64Array;
  readonly #isTls: boolean;
  /** A proxy in front ends TLS. */
  readonly #isBehindTls: boolean;
  /** Null: requests may have any. */
  readonly #hosts: AllowedHosts | null;
  /** Shards read requests themselves. */
  readonly #isUnread: boolean;
  readonly #addresses: AddressLimit | null;
  readonly #gate: Gate;
  /** Of raw endpoints, by their places; the first connection makes it. */
  readonly #rawGates: Gate[] = [];
  readonly #channels: ShardChannels;
  readonly #openings: Openings;
  readonly #held = new HeldConnections();
  /** Shards that are being replaced, and that connections wait for. */
  readonly #awaited = new Set<number>();

  /** @param onStalled a shard does not take what it is sent, or takes it again */
  constructor(
    data: AcceptorData,
    control: ControlBlock,
    onStalled: (shard: number, isStalled: boolean) => void,
  ) {
    const { limits, addresses } = data;
    const { allowedHosts, behindTls } = data.hosts;
    this.#limits = limits;
    this.#counters = control.acceptor.counters;
    this.#isTls = data.isTls;
    this.#isBehindTls = behindTls;
    this.#hosts = allowedHosts === null ? null : new AllowedHosts(allowedHosts);
    this.#isUnread = data.isTls || data.mode === HandoffMode.TRANSFER;
    const addressLimit =
      addresses === null
        ? null
        : new AddressLimit(new AddressTable(addresses), control.shards, limits.maxConnectionsPerAddress);
    this.#addresses = addressLimit;
    this.#gate = new Gate(this, addressLimit, this.#counters);
    this.#channels = new ShardChannels(data, control, addressLimit, onStalled);
    this.#openings = new Openings(new IoLoop(this.#counters), limits, this.#gate, this);
  }

  // Shards.

  /** The shard takes connections, see {@link ShardChannels.open}. */
  shardUp(
    index: number,
    routes: readonly RouteEntry[],
    connect: (onLost: () => void) => SocketSender,
    onLost: () => void,
  ): void {
    this.#channels.open(index, routes, connect, onLost);
    this.#awaited.delete(index);
    this.#release();
  }

  /** The shard's thread is gone, and its counts are cleared: what was sent to it since counts no more. */
  shardGone(index: number): void {
    this.#channels.close(index);
    this.#channels.counts.clear(index);
  }

  /** The shard is to end, and another to take its place: the one that ends gets what was sent to it, and no more. */
  shardRetires(index: number): void {
    this.#awaited.add(index);
    this.#channels.finish(index);
  }

  /**
   * All shards are to end, and no connection is accepted any more. Those open here get the grace to send their
   * heads, and are passed on. Resolves when none is open here any more, or the deadline has passed.
   */
  async stop({ grace, deadline }: DrainTerms): Promise<void> {
    this.#awaited.clear();
    this.#release();
    await readWaiting();
    await within(this.#openings.untilLingering(), grace);
    this.#openings.turnAwayAll();
    this.#channels.finishAll();
    await within(this.#openings.untilNone(), deadline - grace);
  }

  // Connections.

  accept(client: TcpHandle): void {
    const row = this.#gate.enter(client);
    if (row === OVER_LIMIT || !this.#isUnread) this.#gate.admit(client, row);
    else this.#passOn({ client, row, acceptedAt: timeStamp(), endpoint: HTTP });
  }

  /** A connection of the raw endpoint in this place. */
  acceptRaw(client: TcpHandle, endpoint: number): void {
    const gate = this.#gateOf(endpoint);
    gate.admit(client, gate.enter(client));
  }

  /** Connections of the shards count, and some more may be open here, to be told that there are too many. */
  hasRoom(): boolean {
    const { maxConnections } = this.#limits;
    if (maxConnections === 0) return true;
    return this.#openings.size + this.#channels.counts.total < maxConnections + REFUSING;
  }

  makeRoom(): boolean {
    return this.#openings.evict();
  }

  /** A client that speaks TLS would not understand it. */
  canTell(): boolean {
    return !this.#isTls && this.hasRoom();
  }

  admit(client: TcpHandle, row: number, refusal: Refusal | null): void {
    this.#openings.read(client, row, refusal);
  }

  discard(row: number): void {
    this.#gate.leave(row);
  }

  /** All connections count together, and no other protocol than HTTP can be told that there are too many. */
  #gateOf(endpoint: number): Gate {
    if (endpoint === HTTP) return this.#gate;
    const admitting: Admitting = {
      hasRoom: () => this.hasRoom(),
      makeRoom: () => this.makeRoom(),
      canTell: () => false,
      admit: (client, row) => {
        this.#passOn({ client, row, acceptedAt: timeStamp(), endpoint });
      },
      discard: (row) => {
        this.discard(row);
      },
    };
    this.#rawGates[endpoint] ??= new Gate(admitting, this.#addresses, this.#counters);
    return this.#rawGates[endpoint];
  }

  /** Passes a connection on unread: what was read of it could not go with it, and TLS cannot change threads. */
  #passOn(unread: UnreadClient): void {
    const { client, row, acceptedAt, endpoint } = unread;
    const { isFull } = this.#channels.counts;
    const shard = isFull
      ? this.#channels.mostWaiting()
      : this.#channels.choose(null, () => peerAddress(client));
    if (shard >= 0) {
      const kind = endpoint === HTTP ? HandoffKind.UNREAD : HandoffKind.RAW;
      const place = Math.max(endpoint, 0);
      this.#channels.send(client, shard, handoffPrefix(kind, place, row, acceptedAt, isFull), row);
    } else if (isFull) {
      this.#gateOf(endpoint).refuse(client, row);
    } else if (this.#canHold) {
      this.#held.holdUnread(unread, this.#limits.handshakeTimeout, () => {
        this.#gateOf(endpoint).turnAway(client, row);
      });
    } else {
      this.#gateOf(endpoint).turnAway(client, row);
    }
  }

  /** No shard can take a connection, but one that can is to come. */
  get #canHold(): boolean {
    return this.#awaited.size > 0 && this.#held.hasRoom;
  }

  /** Held requests are tried again: sent to a shard, or refused if none is to come any more. */
  #release(): void {
    const onRequest = (opening: Opening, request: string): void => {
      const bytes = Buffer.from(request, 'latin1');
      this.#openings.readAgain(opening, bytes, (head, rest) => {
        this.#place(opening, head, bytes, rest, bytes.length);
      });
    };
    this.#held.release(onRequest, (unread) => {
      this.#passOn(unread);
    });
  }

  // Requests.

  onRequest(opening: Opening, head: RequestHead, bytes: Uint8Array, rest: number, end: number): void {
    const { refusal } = opening;
    if (refusal !== null) {
      this.#openings.refuse(opening, refusalText(refusal.status), head);
    } else if (this.#hosts !== null && !this.#hosts.has(head.host)) {
      this.#openings.refuse(opening, hostRefusal(), head);
    } else if (this.#channels.counts.isFull) {
      this.#placeInPlace(opening, head, bytes, rest, end);
    } else {
      this.#place(opening, head, bytes, rest, end);
    }
  }

  /** There are as many connections as there may be: one of a raw endpoint that has said nothing gives way. */
  #placeInPlace(opening: Opening, head: RequestHead, bytes: Uint8Array, rest: number, end: number): void {
    const shard = this.#channels.mostWaiting();
    if (shard >= 0) {
      this.#hand(opening, head, shard, bytes, rest, end, true);
    } else {
      this.#counters[Counter.OVER_LIMIT]!++;
      this.#openings.refuse(opening, refusalText(503), head);
    }
  }

  dropHeld(opening: Opening): boolean {
    return this.#held.drop(opening) !== '';
  }

  /** Gives a request that is to be served to a shard, or has it wait for one. */
  #place(opening: Opening, head: RequestHead, bytes: Uint8Array, rest: number, end: number): void {
    const shard = this.#channels.choose(head, () => opening.transport.peerName().address);
    if (shard >= 0) {
      this.#hand(opening, head, shard, bytes, rest, end, false);
    } else if (this.#canHold) {
      this.#openings.served(opening);
      this.#held.hold(opening, requestText(head, bytes, rest, end));
    } else {
      this.#openings.refuse(opening, refusalText(503), head);
    }
  }

  /** A good handshake is the shard's to answer, see docs/architecture.md; a bad one costs it nothing. */
  #hand(
    opening: Opening,
    head: RequestHead,
    shard: number,
    bytes: Uint8Array,
    rest: number,
    end: number,
    isInPlace: boolean,
  ): void {
    const table = this.#channels.tableOf(shard);
    const route = isUpgradeRequest(head) && isHandshake(head) ? table.find(head) : -1;
    const isChecked = route >= 0 && !table.routes[route]!.hasUpgrade;
    const refusal = isChecked
      ? refuseUpgrade(head, table.routes[route]!.rules, this.#isBehindTls)
      : undefined;
    if (refusal !== undefined) {
      this.#openings.refuse(opening, refusal);
      return;
    }
    const { row, transport } = opening;
    const prefix = isChecked
      ? handoffPrefix(HandoffKind.WEBSOCKET, route, row, transport.acceptedAt, isInPlace)
      : handoffPrefix(HandoffKind.HTTP, 0, row, transport.acceptedAt, isInPlace);
    const message = prefix + requestText(head, bytes, rest, end);
    this.#channels.send(this.#openings.detach(opening), shard, message, row);
  }
}

/** The request as it came and all bytes behind it, a character each. */
function requestText(head: RequestHead, bytes: Uint8Array, rest: number, end: number): string {
  const text = latin1Port.latin1(head.bytes, head.headStart, head.headEnd);
  return rest < end ? text + latin1Port.latin1(bytes, rest, end) : text;
}
