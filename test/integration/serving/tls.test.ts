import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { SSLApp, serve } from 'millrace';
import { Agent, fetch, WebSocket as UndiciWebSocket } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { HOST, MODES, type Running } from '../../support/servers/server.ts';
import { makeCertificate } from '../../support/tls/certificates.ts';
import {
  connectTls,
  fingerprintFor,
  SERVER_CERTIFICATE,
  startTls,
  tlsErrorOf,
  tlsOptions,
} from '../../support/tls/tls.ts';
import { sleep, until, within } from '../../support/tools/deadline.ts';

const authority = makeCertificate('Authority', { isAuthority: true });
const TRUST = { ca: SERVER_CERTIFICATE.cert };

describe.each(MODES)('TLS in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    running = await startTls(mode, 'main-app.js');
  });
  afterAll(() => running.stop());

  test('messages of all sizes come back as they were', async () => {
    const client = await Client.connect(running.ws('/echo'), TRUST);
    for (const size of [0, 1, 125, 126, 16_383, 16_384, 16_385, 65_535, 65_536, 262_144, 1_048_576]) {
      const message = pattern(size, size + 1);
      expect(Buffer.compare((await client.ask(message)) as Uint8Array, message), `${size} bytes`).toBe(0);
    }
    expect(await client.ask('größer €uro 😀')).toBe('größer €uro 😀');
    expect(await client.close(4000)).toEqual({ code: 4000, reason: '' });
  });

  test('messages by the thousand come back in order', async () => {
    const client = await Client.connect(running.ws('/echo'), TRUST);
    const messages = Array.from({ length: 3000 }, (_, i) => `${i} ${'x'.repeat(i % 300)}`);
    for (const message of messages) client.send(message);
    expect(await client.messages.take(messages.length)).toEqual(messages);
    await client.close();
  });

  test("'same-origin' lets in pages that came by TLS themselves, and no others", async () => {
    const host = `${HOST}:${running.port}`;
    const from = (origin: string): Promise<Client> =>
      Client.connect(running.ws('/same-origin'), { ...TRUST, origin });
    const client = await from(`https://${host}`);
    client.socket.terminate();
    await expect(from(`http://${host}`)).rejects.toThrow('403');
    await expect(from('https://evil.example')).rejects.toThrow('403');
  });

  test('undici fetches and opens a WebSocket', async () => {
    const dispatcher = new Agent({ connect: TRUST });
    const response = await fetch(running.http('/hello/Ada?greeting=hi'), { dispatcher });
    expect([response.status, await response.text()]).toEqual([200, 'hello Ada, hi']);
    const large = await fetch(running.http('/large'), { dispatcher });
    expect((await large.text()).length).toBe(300_000);
    const socket = new UndiciWebSocket(running.ws('/echo'), { dispatcher });
    await within(once(socket, 'open'), 'the WebSocket');
    socket.send('through undici');
    const [{ data }] = (await within(once(socket, 'message'), 'the echo')) as [{ data: unknown }];
    expect(data).toBe('through undici');
    socket.close();
    await dispatcher.close();
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s is spoken, with http/1.1', async (version) => {
    const socket = await connectTls(running.port, {
      minVersion: version,
      maxVersion: version,
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    expect([socket.getProtocol(), socket.alpnProtocol]).toEqual([version, 'http/1.1']);
    socket.destroy();
  });

  test('older versions, and clients that speak other protocols only, get an alert', async () => {
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    expect(await tlsErrorOf(running.port, old)).toMatch(/PROTOCOL_VERSION/);
    expect(await tlsErrorOf(running.port, { ALPNProtocols: ['h2'] })).toMatch(/NO_APPLICATION_PROTOCOL/);
  });

  test('plain text is closed without an answer', async () => {
    const socket = connect(running.port, HOST);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => {});
    await within(once(socket, 'close'), 'the end of the connection');
    expect(Buffer.concat(chunks).includes('HTTP')).toBe(false);
  });
});

describe('TLS', () => {
  test('has classes with the names of uWebSockets.js', async () => {
    const names: string[] = [];
    const app = SSLApp(tlsOptions()).ws('/*', {
      open: (ws) => {
        names.push(ws.constructor.name);
      },
    });
    let port = 0;
    app.listen(HOST, 0, (socket) => {
      if (socket !== false) ({ port } = socket);
    });
    const client = await Client.connect(`wss://${HOST}:${port}/`, TRUST);
    expect([app.constructor.name, ...names]).toEqual(['uWS.SSLApp', 'uWS.SSLWebSocket']);
    await client.close();
    app.close();
  });
});

