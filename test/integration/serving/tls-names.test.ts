import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import type { ServeOptions, TlsOptions } from 'millrace';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { MODES, type Mode, type Running } from '../../support/servers/server.ts';
import { type Certificate, makeCertificate } from '../../support/tls/certificates.ts';
import {
  connectTls,
  fingerprintFor,
  requestOver,
  SERVER_CERTIFICATE,
  startTls,
  tlsErrorOf,
  tlsOptions,
} from '../../support/tls/tls.ts';

const exact = makeCertificate('chat.example.com');
const wildcard = makeCertificate('*.example.com');
const late = makeCertificate('late.test');
const authority = makeCertificate('Authority', { isAuthority: true });
const otherAuthority = makeCertificate('Other authority', { isAuthority: true });
const client = makeCertificate('client', { issuer: authority });
const selfSigned = makeCertificate('stranger');
const expired = makeCertificate('late client', { issuer: authority, days: -1 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-tls-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes a certificate where a server finds it, in place of any of before. */
function install(name: string, { key, cert }: Certificate): TlsOptions {
  const options = { key_file_name: join(folder, `${name}.key`), cert_file_name: join(folder, `${name}.pem`) };
  writeFileSync(options.key_file_name, key);
  writeFileSync(options.cert_file_name, cert);
  return options;
}

async function start(mode: Mode, data: unknown, options: Partial<ServeOptions> = {}): Promise<Running> {
  const running = await startTls(mode, 'tls-app.js', { data, ...options });
  onTestFinished(() => running.stop());
  return running;
}

function reload(running: Running, options?: TlsOptions): Promise<void> {
  if (running.server !== null) return running.server.reloadTls(options);
  return Promise.resolve().then(() => void running.app!.reloadTls(options));
}

/** Ends a connection once the ticket of its session is there: with TLS 1.3 it comes behind the handshake. */
async function sessionOf(socket: TLSSocket): Promise<Buffer> {
  let session: Buffer | undefined;
  socket.on('session', (ticket) => {
    session = ticket;
  });
  await requestOver(socket, '/');
  const inHandshake = socket.getSession();
  socket.destroy();
  return session ?? inHandshake!;
}

describe.each(MODES)('server names in %s', (mode) => {
  test('each name gets its own certificate, others that of the App', async () => {
    const running = await start(mode, {
      names: { 'Chat.Example.com': tlsOptions(exact), '*.example.com': tlsOptions(wildcard) },
    });
    const expected = {
      'chat.example.com': exact,
      'CHAT.EXAMPLE.COM': exact,
      'mail.example.com': wildcard,
      'a.b.example.com': SERVER_CERTIFICATE,
      'example.com': SERVER_CERTIFICATE,
      'unknown.test': SERVER_CERTIFICATE,
    };
    for (const [name, { fingerprint }] of Object.entries(expected)) {
      expect(await fingerprintFor(running.port, name), name).toBe(fingerprint);
    }
    const nameless = await connectTls(running.port, { servername: '', checkServerIdentity: () => undefined });
    expect(nameless.getPeerCertificate().fingerprint256).toBe(SERVER_CERTIFICATE.fingerprint);
    nameless.destroy();
  });

  test('a missing name can be added while its client waits; names can be removed', async () => {
    const running = await start(mode, { missing: { 'late.test': tlsOptions(late) }, names: {} });
    expect(await fingerprintFor(running.port, 'late.test')).toBe(late.fingerprint);
    expect(await fingerprintFor(running.port, 'never.test')).toBe(SERVER_CERTIFICATE.fingerprint);
    const socket = await connectTls(running.port, { servername: 'late.test', ca: late.cert });
    expect(await requestOver(socket, '/remove/late.test')).toBe('removed');
    socket.destroy();
    // On the shard that removed it, it is missing again, and so added again.
    expect(await fingerprintFor(running.port, 'late.test')).toBe(late.fingerprint);
  });

  test('a handler of missing names that throws costs nothing but the name', async () => {
    const running = await start(mode, { throws: true });
    expect(await fingerprintFor(running.port, 'any.test')).toBe(SERVER_CERTIFICATE.fingerprint);
    expect(await fingerprintFor(running.port, 'any.test')).toBe(SERVER_CERTIFICATE.fingerprint);
  });

  test('SSLApp without a certificate serves its names only', async () => {
    const running = await start(mode, { names: { 'chat.example.com': tlsOptions(exact) } }, { tls: {} });
    expect(await fingerprintFor(running.port, 'chat.example.com')).toBe(exact.fingerprint);
    expect(await tlsErrorOf(running.port, { servername: 'unknown.test' })).toMatch(/HANDSHAKE_FAILURE/);
  });
});

describe.each(MODES)('reloadTls in %s', (mode) => {
  test('new connections get the new certificates, while an old one talks on', async () => {
    const running = await start(
      mode,
      { names: { 'name.test': install('name', exact) } },
      { tls: install('main', SERVER_CERTIFICATE) },
    );
    const old = await Client.connect(running.ws('/echo'), { ca: SERVER_CERTIFICATE.cert });
    const renewed = makeCertificate('localhost', { names: ['localhost', 'IP:127.0.0.1'], isAuthority: true });
    install('main', renewed);
    install('name', late);
    expect(await fingerprintFor(running.port, 'localhost')).toBe(SERVER_CERTIFICATE.fingerprint);
    await reload(running);
    for (let i = 0; i < 4; i++) {
      expect(await fingerprintFor(running.port, 'localhost')).toBe(renewed.fingerprint);
      expect(await fingerprintFor(running.port, 'name.test')).toBe(late.fingerprint);
    }
    expect(await old.ask('still here')).toBe('still here');
    const fresh = await Client.connect(running.ws('/echo'), { ca: renewed.cert });
    expect(await fresh.ask('hello')).toBe('hello');
    await Promise.all([old.close(), fresh.close()]);
  });

  test('a bad certificate is reported, and what was in force stays', async () => {
    const tls = install('main', SERVER_CERTIFICATE);
    const running = await start(mode, { names: { 'name.test': install('name', exact) } }, { tls });
    writeFileSync(tls.key_file_name as string, late.key);
    await expect(reload(running)).rejects.toMatchObject({
      code: 'MILLRACE_BAD_CERTIFICATE',
      message: expect.stringMatching(
        /The TLS options cannot be used: the private key is not that of the certificate/,
      ) as string,
    });
    install('main', SERVER_CERTIFICATE);
    writeFileSync(join(folder, 'name.pem'), 'nothing');
    await expect(reload(running)).rejects.toMatchObject({
      code: 'MILLRACE_BAD_CERTIFICATE',
      message: expect.stringMatching(/'name\.test' cannot be used/) as string,
    });
    await expect(reload(running, { cert_file_name: 5 as never })).rejects.toMatchObject({
      code: 'MILLRACE_INVALID_OPTION',
    });
    await expect(reload(running, {})).rejects.toMatchObject({ code: 'MILLRACE_BAD_CERTIFICATE' });
    for (let i = 0; i < 4; i++) {
      expect(await fingerprintFor(running.port, 'localhost')).toBe(SERVER_CERTIFICATE.fingerprint);
      expect(await fingerprintFor(running.port, 'name.test')).toBe(exact.fingerprint);
    }
    await expect(reload(running, tlsOptions(late))).rejects.toMatchObject({
      code: 'MILLRACE_BAD_CERTIFICATE',
    });
    expect(await fingerprintFor(running.port, 'localhost')).toBe(late.fingerprint);
  });
});

describe.each(MODES)('certificates of clients in %s', (mode) => {
  const asking = { tls: { ...tlsOptions(), ca_file_name: authority.cert } };

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('are handed to handlers as PEM over %s', async (version) => {
    const running = await start(mode, {}, asking);
    const options = { minVersion: version, maxVersion: version } as const;
    const socket = await connectTls(running.port, { key: client.key, cert: client.cert, ...options });
    expect(await requestOver(socket, '/certificate')).toBe(client.cert);
    socket.destroy();
    const without = await connectTls(running.port, options);
    expect(await requestOver(without, '/certificate')).toBe('');
    without.destroy();
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'that nobody vouches for end the handshake of %s',
    async (version) => {
      const running = await start(mode, {}, asking);
      for (const { key, cert } of [selfSigned, expired]) {
        const socket = connectTls(running.port, { key, cert, minVersion: version, maxVersion: version });
        // A client of TLS 1.3 is done before the server has seen its certificate.
        const answer = socket.then((open) => requestOver(open, '/certificate'));
        await expect(answer).rejects.toThrow();
      }
    },
  );

  test('are not asked for without authorities', async () => {
    const running = await start(mode, {});
    const socket = await connectTls(running.port, { key: client.key, cert: client.cert });
    expect(await requestOver(socket, '/certificate')).toBe('');
    socket.destroy();
  });

  test('a name has authorities of its own, and resumes no session of another', async () => {
    const running = await start(
      mode,
      {
        names: {
          'one.test': { ...tlsOptions(exact), ca_file_name: authority.cert },
          'two.test': { ...tlsOptions(exact), ca_file_name: otherAuthority.cert },
        },
      },
      {},
    );
    const identity = { key: client.key, cert: client.cert, rejectUnauthorized: false };
    const one = await connectTls(running.port, { ...identity, servername: 'one.test' });
    const session = await sessionOf(one);
    const refused = connectTls(running.port, { ...identity, servername: 'two.test', session });
    await expect(refused.then((socket) => requestOver(socket, '/certificate'))).rejects.toThrow();
    const again = await connectTls(running.port, { ...identity, servername: 'one.test' });
    expect(await requestOver(again, '/certificate')).toBe(client.cert);
    again.destroy();
    const nobody = await connectTls(running.port, { ...identity, servername: 'localhost' });
    expect(await requestOver(nobody, '/certificate')).toBe('');
    nobody.destroy();
  });
});

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('sessions of %s', (version) => {
  const options = { minVersion: version, maxVersion: version } as const;

  describe('with a certificate of the client', () => {
    afterEach(() => {
      vi.useRealTimers();
    });

    const shortLived = makeCertificate('short', { issuer: authority, days: 1 });
    const dyingAuthority = makeCertificate('dying authority', { isAuthority: true, days: 1 });
    const longLived = makeCertificate('long', { issuer: dyingAuthority, days: 30 });

    test.each([
      ['the certificate', shortLived, authority.cert],
      ['the authority that issued it', longLived, dyingAuthority.cert],
      ['that authority, of several in the file', longLived, `${authority.cert}\n${dyingAuthority.cert}`],
    ])('are not resumed once %s has expired', async (_what, { key, cert }, ca) => {
      const running = await start('one thread', {}, { tls: { ...tlsOptions(), ca_file_name: ca } });
      const identity = { key, cert, ...options, rejectUnauthorized: false };
      const session = await sessionOf(await connectTls(running.port, identity));
      const resumed = await connectTls(running.port, { ...identity, session });
      expect(resumed.isSessionReused()).toBe(true);
      expect(await requestOver(resumed, '/certificate')).toBe(cert);
      resumed.destroy();
      // The clock of JavaScript alone: OpenSSL, which looks in a full handshake, finds all of them in force.
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 24 * 3600 * 1000 });
      const late = connectTls(running.port, { ...identity, session });
      await expect(late.then((socket) => requestOver(socket, '/certificate'))).rejects.toThrow();
      const without = await connectTls(running.port, { ...options, rejectUnauthorized: false });
      expect(await requestOver(without, '/certificate')).toBe('');
      without.destroy();
    });

    test('are not resumed once it has expired where a name alone has authorities', async () => {
      const names = { 'one.test': { ...tlsOptions(exact), ca_file_name: authority.cert } };
      const running = await start('one thread', { names });
      const { key, cert } = shortLived;
      const identity = { key, cert, ...options, servername: 'one.test', rejectUnauthorized: false };
      const session = await sessionOf(await connectTls(running.port, identity));
      const resumed = await connectTls(running.port, { ...identity, session });
      expect(resumed.isSessionReused()).toBe(true);
      expect(await requestOver(resumed, '/certificate')).toBe(cert);
      resumed.destroy();
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 24 * 3600 * 1000 });
      const late = connectTls(running.port, { ...identity, session });
      await expect(late.then((socket) => requestOver(socket, '/certificate'))).rejects.toThrow();
    });

    test('are not resumed with one that nobody vouches for where a name alone has authorities', async () => {
      const names = { 'one.test': { ...tlsOptions(exact), ca_file_name: authority.cert } };
      const running = await start('one thread', { names });
      const { key, cert } = selfSigned;
      const identity = { key, cert, ...options, servername: 'one.test', rejectUnauthorized: false };
      const first = await connectTls(running.port, identity);
      let session = first.getSession();
      first.on('session', (ticket) => {
        session = ticket;
      });
      await expect(requestOver(first, '/certificate')).rejects.toThrow();
      expect(session).toBeDefined();
      const second = connectTls(running.port, { ...identity, session });
      await expect(second.then((socket) => requestOver(socket, '/certificate'))).rejects.toThrow();
    });

    test('are resumed when its issuer is another authority than one that has expired', async () => {
      const ca = `${dyingAuthority.cert}${authority.cert}`;
      const running = await start('one thread', {}, { tls: { ...tlsOptions(), ca_file_name: ca } });
      const identity = { key: client.key, cert: client.cert, ...options, rejectUnauthorized: false };
      const session = await sessionOf(await connectTls(running.port, identity));
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 24 * 3600 * 1000 });
      const resumed = await connectTls(running.port, { ...identity, session });
      expect(resumed.isSessionReused()).toBe(true);
      expect(await requestOver(resumed, '/certificate')).toBe(client.cert);
      resumed.destroy();
    });
  });

  test('are resumed on any shard, also after a reload, and keep the certificate of the client', async () => {
    const running = await start(
      'two shards',
      {},
      { balance: 'round-robin', tls: { ...tlsOptions(), ca_file_name: authority.cert } },
    );
    const identity = { key: client.key, cert: client.cert, ...options };
    const first = await connectTls(running.port, identity);
    expect(first.isSessionReused()).toBe(false);
    let session = await sessionOf(first);
    const shards = new Set<string>();
    for (let i = 0; i < 6; i++) {
      if (i === 3) await reload(running);
      const socket = await connectTls(running.port, { ...identity, session });
      expect(socket.isSessionReused()).toBe(true);
      shards.add(await requestOver(socket, '/shard'));
      expect(await requestOver(socket, '/certificate')).toBe(client.cert);
      socket.on('session', (ticket) => {
        session = ticket;
      });
      socket.destroy();
    }
    expect(shards).toEqual(new Set(['0', '1']));
    expect(running.server!.stats().total).toMatchObject({ tlsHandshakes: 7, tlsResumed: 6, tlsFailed: 0 });
    const trusted = { ...tlsOptions(), ca_file_name: `${authority.cert}${otherAuthority.cert}` };
    await reload(running, trusted);
    const anew = await connectTls(running.port, { ...identity, session });
    expect(anew.isSessionReused()).toBe(false);
    anew.destroy();
  });

  test('keep their name when resumed', async () => {
    const names = { 'chat.example.com': tlsOptions(exact), '*.example.com': tlsOptions(wildcard) };
    const data = { names, domains: Object.keys(names) };
    const running = await start('two shards', data, { balance: 'round-robin' });
    for (const [servername, domain] of [
      ['chat.example.com', 'chat.example.com'],
      ['mail.example.com', '*.example.com'],
      ['other.test', ''],
    ] as const) {
      const open = { servername, rejectUnauthorized: false, ...options };
      const first = await connectTls(running.port, open);
      expect(await requestOver(first, '/domain', servername)).toBe(domain);
      const session = await sessionOf(first);
      const socket = await connectTls(running.port, { ...open, session });
      expect(socket.isSessionReused()).toBe(true);
      expect(await requestOver(socket, '/domain', servername)).toBe(domain);
      socket.destroy();
    }
  });
});
