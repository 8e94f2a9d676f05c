import { createServer } from 'node:net';
import { App, MillraceError, SSLApp, serve } from 'millrace';
import { describe, expect, test } from 'vitest';
import { HOST } from '../../support/servers/server.ts';
import { tlsOptions } from '../../support/tls/tls.ts';

const MODULE = new URL('../fixtures/main-app.js', import.meta.url);

/** The error must name the option and say what to do instead. */
function invalid(option: string, remedy: string): unknown {
  return expect.objectContaining({
    name: 'MillraceError',
    code: 'MILLRACE_INVALID_OPTION',
    message: expect.toSatisfy((message: string) => message.includes(option) && message.includes(remedy)),
  });
}

function errorOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

const NUMBERS: [string, unknown[], string][] = [
  ['maxPayloadLength', [0, -1, 0.5, Number.NaN, '16k', '', true, false, [5]], 'from 1 to'],
  ['idleTimeout', [1, 7, 961, -8, 0.5, '7', '-8', true], 'from 8 to 960 (seconds), or 0 for never'],
  ['maxBackpressure', [-1, 0.5, '64k', {}], 'or 0 for no limit'],
  ['maxLifetime', [241, -1, '241'], 'from 1 to 240 (minutes)'],
  ['maxFragments', [0, -5, '0', 5n], 'from 1 to'],
  ['maxPingsPerSecond', [0, 0.1], 'from 1 to'],
  ['closeTimeout', [0, 961], 'from 1 to 960 (seconds)'],
];

describe('options of ws()', () => {
  test.each(NUMBERS)('%s', (name, values, remedy) => {
    for (const value of values) {
      const error = errorOf(() => App().ws('/chat', { [name]: value }));
      expect(error, String(value)).toEqual(invalid(name, remedy));
      expect((error as Error).message).toContain("ws('/chat')");
    }
  });

  test.each([
    ['idleTimeout', '7', "; got '7' (a string)"],
    ['idleTimeout', '\u001b[31m\n', String.raw`; got '\x1b[31m\n' (a string)`],
    ['idleTimeout', 'x'.repeat(100), `; got '${'x'.repeat(40)}… (60 more characters)' (a string)`],
    ['idleTimeout', 7.5, '; got 7.5'],
    ['maxFragments', {}, '; got an object'],
    ['maxFragments', [1], '; got an array'],
    ['maxFragments', true, '; got true (a boolean)'],
    ['maxFragments', 5n, '; got 5n (a bigint)'],
    ['maxFragments', () => {}, '; got a function'],
    ['sendPingsAutomatically', 'yes', "; got 'yes' (a string)"],
    ['message', 'echo', "; got 'echo' (a string)"],
    ['compression', 'on', "; got 'on' (a string)"],
  ])('%s: the error quotes %o', (name, value, quote) => {
    expect(errorOf(() => App().ws('/', { [name]: value }))).toEqual(invalid(name, quote));
  });

  test('what JavaScript callers pass in place of numbers and flags', () => {
    for (const idleTimeout of ['16', ' 16 ', 16.9, null, false, 0]) App().ws('/', { idleTimeout } as never);
    for (const maxPayloadLength of ['100', 100.5, null, 2 ** 33, Number.POSITIVE_INFINITY]) {
      App().ws('/', { maxPayloadLength } as never);
    }
    for (const flag of [0, 1, null]) {
      App().ws('/', { closeOnBackpressureLimit: flag, sendPingsAutomatically: flag } as never);
    }
    for (const compression of ['1', 1.5, true, false, null]) App().ws('/', { compression } as never);
    App().ws('/', { origins: null, protocols: null, maxLifetime: 240 } as never);
    App({ maxConnections: '10', maxHeadSize: '4096', proxyProtocol: 1, backlog: null } as never);
    App(null as never);
  });

  test.each([
    ['closeOnBackpressureLimit', 2, 'true or false'],
    ['sendPingsAutomatically', 'yes', 'true or false'],
    ['message', 'echo', 'function'],
    ['open', {}, 'function'],
    ['onError', 5, 'function'],
    ['protocols', 'chat', "list of names such as ['chat.v1']"],
    ['protocols', [''], 'list of names'],
    ['protocols', [5], 'list of names'],
    ['compression', 'on', 'DISABLED'],
    ['origins', 'https://example.com', 'list'],
    ['origins', ['example.com'], 'scheme://host'],
    ['origins', ['https://example.com/path'], 'without path'],
    ['origins', 5, "['https://example.com']; got 5"],
    ['origins', [Symbol('x')], 'has the entry a symbol, which is no origin'],
    ['protocols', 'chat', "; got 'chat' (a string)"],
  ])('%s: %j', (name, value, remedy) => {
    const error = errorOf(() => App().ws('/chat', { [name]: value }));
    expect(error).toEqual(invalid(name, remedy));
  });

  test('a name that is misspelt; others are passed over, as frameworks hand theirs through', () => {
    const rule = "'maxPayloadLenght' is no option or handler; did you mean 'maxPayloadLength'?";
    expect(errorOf(() => App().ws('/chat', { maxPayloadLenght: 5 } as never))).toEqual(
      invalid("ws('/chat'): ", rule),
    );
    App().ws('/chat', {
      onConnection: () => {},
      path: '/',
      verifyClient: null,
      maxPayloadLenght: undefined,
    } as never);
  });

  test('the behavior itself', () => {
    for (const behavior of [undefined, null, 'x', () => {}]) {
      expect(errorOf(() => App().ws('/', behavior as never))).toEqual(invalid('behavior', 'object'));
    }
  });

  test('null for a handler is none, as in uWebSockets.js, and the limits may be reached', () => {
    App().ws('/', { open: null, message: null, close: null } as never);
    App().ws('/', { idleTimeout: 0, maxBackpressure: 0, maxLifetime: 0, compression: 0 });
    App().ws('/', { idleTimeout: 8, maxLifetime: 1, maxPayloadLength: 1, closeTimeout: 1 });
    App().ws('/', { idleTimeout: 960, maxLifetime: 240, closeTimeout: 960, origins: '*', protocols: [] });
  });
});

