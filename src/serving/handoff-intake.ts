import type { MessagePort } from 'node:worker_threads';
import { type ControlBlock, Gauge } from '../metrics/control-block.ts';
import { Counter } from '../metrics/counter.ts';
import { closeEnd } from '../net/handoff-channel.ts';
import { HandoffReceiver } from '../net/handoff-receiver.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import { PortReceiver } from '../net/socket-transfer.ts';
import type { FromShard } from '../shard/control-message.ts';
import { HANDOFF_PREFIX, HandoffKind, readHandoffPrefix } from '../shard/handoff-message.ts';
import type { Shard } from '../shard/shard.ts';
import type { Entrance } from './entrance.ts';
import type { HttpServer } from './http-server.ts';
import type { RawEndpoint, RawEndpoints } from './raw-endpoint.ts';
import type { UpgradeTarget } from './upgrade-target.ts';

/** Ms that an old channel may take to end when there is a new one. */
export const OLD_CHANNEL_TIMEOUT = 1000;

/** HandoffServers: what serves the sockets. */
export interface HandoffServers {
  readonly shard: Shard;
  readonly http: HttpServer;
  /** Where sockets come in that nobody has read. */
  readonly entrance: Entrance;
  /** What handshakes that the acceptor found good are for, by the number in its messages. */
  readonly webSockets: readonly UpgradeTarget[];
  /** What connections of further ports are for. */
  readonly raw: RawEndpoints;
}

/** HandoffIntake: takes the sockets that the acceptor sends one shard, from one channel after the other, or from a port. */
export class HandoffIntake {
  readonly #index: number;
  readonly #control: ControlBlock;
  readonly #servers: HandoffServers;
  readonly #tell: (message: FromShard) => void;
  #receiver: HandoffReceiver | null = null;
  /** Descriptor of the channel to take sockets from next; -1: there is none. */
  #nextChannel = -1;
  /** Where transferred sockets come from. */
  #transferPort: MessagePort | null = null;
  #onArrived: (() => void) | null = null;

  constructor(
    index: number,
    control: ControlBlock,
    servers: HandoffServers,
    tell: (message: FromShard) => void,
  ) {
    this.#index = index;
    this.#control = control;
    this.#servers = servers;
    this.#tell = tell;
  }

  /** Takes sockets from this channel, when the one before has ended. */
  useChannel(fd: number): void {
    this.#discardNext();
    this.#nextChannel = fd;
    if (this.#receiver === null) this.#openChannel();
    else setTimeout(this.#giveUpChannel, OLD_CHANNEL_TIMEOUT, this.#receiver);
  }

  /** Takes sockets from this port; those that another one has brought are served, too. */
  usePort(port: MessagePort): void {
    this.#transferPort = port;
    this.#control.setGauge(this.#index, Gauge.TAKEN, 0);
    const receiver = new PortReceiver();
    port.on('message', (posted: unknown) => {
      const received = receiver.receive(posted);
      if (received === undefined) return;
      // What comes from a port that another has replaced is not counted.
      if (this.#transferPort === port) this.#control.addGauge(this.#index, Gauge.TAKEN, 1);
      this.#adopt(received.handle, received.message);
    });
    port.on('close', () => {
      if (this.#transferPort !== port) return;
      this.#transferPort = null;
      this.#onArrived?.();
    });
    this.#tell({ type: 'connected', fd: -1 });
  }

  /** Resolves when all that the acceptor has sent is here. The acceptor is told to send no more before a drain. */
  allArrived(): Promise<void> {
    return new Promise((resolve) => {
      this.#onArrived = resolve;
      if (this.#receiver === null && this.#transferPort === null) resolve();
    });
  }

  /** Takes no more sockets. */
  close(): void {
    this.#receiver?.close();
  }

  /** The channel that was to be next is overtaken. */
  #discardNext(): void {
    const fd = this.#nextChannel;
    if (fd === -1) return;
    closeEnd(fd);
    this.#tell({ type: 'discarded', fd });
  }

  /** Nothing is on its way to this shard now: what the old channel brought is here, the new one is empty. */
  #openChannel(): void {
    this.#servers.shard.recount();
    this.#control.setGauge(this.#index, Gauge.TAKEN, 0);
    const onEnd = (): void => {
      this.#receiver = null;
      if (this.#nextChannel !== -1) this.#openChannel();
      else this.#onArrived?.();
    };
    const fd = this.#nextChannel;
    this.#nextChannel = -1;
    const onHandoff = (handle: TcpHandle | null, bytes: Buffer): void => {
      this.#control.addGauge(this.#index, Gauge.TAKEN, 1);
      this.#adopt(handle, bytes);
    };
    this.#receiver = new HandoffReceiver(fd, onHandoff, onEnd);
    this.#tell({ type: 'connected', fd });
  }

  /** The end of an old channel should have come long ago. */
  readonly #giveUpChannel = (old: HandoffReceiver): void => {
    if (this.#receiver !== old || this.#nextChannel === -1) return;
    old.close();
    this.#openChannel();
  };

  #adopt(handle: TcpHandle | null, bytes: Buffer): void {
    const { shard, http, entrance, webSockets, raw } = this.#servers;
    const { kind, route, address, acceptedAt, isInPlace } = readHandoffPrefix(bytes);
    if (handle === null) {
      shard.lost(address);
      return;
    }
    shard.count(Counter.ADOPTED);
    // The one that was to give way may have been served meanwhile, or be as new.
    const hasPlace = !isInPlace || entrance.makeRoom();
    if (!hasPlace) shard.count(Counter.OVER_LIMIT);
    if (kind === HandoffKind.UNREAD || kind === HandoffKind.RAW) {
      const target = kind === HandoffKind.RAW ? raw.at(route) : entrance;
      if (hasPlace && target !== undefined) this.#adoptUnread(target, handle, address, acceptedAt);
      else this.#discard(handle, address);
      return;
    }
    const transport = shard.adopt(handle, http, address);
    transport.acceptedAt = acceptedAt;
    if (!hasPlace) {
      http.turnAway(transport);
    } else if (kind === HandoffKind.HTTP) {
      http.start(transport);
      transport.receive(bytes, HANDOFF_PREFIX, bytes.length);
    } else {
      http.startUpgraded(transport, webSockets[route], bytes, HANDOFF_PREFIX, bytes.length);
    }
    shard.greet(transport);
  }

  #adoptUnread(target: Entrance | RawEndpoint, handle: TcpHandle, address: number, acceptedAt: number): void {
    const transport = target.admit(handle, address, null);
    transport.acceptedAt = acceptedAt;
    this.#servers.shard.greet(transport);
  }

  #discard(handle: TcpHandle, address: number): void {
    this.#servers.entrance.discard(address);
    handle.close();
  }
}