describe('TLS options', () => {
  const other = makeCertificate('other.test');

  test.each([
    ['a key without its certificate', { key_file_name: other.key }, /cert_file_name is missing/],
    ['a certificate without its key', { cert_file_name: other.cert }, /key_file_name is missing/],
    [
      'a key of another certificate',
      { ...tlsOptions(), key_file_name: other.key },
      /the private key is not that of the certificate/,
    ],
    [
      'the intermediate certificate in front',
      { key_file_name: other.key, cert_file_name: `${authority.cert}${other.cert}` },
      /number 2 in cert_file_name: it must be the first/,
    ],
    ['the two swapped', { key_file_name: other.cert, cert_file_name: other.key }, /swapped/],
    [
      'authorities that are none',
      { ...tlsOptions(), ca_file_name: fileURLToPath(new URL('tls-names.test.ts', import.meta.url)) },
      /ca_file_name holds no certificate in PEM/,
    ],
    [
      'an authority that is damaged',
      { ...tlsOptions(), ca_file_name: other.cert.replace('\nMII', '\nMMM') },
      /ca_file_name holds a certificate that is damaged/,
    ],
    [
      'parameters that are none',
      { ...tlsOptions(), dh_params_file_name: other.cert },
      /dh_params_file_name holds no 'DH PARAMETERS'/,
    ],
    ['a folder', { ...tlsOptions(), key_file_name: tmpdir() }, /cannot be read \(EISDIR: it is a folder\)/],
    [
      'a relative path',
      { ...tlsOptions(), key_file_name: 'none.pem' },
      /'none.pem' cannot be read \(ENOENT: there is no such file in \/.+\)/,
    ],
    ['a file that is not there', { ...tlsOptions(), key_file_name: '/none.pem' }, /'\/none.pem'.*ENOENT/],
    [
      'what is no certificate',
      { ...tlsOptions(), cert_file_name: '-----BEGIN NOTHING-----' },
      /cannot be used/,
    ],
    [
      'unknown ciphers',
      { ...tlsOptions(), ssl_ciphers: 'NONE-SUCH' },
      /ssl_ciphers 'NONE-SUCH' names no cipher/,
    ],
  ])('%s: is told before anything starts', async (_name, tls, message) => {
    expect(() => SSLApp(tls)).toThrow(message);
    expect(() => SSLApp(tls)).toThrow(expect.objectContaining({ code: 'MILLRACE_BAD_CERTIFICATE' }));
    await expect(serve({ app: 'none.js', port: 0, tls })).rejects.toMatchObject({
      code: 'MILLRACE_BAD_CERTIFICATE',
      message: expect.stringMatching(message) as string,
    });
  });

  test.each(['url', { header: 'x-user' }, { cookie: 'sid' }] as const)(
    'sticky by %j is refused at the start, with what works',
    async (sticky) => {
      const options = { app: 'none.js', port: 0, tls: tlsOptions(), balance: { sticky } };
      await expect(serve(options)).rejects.toMatchObject({
        code: 'MILLRACE_INVALID_OPTION',
        message: expect.stringMatching(/'balance' cannot be sticky.*sticky: 'ip'/) as string,
      });
    },
  );

  const withoutArmour = other.key.split('\n').slice(1, -2).join('\n');
  test.each([
    ['lost its first line', other.key.split('\n').slice(1).join('\n')],
    ['is base64 in lines', withoutArmour],
    ['is base64 in one line', withoutArmour.replaceAll('\n', '')],
    ['has a wrong first line', other.key.replace('-----BEGIN', '----BEGIN')],
    ['is part of a URL', encodeURIComponent(other.key.split('\n').slice(1, 4).join('\n'))],
    [
      'has a URL’s alphabet',
      other.key.split('\n').slice(1, 4).join('').replaceAll('/', '_').replaceAll('+', '-'),
    ],
    ['has spaces for lines', other.key.slice(11, 240).replaceAll('\n', ' ')],
    ['is short', 'MC4CAQAwBQYDK2VwBCIEIC0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0'],
  ])('a key that %s is not shown', async (_what, key) => {
    const tls = { ...tlsOptions(other), key_file_name: key };
    const errors: unknown[] = [];
    for (const run of [() => SSLApp(tls), () => serve({ app: 'none.js', port: 0, tls })]) {
      try {
        await run();
      } catch (error) {
        errors.push(error);
      }
    }
    expect(errors).toHaveLength(2);
    for (const error of errors) {
      expect(error).toMatchObject({
        message: expect.stringMatching(
          /key_file_name: a text of \d+ characters is neither the path/,
        ) as string,
      });
      const shown = inspect(error, { depth: 10 });
      for (const line of key.split('\n')) {
        const isOfKey = line.length > 20 && !line.startsWith('-');
        if (isOfKey) expect(shown).not.toContain(line.slice(4, 20));
      }
    }
  });

  test.each([
    ['key', 'key_file_name'],
    ['cert', 'cert_file_name'],
    ['ca', 'ca_file_name'],
    ['ciphers', 'ssl_ciphers'],
  ])("'%s', as Node.js calls it, is told to be '%s'", async (name, own) => {
    const tls = { [name]: other.key };
    const message = new RegExp(`'${name}' is the name of Node.js; here it is '${own}'`);
    expect(() => SSLApp(tls)).toThrow(message);
    expect(() => SSLApp(tlsOptions()).addServerName('x.test', tls)).toThrow(message);
    await expect(serve({ app: 'none.js', port: 0, tls })).rejects.toThrow(message);
    // Frameworks hand through what is meant for another server.
    if (own in tlsOptions()) SSLApp({ ...tlsOptions(), ...tls });
  });

  test('PKCS #12 is told to become PEM', () => {
    expect(() => SSLApp({ pfx: Buffer.alloc(1) } as object)).toThrow(/openssl pkcs12/);
  });

  test('without any certificate nothing listens: that is an error with the remedies', async () => {
    const remedies = {
      code: 'MILLRACE_BAD_CERTIFICATE',
      message: expect.stringMatching(
        /there is no certificate.*'key_file_name'.*SSLApp\(\).*serve\(\).*--key and --cert.*addServerName/,
      ) as string,
    };
    expect(() => SSLApp({}).listen(0, () => {})).toThrow(expect.objectContaining(remedies));
    expect(() => SSLApp({}).listen_unix(() => {}, '/none/none')).toThrow(expect.objectContaining(remedies));
    expect(() => SSLApp({}).getDescriptor()).toThrow(expect.objectContaining(remedies));
    expect(() => SSLApp({}).addServerName('x.test', {})).toThrow(
      /'x.test' cannot be used: there is no certificate/,
    );
    const app = new URL('../fixtures/tls-app.js', import.meta.url);
    await expect(serve({ app, port: 0, shards: 1, tls: {} })).rejects.toMatchObject(remedies);
    const ca = { ca_file_name: SERVER_CERTIFICATE.cert };
    await expect(serve({ app, port: 0, shards: 1, tls: ca })).rejects.toMatchObject(remedies);
    const names = { 'name.test': tlsOptions(other) };
    const server = await serve({ app, port: 0, shards: 1, tls: {}, data: { names } });
    expect(await fingerprintFor(server.port, 'name.test')).toBe(other.fingerprint);
    await server.close({ drain: 0 });
  });

  test('an encrypted key needs its passphrase', () => {
    const locked = makeCertificate('locked.test', { passphrase: 'open sesame' });
    expect(() => SSLApp(tlsOptions(locked))).toThrow(/encrypted: give its 'passphrase'.*--passphrase-file/);
    expect(() => SSLApp({ ...tlsOptions(locked), passphrase: 'wrong' })).toThrow(
      /'passphrase' does not open/,
    );
    SSLApp({ ...tlsOptions(locked), passphrase: Buffer.from('open sesame') });
  });

  test('sticky by address, and the counters of handshakes', async () => {
    const running = await startTls('two shards', 'main-app.js', { balance: { sticky: 'ip' } });
    const shards = new Set<unknown>();
    for (let i = 0; i < 4; i++) {
      const client = await Client.connect(running.ws('/shard'), TRUST);
      shards.add(await client.next());
      await client.close();
    }
    expect(shards.size).toBe(1);
    await tlsErrorOf(running.port, { ALPNProtocols: ['h2'] });
    const total = (): object => running.server!.stats().total;
    await until(() => running.server!.stats().total.tlsFailed === 1, 'the failure is counted');
    expect(total()).toMatchObject({ tlsHandshakes: 4, tlsFailed: 1, tlsEvicted: 0, opened: 4 });
    await running.stop();
  });
});