const SERVER_NUMBERS: [string, unknown[], string][] = [
  ['maxHeadSize', [0, 100, 2 ** 30, '4k'], 'from 256 to'],
  ['maxHeaders', [0, 1e6], 'from 1 to'],
  ['handshakeTimeout', [0, 0.5, 961], 'from 1 to 960 (seconds)'],
  ['keepAliveTimeout', [0, 0.5, 86_401], 'from 1 to 86400 (seconds)'],
  ['maxConnections', [-1, 'many'], 'or 0 for as many as descriptors allow'],
  ['maxConnectionsPerAddress', [-1], 'or 0 for no limit'],
  ['backlog', [0, 65_536], 'from 1 to 65535'],
];

describe('options of App()', () => {
  test.each(SERVER_NUMBERS)('%s', (name, values, remedy) => {
    for (const value of values) {
      const error = errorOf(() => App({ [name]: value }));
      expect(error, String(value)).toEqual(invalid(name, remedy));
    }
  });

  test.each([
    ['maxConection', 'maxConnections'],
    ['max_head_size', 'maxHeadSize'],
    ['backLog', 'backlog'],
    ['proxyprotocol', 'proxyProtocol'],
    ['cert_filename', 'cert_file_name'],
    ['ssl_cipher', 'ssl_ciphers'],
  ])('%s is misspelt', (name, meant) => {
    const rule = `'${name}' is no option; did you mean '${meant}'?`;
    expect(errorOf(() => App({ [name]: 1 }))).toEqual(invalid('App: ', rule));
    expect(errorOf(() => SSLApp({ ...tlsOptions(), [name]: 1 }))).toEqual(invalid('SSLApp: ', rule));
    App({ [name]: undefined });
  });

  test('TLS options are those of uWebSockets.js, and have no effect without TLS', () => {
    const files = { ...tlsOptions(), ca_file_name: 'none', passphrase: 'x', dh_params_file_name: 'none' };
    App({ ...files, ssl_ciphers: 'none', ssl_prefer_low_memory_usage: true });
    SSLApp({ ...tlsOptions(), passphrase: 'x', ssl_ciphers: 'HIGH', ssl_prefer_low_memory_usage: true });
  });

  test('options of a framework, which hands over all it was given, are passed over', () => {
    const foreign: object = {
      is_ssl: false,
      auto_close: true,
      exclusive_port: false,
      fast_abort: false,
      strict_middleware: false,
      trust_proxy: false,
      fast_buffers: false,
      max_body_buffer: 16_384,
      max_body_length: 256_000,
      streaming: {},
    };
    App(foreign);
    SSLApp({ ...tlsOptions(), ...foreign });
  });

  test('a name that is misspelt where certificates are given', async () => {
    const { key_file_name, cert_file_name } = tlsOptions();
    const misspelt = { key_file_name, cert_filename: cert_file_name } as never;
    const rule = "'cert_filename' is no option; did you mean 'cert_file_name'?";
    const app = SSLApp(tlsOptions());
    expect(errorOf(() => app.addServerName('a.example', misspelt))).toEqual(invalid('addServerName: ', rule));
    expect(errorOf(() => app.reloadTls(misspelt))).toEqual(invalid('reloadTls: ', rule));
    await expect(serve({ app: MODULE, port: 0, host: HOST, shards: 1, tls: misspelt })).rejects.toEqual(
      invalid('serve: ', rule),
    );
  });

  test('a port that is none', () => {
    for (const port of [-1, 65_536, Number.NaN, '65536', true, '']) {
      expect(errorOf(() => App().listen(port as number, () => {}))).toEqual(invalid('port', '0 to 65535'));
      expect(errorOf(() => App().listen(HOST, port as number, () => {}))).toEqual(
        invalid('port', '0 to 65535'),
      );
    }
  });

  test('listen without a callback, a route with a handler that is none', () => {
    expect(errorOf(() => App().listen(0, undefined as never))).toMatchObject({
      code: 'MILLRACE_INVALID_ARGUMENT',
    });
    expect(errorOf(() => App().get('/', 'x' as never))).toMatchObject({ code: 'MILLRACE_INVALID_ARGUMENT' });
  });
});

