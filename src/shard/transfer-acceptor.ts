import type { Server, Socket } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import { dated, errorResponse } from '../http/response-writer.ts';
import { Counter } from '../net/counter.ts';
import { httpDate } from '../net/native-ports.ts';
import { listenForTransfer, transferSocket } from '../net/socket-transfer.ts';
import type { ControlBlock } from '../ring/control-block.ts';
import { Admission } from './admission.ts';
import { Balancer } from './balancer.ts';
import type { AcceptorData, FromAcceptor } from './control-message.ts';
import { NO_ADDRESS } from './shard.ts';

/** TransferAcceptor: the acceptor where sockets go by postMessage. It chooses a shard and reads nothing. */
export class TransferAcceptor {
  readonly #backlog: number;
  readonly #isTls: boolean;
  readonly #counters: Float64Array;
  readonly #balancer: Balancer;
  readonly #admission: Admission;
  readonly #ports: (MessagePort | null)[];
  readonly #tell: (message: FromAcceptor) => void;
  #server: Server | null = null;

  constructor(data: AcceptorData, control: ControlBlock, tell: (message: FromAcceptor) => void) {
    this.#backlog = data.limits.backlog;
    this.#isTls = data.isTls;
    this.#counters = control.counters(data.shards);
    this.#balancer = new Balancer(data.balance, control);
    this.#admission = new Admission(control, data.limits);
    this.#ports = new Array<MessagePort | null>(data.shards).fill(null);
    this.#tell = tell;
  }

  listen(host: string, port: number): void {
    this.#server = listenForTransfer(host, port, this.#backlog, {
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
    const address = this.#admission.countsAddresses ? (socket.remoteAddress ?? '') : '';
    const row = address === '' ? NO_ADDRESS : this.#admission.rowOf(address);
    const refusal = this.#admission.refusal(row);
    if (refusal !== 0) {
      this.#counters[Counter.OVER_LIMIT]!++;
      this.#refuse(socket, errorResponse(refusal));
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
    this.#admission.add(shard, row);
    if (transferSocket(this.#ports[shard]!, socket, row)) return;
    this.#counters[Counter.HANDOFF_FAILED]!++;
    this.#admission.takeBack(shard, row);
    this.#refuse(socket, errorResponse(503));
  }

  /** Who speaks TLS does not understand a response. */
  #refuse(socket: Socket, response: string): void {
    if (this.#isTls) socket.destroy();
    else socket.end(dated(response, httpDate()));
  }
}
