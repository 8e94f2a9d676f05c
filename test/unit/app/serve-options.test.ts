import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  checkBalance,
  checkHandoff,
  checkServeOptions,
  checkShards,
  hostAddress,
  moduleUrl,
  type ServeOptions,
} from '../../../src/app/serve-options.ts';
import { SHARD_RANGE } from '../../../src/options/server-options.ts';

const invalid = (message: string) =>
  expect.objectContaining({
    code: 'MILLRACE_INVALID_OPTION',
    message: expect.stringContaining(message) as string,
  }) as Error;

describe('checkServeOptions', () => {
  it('gives what is not null, callbacks and data as they are', () => {
    const onCrash = (): void => {};
    const data = { list: [1, new Map([['a', 1n]])] };
    const given = { app: './app.js', port: 0, host: null, onCrash, onStalled: undefined, data };
    const checked = checkServeOptions(given as unknown as ServeOptions);
    expect(checked).not.toHaveProperty('host');
    expect(checked).toMatchObject({ app: './app.js', port: 0 });
    expect(checked.onCrash).toBe(onCrash);
    expect(checked.data).toBe(data);
  });

  it.each([undefined, null, 9001, 'app.js'])('does not take %j for options', (options) => {
    expect(() => checkServeOptions(options as never)).toThrow(invalid('must be an object with options'));
  });

  it('refuses a name that there is not, and says which was meant', () => {
    const options = { app: './app.js', port: 0, shard: 2 } as unknown as ServeOptions;
    expect(() => checkServeOptions(options)).toThrow(invalid("'shards'"));
  });

  it.each(['onCrash', 'onStalled', 'onRecovered', 'onHeapFull', 'onOverflow'])(
    'refuses %s that is no function',
    (name) => {
      const options = { app: './app.js', port: 0, [name]: 'log' } as unknown as ServeOptions;
      expect(() => checkServeOptions(options)).toThrow(invalid(`serve: '${name}' must be a function`));
    },
  );

  it.each([[() => {}], [{ deep: [Symbol('s')] }]])('refuses data that no thread could get: %s', (data) => {
    expect(() => checkServeOptions({ app: './app.js', port: 0, data })).toThrow(
      invalid("'data' must be something that can be copied between threads"),
    );
  });
});

describe('moduleUrl', () => {
  it('takes URLs and paths, relative ones from the folder of the process', () => {
    expect(moduleUrl(new URL('file:///srv/a.js?x'))).toBe('file:///srv/a.js?x');
    expect(moduleUrl('file:///srv/a.js')).toBe('file:///srv/a.js');
    expect(moduleUrl('/srv/a#b%.js')).toBe('file:///srv/a%23b%25.js');
    expect(moduleUrl('app.js')).toBe(pathToFileURL(resolve('app.js')).href);
  });

  it.each([undefined, '', 7, {}])('refuses %j', (app) => {
    expect(() => moduleUrl(app)).toThrow(invalid("'app' must be the URL or path of a module"));
  });
});

describe('hostAddress', () => {
  it.each(['127.0.0.1', '::', '::1', 'localhost'])('leaves %s as it is', async (host) => {
    expect(await hostAddress(host)).toBe(host);
  });

  it.each([undefined, '', 1])('refuses %j', async (host) => {
    await expect(hostAddress(host)).rejects.toThrow(invalid("'host' must be an address or a host name"));
  });

  it('says that a name is not known, and why', async () => {
    // A label of 64 characters is no name (RFC 1035 §2.3.4), so nobody is asked.
    const name = `${'a'.repeat(64)}.invalid`;
    await expect(hostAddress(name)).rejects.toMatchObject({
      code: 'MILLRACE_LISTEN_FAILED',
      message: `Cannot listen: the host name '${name}' is not known`,
      cause: { syscall: 'getaddrinfo' },
    });
  });
});

describe('checkShards', () => {
  it('is one for each core when left out', () => {
    expect(checkShards(undefined)).toBe(Math.min(availableParallelism(), SHARD_RANGE.max));
    expect(checkShards(null)).toBe(checkShards(undefined));
    expect([1, 63, '2', 1.5].map(checkShards)).toEqual([1, 63, 2, 1]);
  });

  it.each([0, 64, -1, 0.5, 64.5, Number.NaN, Number.POSITIVE_INFINITY, 'two', true])(
    'refuses %s',
    (shards) => {
      expect(() => checkShards(shards)).toThrow(invalid("'shards' must be an integer from 1 to 63"));
    },
  );
});

describe('checkBalance', () => {
  it('is by connections when left out; of sticky ones it keeps what it knows', () => {
    expect(checkBalance(undefined, false)).toBe('least-connections');
    expect(checkBalance('round-robin', true)).toBe('round-robin');
    expect(checkBalance({ sticky: 'ip', other: 1 }, true)).toEqual({ sticky: 'ip' });
    expect(checkBalance({ sticky: 'url' }, false)).toEqual({ sticky: 'url' });
    expect(checkBalance({ sticky: { header: 'x-a' } }, false)).toEqual({ sticky: { header: 'x-a' } });
    expect(checkBalance({ sticky: { cookie: 'id' } }, false)).toEqual({ sticky: { cookie: 'id' } });
  });

  it.each(['url', { header: 'x-a' }, { cookie: 'id' }])(
    'refuses %j under TLS, of which nothing can be read',
    (sticky) => {
      expect(() => checkBalance({ sticky }, true)).toThrow(invalid("under 'tls'"));
    },
  );

  it.each([
    null,
    'random',
    {},
    { sticky: 'path' },
    { sticky: null },
    { sticky: { header: '' } },
    { sticky: { cookie: 1 } },
  ])('refuses %j', (balance) => {
    expect(() => checkBalance(balance, false)).toThrow(invalid("'balance' must be"));
  });
});

it('checkHandoff takes the modes, and is auto when left out', () => {
  expect([undefined, 'auto', 'channel', 'transfer'].map(checkHandoff)).toEqual([
    'auto',
    'auto',
    'channel',
    'transfer',
  ]);
  for (const handoff of [null, '', 'Channel', 1]) {
    expect(() => checkHandoff(handoff)).toThrow(invalid("'handoff' must be 'auto', 'channel' or 'transfer'"));
  }
});
