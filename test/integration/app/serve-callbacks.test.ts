import { type ServeOptions, type Server, serve } from 'millrace';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { flushReports } from '../../../dist/src/error-report.js';
import { WAYS, type Way } from '../../support/cases/failures.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { text } from '../../support/protocol/frame-bytes.ts';
import { HOST } from '../../support/servers/server.ts';
import { DEADLINE, until } from '../../support/tools/deadline.ts';

const uncaught: unknown[] = [];
const note = (error: unknown): void => {
  uncaught.push(error);
};

let log: string[] = [];
let server: Server;
beforeEach(() => {
  const lines: string[] = [];
  log = lines;
  flushReports();
  vi.spyOn(console, 'error').mockImplementation((line) => {
    lines.push(String(line));
  });
  process.on('unhandledRejection', note).on('uncaughtException', note);
});
afterEach(async () => {
  await server.close({ drain: 0 });
  vi.restoreAllMocks();
  process.off('unhandledRejection', note).off('uncaughtException', note);
  expect(uncaught.splice(0)).toEqual([]);
});

async function start(options: Partial<ServeOptions>): Promise<void> {
  server = await serve({
    app: new URL('../fixtures/careless-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards: 1,
    ...options,
  });
}

/** To the shard that is started anew; until then connections are refused. */
async function connect(): Promise<RawClient> {
  const end = performance.now() + DEADLINE;
  for (;;) {
    const client = await RawClient.webSocket(server.port).catch((error: unknown) => error as Error);
    if (client instanceof RawClient) return client;
    if (performance.now() > end) throw client;
  }
}

async function get(path: string): Promise<void> {
  const client = await RawClient.connect(server.port);
  client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  await client.readToEnd();
}

describe('onCrash', () => {
  test('may fail in any way: the shard is started anew, and the process lives', async () => {
    const ways: Way[] = [
      'throws',
      'rejects at once',
      'rejects later',
      'returns an object whose then cannot be read',
    ];
    let crashes = 0;
    await start({ onCrash: () => WAYS[ways[crashes++]!]() as unknown as void });
    for (const [i, way] of ways.entries()) {
      await get('/die');
      await until(() => crashes === i + 1, `the crash is told to a callback that ${way}`);
      const client = await connect();
      client.send(text('served'));
      expect(await client.text()).toBe('served');
      client.destroy();
    }
    flushReports();
    const all = log.join('\n');
    expect(log[0]).toMatch(/^millrace: serve: 'onCrash' threw: Error: the handler failed\n {4}at /);
    expect(all.match(/onCrash/g)!.length).toBeGreaterThan(1);
  });

  test('that is missing: the crash is printed, harmlessly', async () => {
    await start({});
    await get('/die');
    await until(() => log.length > 0, 'a report');
    expect(log[0]).toMatch(
      /^millrace: shard 0 ended unexpectedly and is started anew at once: .*\\x1b\[2Jdied\\nof it/,
    );
    // oxlint-disable-next-line no-control-regex -- what must not be there
    expect(log.join('')).not.toMatch(/\x1b/);
  });
});

test('onOverflow may fail in any way: who publishes hears nothing of it', async () => {
  const data = new Int32Array(new SharedArrayBuffer(4));
  let calls = 0;
  await start({
    data,
    ringSize: 65_536,
    maxOverflow: 65_536,
    onOverflow: () => {
      calls++;
      return (calls % 2 === 0 ? WAYS.throws() : WAYS['rejects at once']()) as unknown as void;
    },
  });
  const client = await RawClient.webSocket(server.port);
  await until(() => server.numSubscribers('all') === 1, 'the client is subscribed');
  await get('/halt');
  await until(() => {
    for (let i = 0; i < 100; i++) server.publish('all', 'x'.repeat(10_000));
    return calls > 1;
  }, 'two overflows are told');
  Atomics.store(data, 0, 1);
  Atomics.notify(data, 0);
  client.send(text('alive'));
  let frame = await client.text();
  while (frame !== 'alive') frame = await client.text();
  expect(log[0]).toContain("millrace: serve: 'onOverflow' threw: Error: the handler failed");
});
