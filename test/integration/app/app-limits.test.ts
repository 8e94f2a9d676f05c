import { afterEach, describe, expect, test, vi } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { requestText } from '../../support/clients/http-client.ts';
import { handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { closeText, Route } from '../../support/protocol/route.ts';
import { startApp } from '../../support/servers/server.ts';
import { sleep } from '../../support/tools/deadline.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('maxConnections of an App in one thread', () => {
  test('lets so many in, answers 503 to others whatever they ask, and gives places back', async () => {
    const running = startApp(
      (app) => {
        app.ws('/', {});
        app.get('/hello', (res) => {
          res.end('hello');
        });
      },
      { maxConnections: 2 },
    );
    const inside = [await Client.connect(running.ws()), await RawClient.connect(running.port)] as const;
    inside[1].write(requestText('GET', '/hello'));
    expect((await inside[1].response()).body).toBe('hello');
    for (const text of [handshakeText('/'), requestText('GET', '/hello'), requestText('GET', '/none')]) {
      const outside = await RawClient.connect(running.port);
      outside.write(text + requestText('GET', '/hello'));
      expect(await outside.response()).toMatchObject({ status: 503 });
      expect(await outside.readToEnd()).toHaveLength(0);
      outside.destroy();
    }
    await inside[0].close();
    inside[1].destroy();
    const later = await Client.connect(running.ws());
    await later.close();
    await running.stop();
  });
});

test('maxLifetime ends a connection that is as busy as can be with 1000, when it is over', async () => {
  // A minute is the least: the clock is moved on, the timers run as they do.
  const now = performance.now.bind(performance);
  let moved = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now() + moved);
  const closed: string[] = [];
  const route = new Route({
    maxLifetime: 1,
    idleTimeout: 0,
    message: (ws, message, isBinary) => void ws.send(message, isBinary),
    close: (_ws, code, message) => void closed.push(`${code} ${closeText(message)}`),
  });
  const client = await Client.connect(route.running.ws());
  for (const seconds of [20, 40, 55]) {
    moved = seconds * 1000;
    await sleep(1100);
    expect(await client.ask(`after ${seconds}`)).toBe(`after ${seconds}`);
  }
  moved = 62_000;
  expect(await client.closed()).toEqual({ code: 1000, reason: 'please reconnect' });
  expect(closed).toEqual(['1000 please reconnect']);
  await route.stop();
});
