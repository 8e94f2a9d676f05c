import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { HOST } from '../servers/server.ts';
import { within } from '../tools/deadline.ts';

/** A record of TLS as it went over the wire (RFC 8446 §5.1). */
export interface TlsRecord {
  /** 20 change_cipher_spec, 21 alert, 22 handshake, 23 application_data */
  readonly type: number;
  readonly length: number;
}

/** TlsRelay: sits between a client and a TLS server, and does to their bytes what a test wants. */
export class TlsRelay {
  readonly port: number;
  /** Every byte the server sent. */
  fromServer: Buffer = Buffer.alloc(0);
  /** The server's FIN came. */
  hasFin = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** @param isBytewise every byte of the client goes in a segment of its own */
  static async open(port: number, isBytewise = false): Promise<TlsRelay> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, HOST);
    await once(server, 'listening');
    const relay = new TlsRelay(server, (server.address() as { port: number }).port);
    server.on('connection', (client) => {
      relay.#join(client, connect({ port, host: HOST, allowHalfOpen: true, noDelay: true }), isBytewise);
    });
    return relay;
  }

  /** Ends the connection to the server with FIN, without a word of TLS. */
  endServerSide(): void {
    for (const socket of this.#sockets) socket.end();
  }

  /** The records the server sent. */
  get records(): TlsRecord[] {
    const records: TlsRecord[] = [];
    for (let at = 0; at + 5 <= this.fromServer.length; ) {
      const length = this.fromServer.readUInt16BE(at + 3);
      records.push({ type: this.fromServer[at]!, length });
      at += 5 + length;
    }
    return records;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket, server: Socket, isBytewise: boolean): void {
    this.#sockets.add(client).add(server);
    client.on('error', () => server.destroy()).on('close', () => server.destroy());
    server.on('error', () => client.destroy()).on('close', () => client.destroy());
    client.on('end', () => server.end());
    server.on('data', (bytes) => {
      this.fromServer = Buffer.concat([this.fromServer, bytes]);
      client.write(bytes);
    });
    server.on('end', () => {
      this.hasFin = true;
      client.end();
    });
    if (!isBytewise) {
      client.on('data', (bytes) => server.write(bytes));
      return;
    }
    client.on('data', (bytes) => {
      client.pause();
      void (async () => {
        for (const byte of bytes) {
          await new Promise((resolve) => server.write(Uint8Array.of(byte), resolve));
        }
        client.resume();
      })();
    });
  }
}

/** The first bytes a TLS client sends. */
export async function clientHello(options: ConnectionOptions = {}): Promise<Buffer> {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const socket = connectTls({ port, host: HOST, ...options });
  socket.on('error', () => {});
  const [peer] = (await within(once(server, 'connection'), 'a TLS client')) as [Socket];
  const [hello] = (await within(once(peer, 'data'), 'a ClientHello')) as [Buffer];
  socket.destroy();
  peer.destroy();
  server.close();
  return hello;
}
