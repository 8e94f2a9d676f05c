import type { HttpRequest } from 'millrace';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { testRequestLifetime } from '../../support/cases/request-lifetime.ts';
import { requestText } from '../../support/clients/http-client.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { MODES, type Running, startApp, startModule } from '../../support/servers/server.ts';

describe.each(MODES)('in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    running = await startModule(mode, 'request-app.js');
  });
  afterAll(async () => {
    await running.stop();
    vi.restoreAllMocks();
  });

  testRequestLifetime(() => running.port);
});

// All Apps of a thread read into the same memory.
it('an answered request is not read any more when another App of the thread has read', async () => {
  let kept: HttpRequest | null = null;
  const first = startApp((app) => {
    app.get('/first', (res, req) => {
      kept = req;
      res.end();
    });
  });
  const second = startApp((app) => {
    app.get('/second', (res) => {
      let told = 'it came before the first';
      try {
        if (kept !== null) told = `${kept.getUrl()} ${kept.getHeader('cookie')}`;
      } catch (error) {
        told = (error as { code: string }).code;
      }
      res.end(told);
    });
  });
  const [one, two] = await Promise.all([RawClient.connect(first.port), RawClient.connect(second.port)]);
  for (let i = 0; i < 5; i++) {
    // Both are written before either is read, so that mostly both are read in the same turn.
    one.write(requestText('GET', '/first', { Cookie: 'mine' }));
    two.write(requestText('GET', '/second', { Cookie: "a stranger's" }));
    await one.response();
    const { body } = await two.response();
    if (i > 0) expect(body).toBe('MILLRACE_STALE_ACCESS');
  }
  one.destroy();
  two.destroy();
  await Promise.all([first.stop(), second.stop()]);
});
