import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { detachHandle, type TcpHandle } from '../../../src/net/node-internals.ts';

/** AcceptedHandles: handles of connections, as a listener gives them, with the clients at their other ends. */
export class AcceptedHandles {
  readonly #server: Server;
  readonly #clients: Socket[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<AcceptedHandles> {
    const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new AcceptedHandles(server);
  }

  /** @param from the client's address, of 127.0.0.0/8 */
  async accept(from = '127.0.0.1'): Promise<{ handle: TcpHandle; client: Socket }> {
    const { port } = this.#server.address() as AddressInfo;
    const accepted = once(this.#server, 'connection');
    const client = connect({ port, host: '127.0.0.1', localAddress: from, allowHalfOpen: true });
    client.on('error', () => {});
    this.#clients.push(client);
    const [socket] = (await accepted) as [Socket];
    return { handle: detachHandle(socket)!, client };
  }

  close(): void {
    for (const client of this.#clients) client.destroy();
    this.#server.close();
  }
}

/** All that a client gets until the peer's FIN, or until it is cut off. */
export async function readToEnd(client: Socket): Promise<string> {
  let text = '';
  client.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  await Promise.race([once(client, 'end'), once(client, 'close')]);
  return text;
}
