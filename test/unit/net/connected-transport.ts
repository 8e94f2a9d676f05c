import type { Socket } from 'node:net';
import { ThreadMetrics } from '../../../src/metrics/control-block.ts';
import { IoLoop } from '../../../src/net/io-loop.ts';
import { Transport, type TransportContext } from '../../../src/net/transport.ts';
import { AcceptedHandles } from '../../support/servers/accepted-handles.ts';
import { until } from '../../support/tools/deadline.ts';

const SILENT: TransportContext = {
  onChunk: () => {},
  onWritable: () => {},
  onEnd: () => {},
  onClosed: () => {},
  onTimer: () => 0,
};

/** A transport over a real connection, and what its other end has received. */
export class ConnectedTransport {
  readonly transport: Transport;
  readonly client: Socket;
  readonly #sockets: AcceptedHandles;
  #parts: Buffer[] = [];
  /** Bytes that came since `received` was called. */
  length = 0;

  private constructor(transport: Transport, client: Socket, sockets: AcceptedHandles) {
    this.transport = transport;
    this.client = client;
    this.#sockets = sockets;
    client.on('data', (bytes: Buffer) => {
      this.#parts.push(bytes);
      this.length += bytes.length;
    });
  }

  static async open(io = new IoLoop(ThreadMetrics.alone().counters)): Promise<ConnectedTransport> {
    const sockets = await AcceptedHandles.start();
    const { handle, client } = await sockets.accept();
    return new ConnectedTransport(new Transport(io, handle, SILENT, null), client, sockets);
  }

  /** What came since the last call, once it is so many bytes. */
  async received(length: number): Promise<Buffer> {
    await until(() => this.length >= length, `${length} bytes came`);
    const bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    this.length = 0;
    return bytes;
  }

  close(): void {
    this.transport.destroy();
    this.#sockets.close();
  }
}
