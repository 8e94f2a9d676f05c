import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { example, MillraceProcess } from '../../support/servers/millrace-process.ts';
import { type Certificate, makeCertificate } from '../../support/tls/certificates.ts';
import { connectTls, fingerprintFor } from '../../support/tls/tls.ts';
import { until } from '../../support/tools/deadline.ts';

const ECHO = example('echo.js');
const names = ['localhost', 'IP:127.0.0.1'];
const first = makeCertificate('localhost', { names, isAuthority: true });
const second = makeCertificate('localhost', { names, isAuthority: true });
const locked = makeCertificate('localhost', { names, isAuthority: true, passphrase: 'open sesame' });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-cli-tls-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Writes a certificate where the server looks for it, and returns the flags that say so. */
function install({ key, cert }: Certificate, name = 'server'): string[] {
  const [keyFile, certFile] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  writeFileSync(keyFile, key);
  writeFileSync(certFile, cert);
  return ['--key', keyFile, '--cert', certFile];
}

function serve(...flags: string[]): Promise<MillraceProcess> {
  return MillraceProcess.serve([ECHO, '--port', '0', '--host', '127.0.0.1', '--shards', '2', ...flags]);
}

describe('millrace serve with a certificate', () => {
  test('serves TLS, and takes up a new certificate at SIGHUP, but not a bad one', async () => {
    const server = await serve(...install(first));
    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/$/);
    const url = `wss://127.0.0.1:${server.port}/`;
    const old = await Client.connect(url, { ca: first.cert });
    expect(await old.ask('before')).toBe('before');

    install(second);
    server.kill('SIGHUP');
    await until(() => server.stdout.includes('SIGHUP: new connections get'), 'the new certificate');
    for (let i = 0; i < 4; i++) {
      expect(await fingerprintFor(server.port, 'localhost')).toBe(second.fingerprint);
    }

    writeFileSync(join(folder, 'server.key'), first.key);
    server.kill('SIGHUP');
    await until(() => server.stderr.includes('SIGHUP: the certificate stays as it was'), 'the report');
    expect(server.stderr).toMatch(
      /The TLS options cannot be used: .*the private key is not that of the certificate/,
    );
    expect(await fingerprintFor(server.port, 'localhost')).toBe(second.fingerprint);

    expect(await old.ask('after')).toBe('after');
    server.kill('SIGTERM');
    expect(await old.closed()).toEqual({ code: 1001, reason: '' });
    expect(await server.exit()).toEqual({ code: 0, signal: null });
  });

  test('reads the passphrase of the key, and asks clients for certificates', async () => {
    const file = join(folder, 'passphrase');
    writeFileSync(file, 'open sesame\n');
    const authority = makeCertificate('Authority', { isAuthority: true });
    const [, caFile] = [install(authority, 'authority'), join(folder, 'authority.pem')];
    const server = await serve(...install(locked, 'locked'), '--passphrase-file', file, '--ca', caFile);
    const identity = makeCertificate('client', { issuer: authority });
    const socket = await connectTls(server.port, { ca: locked.cert, key: identity.key, cert: identity.cert });
    expect(socket.authorized).toBe(true);
    socket.destroy();
  });

  test('does not start with a key that is locked, or a file that is not there', async () => {
    for (const [flags, message] of [
      [
        install(locked, 'locked'),
        /The TLS options cannot be used: the private key is encrypted: give its 'passphrase'.*--passphrase-file/,
      ],
      [
        ['--key', join(folder, 'none'), '--cert', join(folder, 'none')],
        /'.*none' cannot be read \(ENOENT: there is no such file\)/,
      ],
    ] as const) {
      const command = MillraceProcess.start(['serve', ECHO, '--port', '0', ...flags]);
      expect((await command.exit()).code).toBe(1);
      expect(command.stderr).toMatch(message);
      expect(command.stderr.split('\n').length).toBeLessThan(4);
    }
  });
});
