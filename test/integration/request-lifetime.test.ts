import { afterAll, beforeAll, describe, vi } from 'vitest';
import { testRequestLifetime } from '../support/request-lifetime.ts';
import { MODES, type Running, startModule } from '../support/server.ts';

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