describe.each(MODES)('limits of connections over TLS in %s', (mode) => {
  test('who is too many is closed, and others come in when there is room', async () => {
    const running = await startTls(mode, 'main-app.js', { maxConnections: 2 });
    const clients = [];
    for (let i = 0; i < 2; i++) clients.push(await Client.connect(running.ws('/echo'), TRUST));
    expect(await tlsErrorOf(running.port)).toMatch(/ECONNRESET|closed/);
    for (const client of clients) expect(await client.ask('still here')).toBe('still here');
    if (running.server !== null) expect(running.server.stats().acceptor.overLimit).toBe(1);
    await clients[0]!.close();
    const isIn = async (): Promise<boolean> =>
      Client.connect(running.ws('/echo'), TRUST).then(
        (client) => client.close().then(() => true),
        () => false,
      );
    let isRoom = await isIn();
    for (let i = 0; i < 100 && !isRoom; i++) {
      await sleep(20);
      isRoom = await isIn();
    }
    expect(isRoom).toBe(true);
    await running.stop();
  });
});

test('connections of one address are counted over TLS', async () => {
  const running = await startTls('two shards', 'main-app.js', { maxConnectionsPerAddress: 2 });
  const clients = [];
  for (let i = 0; i < 2; i++) clients.push(await Client.connect(running.ws('/echo'), TRUST));
  expect(await tlsErrorOf(running.port)).toMatch(/ECONNRESET|closed/);
  expect(running.server!.stats().acceptor.overLimit).toBe(1);
  for (const client of clients) await client.close();
  await running.stop();
});

