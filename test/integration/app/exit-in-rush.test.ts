import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { RawClient } from '../../support/clients/raw-client.ts';
import { text } from '../../support/protocol/frame-bytes.ts';

test('a handler that ends the process in a rush takes nothing along that was sent before', async () => {
  const fixture = fileURLToPath(new URL('../fixtures/exit-in-rush.js', import.meta.url));
  const child = spawn(process.execPath, [fixture, new URL('../../../dist/src/', import.meta.url).href], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ports = [Number((await lines.next()).value), Number((await lines.next()).value)];
  // In turns of the two Apps, whose batches are two.
  const clients: RawClient[] = [];
  for (let i = 0; i < 7; i++) clients.push(await RawClient.webSocket(ports[i % 2]!));
  clients[0]!.send(text('?'));
  expect((await lines.next()).value).toBe('the first is handled');
  for (const client of clients.slice(1)) client.send(text('?'));
  const replies = await Promise.all(clients.map(async (client) => (await client.framesToEnd()).frames));
  const texts = replies.flat().map(({ payload }) => payload.toString());
  // The reply of the handler that ended it is still corked.
  expect(texts.sort()).toEqual([1, 2, 3, 4, 5, 6].map((number) => `reply ${number}`));
});
