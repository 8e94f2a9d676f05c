import { afterAll, beforeAll, describe } from 'vitest';
import { testRequestLifetime } from '../../support/cases/request-lifetime.ts';
import { JoinedApps } from './joined-apps.ts';

describe('in children of an App', () => {
  let apps: JoinedApps;
  beforeAll(async () => {
    apps = await JoinedApps.start(2, 'request-app.js');
  });
  afterAll(() => apps.stop());

  testRequestLifetime(() => apps.port);
});