describe('ciphers of TLS 1.2', () => {
  const WEAK = [
    'AES128-GCM-SHA256',
    'AES256-SHA',
    'ECDHE-ECDSA-AES128-SHA',
    'ECDHE-ECDSA-AES256-SHA384',
    'ECDHE-ECDSA-AES128-CCM8',
    'ECDHE-ECDSA-AES256-CCM8',
    'ECDHE-ECDSA-CAMELLIA128-SHA256',
    'ECDHE-ECDSA-ARIA128-GCM-SHA256',
    'DHE-RSA-AES128-GCM-SHA256',
  ];
  const STRONG = [
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
  ];
  // Newer clients would not offer the weak ones.
  const only = (cipher: string) => ({ ciphers: `${cipher}:@SECLEVEL=0`, maxVersion: 'TLSv1.2' }) as const;

  function listening(options: Parameters<typeof SSLApp>[0]): [port: number, app: ReturnType<typeof SSLApp>] {
    const app = SSLApp(options);
    let port = -1;
    app.listen(HOST, 0, (socket) => {
      if (socket !== false) port = socket.port;
    });
    return [port, app];
  }

  test('have forward secrecy and authenticated encryption, by default', async () => {
    const [port, app] = listening(tlsOptions());
    for (const cipher of STRONG) {
      const socket = await connectTls(port, only(cipher));
      expect(socket.getCipher().name).toBe(cipher);
      socket.destroy();
    }
    for (const cipher of WEAK)
      expect(await tlsErrorOf(port, only(cipher)), cipher).toMatch(/HANDSHAKE_FAILURE/);
    app.close();
  });

  test('are those of ssl_ciphers when it is given, and TLS 1.3 goes on', async () => {
    const [port, app] = listening({ ...tlsOptions(), ssl_ciphers: 'ECDHE-ECDSA-AES128-SHA' });
    const old = await connectTls(port, only('ECDHE-ECDSA-AES128-SHA'));
    expect(old.getCipher().name).toBe('ECDHE-ECDSA-AES128-SHA');
    old.destroy();
    expect(await tlsErrorOf(port, only('ECDHE-ECDSA-AES128-GCM-SHA256'))).toMatch(/HANDSHAKE_FAILURE/);
    const newer = await connectTls(port);
    expect([newer.getProtocol(), newer.getCipher().name]).toEqual(['TLSv1.3', 'TLS_AES_256_GCM_SHA384']);
    newer.destroy();
    app.close();
  });
});
