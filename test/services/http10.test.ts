import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchange, requestText, sized } from '../support/clients/http-client.ts';
import { HOST, MODES, type Running, startApp, startModule } from '../support/servers/server.ts';
import { until } from '../support/tools/deadline.ts';
import { startHaproxy, startNginx } from './proxies.ts';

/** Programs that speak HTTP/1.0 to a server unless they are told otherwise. */

const run = promisify(execFile);

test('nginx with the defaults of proxy_pass', async () => {
  const versions = new Set<string>();
  const app = startApp((routes) => {
    routes.any('/*', (res, req) => {
      versions.add(`${req.getHeader('connection')} ${req.getHeader('host')}`);
      res.onAborted(() => {});
      res.collectBody(2 ** 20, (body) => {
        res.write('got ');
        res.end(body!);
      });
    });
  });
  const proxy = await startNginx(app.port, { isPlain: true });
  try {
    for (const length of [0, 5, 100_000]) {
      const body = 'x'.repeat(length);
      const [answer] = await exchange(proxy.port, [sized('/a', body)], 1);
      expect(answer!.status).toBe(200);
      expect(answer!.body === `got ${body}`).toBe(true);
    }
    const both = requestText('GET', '/a') + requestText('GET', '/b');
    expect((await exchange(proxy.port, [both], 2)).map(({ body }) => body)).toEqual(['got ', 'got ']);
    expect([...versions]).toEqual(['close app']);
  } finally {
    await proxy.stop();
    await app.stop();
  }
});

test('haproxy with option httpchk', async () => {
  let checks = 0;
  const app = startApp((routes) => {
    routes.get('/health', (res) => {
      checks++;
      res.end('well');
    });
    routes.get('/', (res) => void res.end('here'));
  });
  const proxy = await startHaproxy(app.port, { check: '/health' });
  try {
    // A check that fails takes the server out; the first ones have been judged by then.
    await until(() => checks >= 4, 'checks');
    const [answer] = await exchange(proxy.port, [requestText('GET', '/')], 1);
    expect(answer).toMatchObject({ status: 200, body: 'here' });
  } finally {
    await proxy.stop();
    await app.stop();
  }
});

describe.each(MODES)('ab against %s', (mode) => {
  const REQUESTS = 300;
  let running: Running;
  beforeAll(async () => {
    running = await startModule(mode, 'heads-app.js');
  });
  afterAll(() => running.stop());

  /** What it counted. */
  async function ab(path: string, ...options: string[]): Promise<Record<string, number>> {
    const counts = ['-n', String(REQUESTS), '-c', '8'];
    const { stdout } = await run('ab', [
      '-q',
      ...counts,
      ...options,
      `http://${HOST}:${running.port}${path}`,
    ]);
    return Object.fromEntries(
      [
        ...stdout.matchAll(
          /^(Complete requests|Failed requests|Keep-Alive requests|Non-2xx responses|Document Length): +([0-9]+)/gm,
        ),
      ].map(([, name, count]) => [name!, Number(count)]),
    );
  }
  const all = { 'Complete requests': REQUESTS, 'Failed requests': 0, 'Document Length': 4 };

  test.each(['end', 'sized', 'tryEnd', 'later'])('without and with -k: %s', async (way) => {
    expect(await ab(`/answer/200/${way}`)).toEqual(all);
    expect(await ab(`/answer/200/${way}`, '-k')).toEqual({ ...all, 'Keep-Alive requests': REQUESTS });
  });

  test('a body of unknown length ends each connection', async () => {
    expect(await ab('/answer/200/write')).toEqual(all);
    expect(await ab('/answer/200/write', '-k')).toEqual({ ...all, 'Keep-Alive requests': 0 });
  });

  test('what no route takes', async () => {
    const counts = await ab('/nowhere', '-k');
    expect(counts).toMatchObject({
      'Non-2xx responses': REQUESTS,
      'Keep-Alive requests': REQUESTS,
      'Failed requests': 0,
    });
  });
});
