import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  DEDICATED_COMPRESSOR,
  DEDICATED_DECOMPRESSOR,
  DISABLED,
  SHARED_COMPRESSOR,
  SHARED_DECOMPRESSOR,
} from 'millrace';
import { afterEach, expect, test } from 'vitest';
import { RawClient } from '../../support/clients/raw-client.ts';
import { text } from '../../support/protocol/frame-bytes.ts';
import { Mailbox, sleep } from '../../support/tools/deadline.ts';

/** The memory of a server process with compressed connections, idle ones and ones that came and went. */

const FIXTURE = fileURLToPath(new URL('../fixtures/deflate-memory.js', import.meta.url));
const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
const MIB = 1024 * 1024;
const MESSAGE = 'Hello '.repeat(50);

interface Memory {
  /** Bytes on V8's heap and beside it, after a garbage collection. */
  readonly used: number;
  readonly rss: number;
}

class MemoryServer {
  readonly #child: ChildProcess;
  readonly #answers = new Mailbox<unknown>('an answer of the server');
  port = -1;

  private constructor(compression: number) {
    this.#child = fork(FIXTURE, [String(compression)], { execArgv: ['--expose-gc'] });
    this.#child.on('message', (message) => {
      this.#answers.put(message);
    });
  }

  static async start(compression: number): Promise<MemoryServer> {
    const server = new MemoryServer(compression);
    servers.push(server);
    server.port = (await server.#answers.next()) as number;
    return server;
  }

  async memory(): Promise<Memory> {
    // What was closed is let go of in a later turn.
    await sleep(200);
    this.#child.send('?');
    return (await this.#answers.next()) as Memory;
  }

  /** Connections that have sent and got a message each. */
  async clients(count: number): Promise<RawClient[]> {
    const clients: RawClient[] = [];
    while (clients.length < count) {
      const opening = Array.from({ length: Math.min(50, count - clients.length) }, async () => {
        const client = await RawClient.webSocket(this.port, '/', OFFER);
        client.send(text(MESSAGE));
        await client.frame();
        return client;
      });
      clients.push(...(await Promise.all(opening)));
    }
    return clients;
  }

  stop(): void {
    this.#child.kill();
  }
}

const servers: MemoryServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.stop();
});

/** Bytes that an idle connection costs. */
async function bytesPerConnection(compression: number): Promise<number> {
  const server = await MemoryServer.start(compression);
  const clients = await server.clients(500);
  const before = await server.memory();
  clients.push(...(await server.clients(2000)));
  const after = await server.memory();
  for (const client of clients) client.destroy();
  return (after.used - before.used) / 2000;
}

test('an idle connection with the shared compressor costs what a plain one does', async () => {
  const plain = await bytesPerConnection(DISABLED);
  const shared = await bytesPerConnection(SHARED_COMPRESSOR | SHARED_DECOMPRESSOR);
  expect(shared).toBeLessThan(plain * 1.1);
});

test('contexts of thousands of connections that came and went are free again', async () => {
  const server = await MemoryServer.start(DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR);
  const wave = async (): Promise<void> => {
    const clients = await server.clients(250);
    for (const [i, client] of clients.entries()) {
      if (i % 2 === 0) client.reset();
      else client.destroy();
    }
  };
  for (let i = 0; i < 2; i++) await wave();
  const before = await server.memory();
  for (let i = 0; i < 12; i++) await wave();
  const after = await server.memory();
  // One context is 270 KiB: 3,000 that were kept would be 800 MiB.
  expect(after.rss - before.rss).toBeLessThan(40 * MIB);
  expect(after.used - before.used).toBeLessThan(8 * MIB);
});
