import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { EXAMPLES } from '../../support/servers/millrace-process.ts';
import { until } from '../../support/tools/deadline.ts';

let child: ChildProcess;
let port = 0;
let output = '';

beforeAll(async () => {
  child = spawn(process.execPath, [fileURLToPath(new URL('worker-threads.js', EXAMPLES))], {
    env: { ...process.env, PORT: '0', THREADS: '3' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  await until(() => /port \d+/.test(output), 'it listens');
  port = Number(/port (\d+)/.exec(output)?.[1]);
});
afterAll(async () => {
  child.kill();
  await once(child, 'exit');
});

async function ask(method: 'GET' | 'POST', path: string): Promise<string> {
  const { body } = await request(`http://127.0.0.1:${port}${path}`, { method, reset: true });
  return body.text();
}

/** The threads that answer, once there are as many as there should be. */
async function threads(count: number): Promise<Set<string>> {
  for (;;) {
    const seen = new Set<string>();
    for (let i = 0; i < 12; i++) seen.add(await ask('GET', '/thread'));
    if (seen.size === count) return seen;
  }
}

test('examples/worker-threads.js serves on all workers, reaches all clients, and replaces a worker that ends', async () => {
  const before = await threads(3);
  const clients: Client[] = [];
  for (let i = 0; i < 6; i++) clients.push(await Client.connect(`ws://127.0.0.1:${port}/`));
  const joined: number[] = [];
  for (let i = 0; i < 6; i++)
    joined.push(Number(/; (\d+) are here/.exec((await clients[0]!.next()) as string)?.[1]));
  expect(joined.sort()).toEqual([1, 2, 3, 4, 5, 6]);
  clients[0]!.send('hello');
  for (const client of clients.slice(1)) {
    let message = '';
    while (!message.endsWith('hello')) message = (await client.next()) as string;
    expect(message).toMatch(/^Thread \d+: hello$/);
  }
  expect(await ask('POST', '/crash')).toBe('bye\n');
  await until(() => /A worker ended: thread \d+ was told to/.test(output), 'a worker has ended');
  const victim = `${/thread \d+(?= was told)/.exec(output)?.[0]}\n`;
  const after = await threads(3);
  expect(before.has(victim)).toBe(true);
  expect(after.has(victim)).toBe(false);
  expect(child.exitCode).toBe(null);
  for (const { socket } of clients) socket.terminate();
});
