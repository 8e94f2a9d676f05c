import type { Server, Socket } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import { dated, errorResponse } from '../http/response-writer.ts';
import { Counter } from '../net/counter.ts';
import { boundPort, Listener } from '../net/listener.ts';
import { httpDate } from '../net/native-ports.ts';
import { errorName } from '../net/node-internals.ts';
import { HandoffReceiver } from '../net/socket-handoff.ts';
import { listenForTransfer, transferSocket } from '../net/socket-transfer.ts';
import { ControlBlock, Gauge } from '../ring/control-block.ts';
import { Acceptor } from './acceptor.ts';
import { AddressTable } from './address-table.ts';
import { Balancer } from './balancer.ts';
import { type AcceptorData, type FromAcceptor, HandoffMode, type ToAcceptor } from './control-message.ts';
import { NO_ADDRESS } from './shard.ts';
import { recordThread } from './thread-profiler.ts';

/** The acceptor thread: wires an acceptor to its listening socket and to the supervisor. */
export function runAcceptor(data: AcceptorData, port: MessagePort): void {
  const control = new ControlBlock(data.shards, data.control);
  if (data.mode === HandoffMode.CHANNEL) runChannelAcceptor(data, control, port);
  else runTransferAcceptor(data, control, port);
}

function runChannelAcceptor(data: AcceptorData, control: ControlBlock, port: MessagePort): void {
  const acceptor = new Acceptor(control, data.limits, data.balance, data.isTls);
  const tell = (message: FromAcceptor): void => {
    port.postMessage(message);
  };
  const listener = new Listener(data.limits.backlog, {
    onConnection: (client) => {
      acceptor.accept(client);
    },
    onAcceptError: () => {
      control.counters(data.shards)[Counter.ACCEPT_ERRORS]!++;
      tell({ type: 'listener-lost' });
    },
  });
  // The main thread keeps the listening socket; this thread gets a duplicate, and another when it loses it.
  const sockets = new HandoffReceiver(data.listenFd, (handle) => {
    if (handle === null) {
      tell({ type: 'listener-lost' });
      return;
    }
    const error = listener.start(handle);
    if (error === 0) tell({ type: 'listening', port: boundPort(handle) });
    else tell({ type: 'listen-failed', error: errorName(error) });
  });
  port.on('message', (message: ToAcceptor) => {
    if (message.type === 'shard-up') {
      const { index, fd, routes } = message;
      acceptor.shardUp(index, fd, routes, () => {
        tell({ type: 'shard-lost', index });
      });
      tell({ type: 'shard-known', index });
    } else if (message.type === 'shard-down') {
      acceptor.shardDown(message.index);
    } else if (message.type === 'shard-retires') {
      acceptor.shardRetires(message.index);
    } else if (message.type === 'stop') {
      listener.close();
      sockets.close();
      acceptor.stop();
      tell({ type: 'stopped' });
    } else if (message.type === 'profile') {
      recordThread(message);
    }
  });
}

function runTransferAcceptor(data: AcceptorData, control: ControlBlock, port: MessagePort): void {
  const tell = (message: FromAcceptor): void => {
    port.postMessage(message);
  };
  const acceptor = new TransferAcceptor(data, control, tell);
  port.on('message', (message: ToAcceptor) => {
    if (message.type === 'shard-port') {
      acceptor.shardUp(message.index, message.port);
      tell({ type: 'shard-known', index: message.index });
    } else if (message.type === 'shard-down' || message.type === 'shard-retires') {
      acceptor.shardDown(message.index);
    } else if (message.type === 'listen') {
      acceptor.listen(message.host, message.port);
    } else if (message.type === 'stop') {
      acceptor.stop();
      tell({ type: 'stopped' });
    } else if (message.type === 'profile') {
      recordThread(message);
    }
  });
}

/** The acceptor where sockets go by postMessage: it chooses a shard and reads nothing. */
class TransferAcceptor {
  readonly #limits: AcceptorData['limits'];
  readonly #isTls: boolean;
  readonly #control: ControlBlock;
  readonly #counters: Float64Array;
  readonly #balancer: Balancer;
  readonly #addresses: AddressTable;
  readonly #ports: (MessagePort | null)[];
  readonly #tell: (message: FromAcceptor) => void;
  #server: Server | null = null;

  constructor(data: AcceptorData, control: ControlBlock, tell: (message: FromAcceptor) => void) {
    this.#limits = data.limits;
    this.#isTls = data.isTls;
    this.#control = control;
    this.#counters = control.counters(data.shards);
    this.#balancer = new Balancer(data.balance, control);
    this.#addresses = new AddressTable(control);
    this.#ports = new Array<MessagePort | null>(data.shards).fill(null);
    this.#tell = tell;
  }

  listen(host: string, port: number): void {
    this.#server = listenForTransfer(host, port, this.#limits.backlog, {
      onListening: (bound) => {
        this.#tell({ type: 'listening', port: bound });
      },
      onConnection: (socket) => {
        this.#accept(socket);
      },
      onError: (error) => {
        this.#counters[Counter.ACCEPT_ERRORS]!++;
        this.#tell({ type: 'listen-failed', error: error.code ?? error.message });
      },
    });
  }

  shardUp(index: number, port: MessagePort): void {
    this.shardDown(index);
    this.#ports[index] = port;
  }

  shardDown(index: number): void {
    this.#ports[index]?.close();
    this.#ports[index] = null;
  }

  stop(): void {
    this.#server?.close();
  }

  #accept(socket: Socket): void {
    const address = this.#limits.maxConnectionsPerAddress === 0 ? '' : (socket.remoteAddress ?? '');
    const row = address === '' ? NO_ADDRESS : this.#addresses.rowOf(address);
    const overload = this.#overload(row);
    if (overload !== 0) {
      this.#counters[Counter.OVER_LIMIT]!++;
      this.#refuse(socket, errorResponse(overload));
      return;
    }
    const shard = this.#balancer.choose(
      (index) => this.#ports[index] !== null,
      null,
      () => socket.remoteAddress ?? '',
    );
    if (shard < 0) {
      this.#refuse(socket, errorResponse(503, [['Retry-After', '1']]));
      return;
    }
    this.#control.addGauge(shard, Gauge.LIVE, 1);
    if (row !== NO_ADDRESS) this.#control.addAddress(row, shard, 1);
    if (transferSocket(this.#ports[shard]!, socket, row)) return;
    this.#counters[Counter.HANDOFF_FAILED]!++;
    this.#control.addGauge(shard, Gauge.LIVE, -1);
    if (row !== NO_ADDRESS) this.#control.addAddress(row, shard, -1);
    this.#refuse(socket, errorResponse(503));
  }

  /** Who speaks TLS does not understand a response. */
  #refuse(socket: Socket, response: string): void {
    if (this.#isTls) socket.destroy();
    else socket.end(dated(response, httpDate()));
  }

  #overload(row: number): number {
    const { maxConnections, maxConnectionsPerAddress } = this.#limits;
    let total = 0;
    for (let i = 0; i < this.#control.shards; i++) total += this.#control.gauge(i, Gauge.LIVE);
    if (maxConnections !== 0 && total >= maxConnections) return 503;
    if (row === NO_ADDRESS) return 0;
    return this.#control.addressTotal(row) >= maxConnectionsPerAddress ? 429 : 0;
  }
}