/** What a start with these options fails with. */
async function failure(options: object): Promise<unknown> {
  const server = await serve({ app: MODULE, port: 0, host: HOST, ...options }).catch((error: unknown) => ({
    error,
  }));
  if ('error' in server) return server.error;
  await server.close();
  throw new Error('the server started');
}

function fixture(name: string): URL {
  return new URL(`../fixtures/${name}`, import.meta.url);
}

describe('options of serve()', () => {
  test.each(SERVER_NUMBERS)('%s', async (name, values, remedy) => {
    for (const value of values) {
      const reason = await failure({ [name]: value });
      expect(reason, String(value)).toEqual(invalid(name, remedy));
    }
  });

  test.each([
    ['port', [-1, 65_536, '65536', 'http', undefined, null], '0 to 65535'],
    ['port', [null], '; got null'],
    ['port', ['-9001'], "; got '-9001' (a string)"],
    ['shards', [0, -1, 65, 0.5, 'two', true], 'leave it out for one for each core'],
    ['app', [undefined, null, 5, '', {}], 'new URL('],
    ['app', [5], '; got 5'],
    ['app', [null], '; got null'],
    ['host', ['', 5], 'an address or a host name'],
    ['balance', ['random', 5, {}, { sticky: 'x' }, { sticky: { header: '' } }], "'round-robin'"],
    ['balance', ['random'], "; got 'random' (a string)"],
    ['handoff', ['x', 5], "'transfer'; got "],
    ['data', [() => {}, Symbol('x'), { deep: [new WeakMap()] }], 'copied between threads'],
    ['onCrash', [5, 'print'], 'must be a function'],
    ['onOverflow', [{}], 'must be a function'],
    ['quux', [2], 'is no option; there are app, port, host, shards'],
    ['shard', [2], "is no option; did you mean 'shards'? There are app, port, host, shards"],
  ])('%s', async (name, values, remedy) => {
    for (const value of values) {
      const reason = await failure({ [name]: value });
      expect(reason, JSON.stringify(value)).toEqual(invalid(name, remedy));
    }
  });

  test('what is no object', async () => {
    for (const options of [undefined, null, 9001, 'app.js']) {
      await expect(serve(options as never)).rejects.toEqual(invalid('serve', 'object with options'));
    }
  });

  test('numbers as text, and null for what is not given', async () => {
    const given = { shards: '1', balance: null, tls: null, handoff: null, onCrash: null, onOverflow: null };
    const options = { app: MODULE, port: '0', host: HOST, maxConnections: '7', backlog: null, ...given };
    const server = await serve(options as never);
    expect([server.port > 0, server.limits.maxConnections, server.limits.backlog]).toEqual([true, 7, 4096]);
    await server.close({ drain: '0' } as never);
  });

  test('drain of close()', async () => {
    const server = await serve({ app: MODULE, port: 0, host: HOST, shards: 1 });
    for (const drain of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5s', '', true]) {
      expect(
        errorOf(() => server.close({ drain } as never)),
        String(drain),
      ).toEqual(invalid('drain', 'milliseconds'));
    }
    await server.close({ drain: 0 });
  });

  test('an address in use', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, HOST, () => {
        resolve((other.address() as { port: number }).port);
      });
    });
    expect(await failure({ port })).toMatchObject({
      code: 'MILLRACE_LISTEN_FAILED',
      message: expect.stringMatching(/EADDRINUSE.*another port/),
    });
    const tokens: unknown[] = [];
    App().listen(HOST, port, (token) => tokens.push(token));
    expect(tokens).toEqual([false]);
    other.close();
  });

  test('an address this machine does not have, and a name nobody has', async () => {
    expect(await failure({ host: '192.0.2.1' })).toMatchObject({
      code: 'MILLRACE_LISTEN_FAILED',
      message: expect.stringContaining('"::" for all'),
    });
    expect(await failure({ host: 'no-such-host.invalid' })).toMatchObject({
      code: 'MILLRACE_LISTEN_FAILED',
      message: expect.stringContaining('no-such-host.invalid'),
    });
    const tokens = await new Promise((resolve) => {
      App().listen('no-such-host.invalid', 0, resolve);
    });
    expect(tokens).toBe(false);
  });

  test.each<[string, object, string | RegExp]>([
    ['is not there', { app: fixture('no-such-module.js') }, /no-such-module\.js/],
    ['is given by a path that leads nowhere', { app: '/no/such/module.js' }, /\/no\/such\/module\.js/],
    ['has no default export', { app: fixture('no-export.js') }, /default export must be a function/],
    [
      'has a default export that is no function',
      { app: fixture('bad-export.js') },
      /default export must be a function.*object/,
    ],
    ['throws', { app: fixture('throws.js'), data: 'throws' }, 'the module failed'],
    ['rejects', { app: fixture('throws.js'), data: 'rejects' }, 'the module failed'],
    ['throws what is no error', { app: fixture('throws.js'), data: 'throws no error' }, 'the module failed'],
    [
      'throws in one shard only',
      { app: fixture('throws.js'), data: 'throws in one shard' },
      'the module failed',
    ],
    ['has an option wrong', { app: fixture('throws.js'), data: 'bad option' }, "'idleTimeout'"],
    ['listens itself', { app: fixture('throws.js'), data: 'listens' }, 'serve() listens for this App'],
  ])('a module that %s', async (_name, options, message) => {
    const reason = await failure({ shards: 2, ...options });
    expect(reason).toBeInstanceOf(MillraceError);
    expect(reason).toMatchObject({
      code: 'MILLRACE_BAD_MODULE',
      message:
        typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
    });
    expect((reason as Error).cause).toBeInstanceOf(Error);
  });

  test('a module that ends its thread', async () => {
    const reason = await failure({ shards: 2, app: fixture('throws.js'), data: 'exits' });
    expect(reason).toMatchObject({ code: 'MILLRACE_SHARD_CRASHED' });
  });
});
