import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, serve } from 'millrace';
import { expect, it } from 'vitest';
import { WebSocket } from 'ws';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
const blockAfter = (heading: string): string =>
  readme.split(heading)[1]?.match(/```js\n([\s\S]*?)```/)?.[1] ?? '';

it('the server of the README runs: a message reaches the others of the room, on every shard', async () => {
  const source = blockAfter('## A server');
  expect(source.trim().split('\n').length).toBeLessThanOrEqual(15);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-readme-'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'chat.js'), source);
  const server = await serve({ app: join(folder, 'chat.js'), port: 0, shards: 2 });
  try {
    const clients = await Promise.all(Array.from({ length: 6 }, () => enterRoom(server.port)));
    const shards = new Set(clients.map(({ received }) => received[0]));
    expect(shards).toEqual(new Set(['you are on shard 0 of 2', 'you are on shard 1 of 2']));
    const rest = clients.slice(1);
    const arrivals = rest.map(({ socket }) => new Promise((resolve) => socket.once('message', resolve)));
    clients[0]!.socket.send('hello');
    await Promise.all(arrivals);
    for (const { received } of rest) expect(received[1]).toBe('hello');
    expect(clients[0]!.received).toHaveLength(1);
  } finally {
    await server.close({ drain: 1000 });
    rmSync(folder, { recursive: true });
  }
});

it('the one-line server of the README echoes', async () => {
  const line = readme.match(/`(App\(\)\.ws\([^`]*)`/)?.[1] ?? '';
  expect(line).toContain('.listen(9001, (s) => …)');
  const port = await new Promise<number>((resolve) => {
    const body = line.replace('.listen(9001, (s) => …)', '.listen(0, (s) => resolve(s.port))');
    // oxlint-disable-next-line typescript/no-implied-eval -- the README's own text is what is tested
    new Function('App', 'resolve', body)(App, resolve);
  });
  const socket = new WebSocket(`ws://localhost:${port}/`);
  socket.on('open', () => {
    socket.send('hello');
  });
  const answer = await new Promise<string>((resolve) => {
    socket.on('message', (data: Buffer) => {
      resolve(data.toString());
    });
  });
  expect(answer).toBe('hello');
  socket.terminate();
});

async function enterRoom(port: number): Promise<{ socket: WebSocket; received: string[] }> {
  const socket = new WebSocket(`ws://localhost:${port}/room/a`);
  const received: string[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (data: Buffer) => {
      received.push(data.toString());
      resolve();
    });
  });
  return { socket, received };
}
