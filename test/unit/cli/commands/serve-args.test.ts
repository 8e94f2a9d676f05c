import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../../src/cli/args.ts';
import { parseServeArgs, serveHelp } from '../../../../src/cli/commands/serve-args.ts';
import { flagOf, limitText } from '../../../../src/options/option.ts';
import { SERVE_LIMITS } from '../../../../src/options/server-limits.ts';
import {
  HOST_OPTIONS,
  SERVE_OPTIONS,
  SHARD_RANGE,
  TLS_OPTIONS,
} from '../../../../src/options/server-options.ts';
import { MAX_THREADS } from '../../../../src/ring/layout.ts';

const optionsOf = (...argv: string[]): unknown => parseServeArgs(['app.js', ...argv])?.options;

describe('parseServeArgs', () => {
  test('leaves to the server what is not given', () => {
    expect(parseServeArgs(['app.js'])).toEqual({
      module: 'app.js',
      options: { port: 9001 },
      close: { drain: 10_000, grace: 1000 },
    });
  });

  test('reads every flag', () => {
    const argv =
      'app.js --port 0 --host 127.0.0.1 --shards 3 --balance round-robin --handoff channel --drain 0 --grace 7 ' +
      '--max-connections 5 --max-connections-per-address 6 --max-handshakes 64 --handshake-timeout 7 ' +
      '--keep-alive-timeout 8 --max-head-size 800 --max-headers 9 --backlog 10 --ring-size 8192 --max-overflow 4096';
    expect(parseServeArgs(argv.split(' '))).toEqual({
      module: 'app.js',
      close: { drain: 0, grace: 7 },
      options: {
        port: 0,
        host: '127.0.0.1',
        shards: 3,
        balance: 'round-robin',
        handoff: 'channel',
        maxConnections: 5,
        maxConnectionsPerAddress: 6,
        maxHandshakes: 64,
        handshakeTimeout: 7,
        keepAliveTimeout: 8,
        maxHeadSize: 800,
        maxHeaders: 9,
        backlog: 10,
        ringSize: 8192,
        maxOverflow: 4096,
      },
    });
  });

  test('reads the names that the server is called by, and that a proxy ends TLS', () => {
    const argv = ['--allowed-hosts', 'example.com, .example.org', '--behind-tls'];
    expect(optionsOf(...argv)).toEqual({
      port: 9001,
      allowedHosts: ['example.com', '.example.org'],
      behindTls: true,
    });
  });

  test.each([
    ['least-connections', 'least-connections'],
    ['round-robin', 'round-robin'],
    ['sticky:ip', { sticky: 'ip' }],
    ['sticky:url', { sticky: 'url' }],
    ['sticky:header=x-user', { sticky: { header: 'x-user' } }],
    ['sticky:cookie=sid', { sticky: { cookie: 'sid' } }],
  ])('reads --balance %s', (text, balance) => {
    expect(optionsOf('--balance', text)).toEqual({ port: 9001, balance });
  });

  test.each(['sticky', 'sticky:', 'sticky:header', 'sticky:header=', 'sticky:cookies=a', 'random'])(
    'refuses --balance %s and names what there is',
    (text) => {
      expect(() => optionsOf('--balance', text)).toThrow(/round-robin, sticky:ip.*got '/);
    },
  );

  test.each([
    ['--shards', '64'],
    ['--shards', '0'],
    ['--port', '65536'],
    ['--drain', '3600001'],
    ['--grace', '3600001'],
    ['--handshake-timeout', '0'],
    ['--max-head-size', '255'],
    ['--handoff', 'teleport'],
  ])('refuses %s %s', (flag, value) => {
    expect(() => optionsOf(flag, value)).toThrow(UsageError);
  });

  test('knows how many shards there may be', () => {
    expect(SHARD_RANGE.max).toBe(MAX_THREADS - 1);
  });

  test.each(Object.keys(SERVE_LIMITS))('has a flag for the limit %s', (name) => {
    const { min } = SERVE_LIMITS[name as keyof typeof SERVE_LIMITS];
    expect(optionsOf(`--${flagOf(name)}`, String(min))).toEqual({ port: 9001, [name]: min });
  });

  test('has a flag for every option of serve() but those that only a program can give', () => {
    const help = serveHelp();
    const hasFlag = ([name, row]: [string, { readonly flag?: string }]): boolean =>
      help.includes(`--${flagOf(name, row)} `) || help.includes(`--${flagOf(name, row)}\n`);
    const without = [SERVE_OPTIONS, HOST_OPTIONS, SERVE_LIMITS, TLS_OPTIONS]
      .flatMap((table) => Object.entries<{ readonly type: string; readonly flag?: string }>(table))
      .filter((entry) => entry[1].type !== 'callback' && !hasFlag(entry))
      .map(([name]) => name);
    // MODULE stands for app, --cert and --key for tls, --passphrase-file for the passphrase.
    expect(without).toEqual(['app', 'tls', 'data', 'passphrase', 'ssl_prefer_low_memory_usage']);
  });

  test.each(['--adapter', '--status-port'])('does not know %s', (flag) => {
    expect(() => optionsOf(flag, 'x')).toThrow(`there is no flag ${flag}`);
  });

  test('takes a certificate with its key, authorities and a passphrase', () => {
    const tls = { cert_file_name: 'c.pem', key_file_name: 'k.pem' };
    expect(optionsOf('--cert', 'c.pem', '--key', 'k.pem')).toEqual({ port: 9001, tls });
    expect(optionsOf('--cert', 'c.pem', '--key', 'k.pem', '--ca', 'a.pem')).toEqual({
      port: 9001,
      tls: { ...tls, ca_file_name: 'a.pem' },
    });
    expect(
      optionsOf('--cert', 'c.pem', '--key', 'k.pem', '--ciphers', 'HIGH', '--dh-params', 'd.pem'),
    ).toEqual({ port: 9001, tls: { ...tls, ssl_ciphers: 'HIGH', dh_params_file_name: 'd.pem' } });
    const file = fileURLToPath(import.meta.url);
    expect(optionsOf('--cert', 'c.pem', '--key', 'k.pem', '--passphrase-file', file)).toEqual({
      port: 9001,
      tls: { ...tls, passphrase: "import { fileURLToPath } from 'node:url';" },
    });
    const isMissing = (): unknown => optionsOf('--cert', 'c', '--key', 'k', '--passphrase-file', '/none');
    expect(isMissing).toThrow('--passphrase-file: there is no file that can be read (ENOENT)');
    expect(isMissing).not.toThrow('/none');
  });

  test.each([
    [['--cert', 'c.pem'], '--cert without --key'],
    [['--key', 'k.pem', '--ca', 'a.pem'], '--key and --ca without --cert'],
    [['--ca', 'a.pem'], '--ca without --cert'],
  ])('refuses %j', (argv, message) => {
    expect(() => optionsOf(...argv)).toThrow(message);
  });

  test('asks for the module when there is none, and refuses two', () => {
    expect(() => parseServeArgs([])).toThrow('name the app module');
    expect(() => parseServeArgs(['a.js', 'b.js'])).toThrow("got 'a.js' and 'b.js'");
  });

  test('gives null when help is asked for, whatever else is there', () => {
    expect(parseServeArgs(['--help'])).toBeNull();
    expect(parseServeArgs(['a.js', 'b.js', '-h'])).toBeNull();
  });
});

describe('serveHelp', () => {
  test('names each limit of the server with its unit, default and range, the signals and the exit codes', () => {
    const help = serveHelp();
    const text = help.replace(/\s+/g, ' ');
    for (const limit of Object.values(SERVE_LIMITS)) expect(text).toContain(limitText(limit));
    for (const word of ['--port N', '--balance HOW', 'SIGTERM', 'Exit codes']) expect(help).toContain(word);
  });

  test('fits a terminal of 80 columns', () => {
    expect(
      Math.max(
        ...serveHelp()
          .split('\n')
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(80);
  });
});
