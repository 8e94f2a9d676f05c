import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Server, serve } from 'millrace';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { example, MillraceProcess } from '../../support/servers/millrace-process.ts';
import { until } from '../../support/tools/deadline.ts';

let server: Server | undefined;
afterEach(async () => {
  await server?.close({ drain: 0 });
  server = undefined;
});

const CRASH_LOOP = new URL('../fixtures/crash-loop.js', import.meta.url);

async function start(app: URL | string, shards = 2): Promise<Server> {
  const data = { starts: new SharedArrayBuffer(4), manner: '' };
  server = await serve({ app, port: 0, host: '127.0.0.1', shards, data, onCrash: () => {} });
  return server;
}

/** A client that echoes as fast as it can, until it is told to stop. */
async function talk(port: number): Promise<() => void> {
  const client = new WebSocket(`ws://127.0.0.1:${port}/`);
  await new Promise((resolve) => client.once('open', resolve));
  client.on('error', () => {});
  client.on('message', (data) => {
    client.send(data);
  });
  client.send('to and fro');
  return () => {
    client.terminate();
  };
}

describe('server.profile', () => {
  it('records the main thread, the acceptor and every shard, each with its own functions', async () => {
    const { port } = await start(example('echo.js'));
    const ends = await Promise.all(Array.from({ length: 8 }, () => talk(port)));
    const parsing: Record<string, boolean> = {};
    // A sample is where the thread is at that moment, which on a busy machine is seldom in the parser.
    for (let i = 0; i < 30 && !(parsing['shard 0'] && parsing['shard 1']); i++) {
      const threads = await server!.profile(1, { interval: 200 });
      expect(threads.map(({ thread }) => thread)).toEqual(['main', 'acceptor', 'shard 0', 'shard 1']);
      for (const { thread, profile } of threads) {
        const parses = profile.nodes.some(({ callFrame }) =>
          callFrame.url.endsWith('/protocol/frame-parser.js'),
        );
        parsing[thread] = parses || parsing[thread] === true;
        expect(profile.samples!.length).toBeGreaterThan(0);
      }
    }
    for (const end of ends) end();
    expect(parsing).toEqual({ main: false, acceptor: false, 'shard 0': true, 'shard 1': true });
  });

  it('ends with the server', async () => {
    await start(example('echo.js'));
    const recording = server!.profile(300);
    await server!.close({ drain: 0 });
    expect((await recording).map(({ thread }) => thread)).toContain('main');
  });

  it('leaves out a shard that dies meanwhile, and goes on after it', async () => {
    const { port } = await start(CRASH_LOOP);
    const recording = server!.profile(1);
    // Whoever is on shard 0 ends it.
    const clients = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const client = new WebSocket(`ws://127.0.0.1:${port}/`);
        client.on('error', () => {});
        const shard = await new Promise((resolve) => {
          client.once('message', (data) => {
            resolve((data as Buffer).toString());
          });
          // It came to shard 0 when another one had ended that.
          client.once('close', resolve);
        });
        if (shard === '0') client.send('!die');
        return client;
      }),
    );
    const threads = await recording;
    for (const client of clients) client.terminate();
    expect(threads.map(({ thread }) => thread)).toEqual(['main', 'acceptor', 'shard 1']);
    await until(() => server!.stats().shards[0]!.state === 'ready', 'the shard is back');
    const again = await server!.profile(0.1);
    expect(again).toHaveLength(4);
  });

  it('is ended early by its signal, and by close', async () => {
    await start(example('echo.js'), 1);
    // Longer than this test may take: what does not end it makes it fail.
    const early = await server!.profile(300, { signal: AbortSignal.timeout(100) });
    expect(early).toHaveLength(3);
    const recording = server!.profile(300);
    await server!.close({ drain: 1000 });
    // The others hand theirs in where they can before they end.
    expect((await recording).map(({ thread }) => thread)).toContain('main');
  });

  it('takes one recording at a time, and no time or interval beyond its range', async () => {
    await start(example('echo.js'), 1);
    const recording = server!.profile(0.2);
    await expect(server!.profile(0.2)).rejects.toMatchObject({ code: 'MILLRACE_APP_STATE' });
    await recording;
    const refused = { code: 'MILLRACE_INVALID_ARGUMENT' };
    for (const seconds of [0, -1, 301, Number.NaN])
      await expect(server!.profile(seconds)).rejects.toMatchObject(refused);
    for (const interval of [0, 49, 1e6])
      await expect(server!.profile(1, { interval })).rejects.toMatchObject(refused);
    await expect(server!.profile(0.1)).resolves.toHaveLength(3);
  });
});

describe('SIGUSR2', () => {
  it('makes a server that runs write a profile of each thread, while it serves', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-usr2-'));
    try {
      const served = new MillraceProcess(
        ['serve', example('echo.js'), '--port', '0', '--shards', '1'],
        {},
        folder,
      );
      try {
        await served.ready();
        served.kill('SIGUSR2');
        await until(() => served.stderr.includes('recording'), 'it records');
        served.kill('SIGUSR2');
        const end = await talk(served.port);
        await until(() => served.stderr.includes('profile written'), 'it is written', 60_000);
        end();
        expect(served.stderr).toContain('being recorded already');
        const [made] = readdirSync(folder);
        const files = readdirSync(join(folder, made!));
        for (const thread of ['main', 'acceptor', 'shard-0']) expect(files).toContain(`${thread}.cpuprofile`);
        expect(existsSync(join(folder, made!, 'shard-0.html'))).toBe(true);
        expect(readFileSync(join(folder, made!, 'shard-0.cpuprofile'), 'utf8')).toContain(
          'FrameParser.parse',
        );
        served.kill('SIGTERM');
        expect(await served.exit()).toEqual({ code: 0, signal: null });
      } finally {
        await served.stop();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
