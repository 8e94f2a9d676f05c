import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { credentialsSource, newTicketKey, type TlsOptions } from '../../../src/app/tls-options.ts';
import { TICKET_KEY_SIZE } from '../../../src/net/tls-context.ts';

const folder = mkdtempSync(join(tmpdir(), 'tls-options-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';

/** What reading the credentials says. */
function complaint(options: TlsOptions, name?: string): string {
  try {
    credentialsSource('SSLApp', options, name)();
  } catch (error) {
    expect(error).toMatchObject({ code: 'MILLRACE_BAD_CERTIFICATE' });
    return (error as Error).message;
  }
  throw new Error('it was read');
}

describe('credentialsSource', () => {
  it('takes PEM texts as they are, and files anew whenever it is called', () => {
    const file = join(folder, 'cert.pem');
    writeFileSync(file, 'first');
    const source = credentialsSource('SSLApp', {
      key_file_name: PEM,
      cert_file_name: file,
      ca_file_name: Buffer.from(file),
      dh_params_file_name: file,
      passphrase: 'p',
      ssl_ciphers: 'c',
    });
    const rest = { key: PEM, passphrase: 'p', ciphers: 'c' };
    expect(source()).toEqual({ ...rest, cert: 'first', ca: 'first', dhparam: 'first' });
    writeFileSync(file, 'second');
    expect(source()).toEqual({ ...rest, cert: 'second', ca: 'second', dhparam: 'second' });
  });

  it('has nothing of what is null or left out', () => {
    const options = { key_file_name: undefined, passphrase: null, ssl_prefer_low_memory_usage: true };
    expect(credentialsSource('SSLApp', options as unknown as TlsOptions)()).toEqual({});
  });

  it.each([undefined, null, 'cert.pem'])('does not take %j for options', (options) => {
    expect(() => credentialsSource('SSLApp', options as never)).toThrow('the TLS options must be an object');
  });

  it.each([
    [{ key_file_name: '' }, "'key_file_name' must be the path of a PEM file or a PEM text"],
    [{ cert_file_name: 5 }, "'cert_file_name' must be the path"],
    [{ passphrase: {} }, "'passphrase' must be a text"],
    [{ cert_filename: 'a' }, "'cert_file_name'"],
    [{ key: 'a' }, "'key' is the name of Node.js; here it is 'key_file_name', the path of a PEM file"],
    [{ ciphers: 'a' }, "'ciphers' is the name of Node.js; here it is 'ssl_ciphers'"],
    [{ pfx: 'a' }, "'pfx' is not read here"],
  ])('refuses %j at once', (options, message) => {
    expect(() => credentialsSource('SSLApp', options as never)).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_INVALID_OPTION',
        message: expect.stringContaining(message) as string,
      }) as Error,
    );
  });

  it('lets names of Node.js stand beside its own', () => {
    const options = { cert: 'x', cert_file_name: PEM, pfx: 'y' };
    expect(credentialsSource('SSLApp', options as TlsOptions)()).toEqual({ cert: PEM });
  });
});

describe('a file that cannot be read', () => {
  it('is named, with the reason and the server name', () => {
    expect(complaint({ key_file_name: 'no-such.pem' }, 'a.example')).toMatch(
      /a\.example.*key_file_name: 'no-such\.pem' cannot be read \(ENOENT: there is no such file in \//,
    );
    const absolute = join(folder, 'none.pem');
    expect(complaint({ cert_file_name: absolute })).toContain(
      `'${absolute}' cannot be read (ENOENT: there is no such file)`,
    );
    expect(complaint({ ca_file_name: folder })).toContain(
      `'${folder}' cannot be read (EISDIR: it is a folder)`,
    );
  });

  it.each([
    ['a key without its first line', 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\nxyz'],
    ['a key in one line', 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/xyz'],
    ['a key with slashes like a path', '/IGHAgEAMBMGByqGSM49AgEGC/qGSM49AwEHBG0wawIBAQQg'],
    ['a key in a URL', 'MIGH%2FgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg'],
    ['a short text with a dashed line', '-----END PRIVATE KEY-----'],
    ['a long text', 'a b '.repeat(64)],
  ])('is not shown when it may be %s', (_, text) => {
    const message = complaint({ key_file_name: text });
    expect(message).toContain(`a text of ${text.length} characters is neither the path of a file`);
    expect(message).not.toContain(text.slice(0, 12));
  });

  it('is shown when it is a long path', () => {
    const path = `${folder}/${'a'.repeat(50)}.pem`;
    expect(complaint({ key_file_name: path })).toContain(`'${path}' cannot be read`);
  });
});

it('newTicketKey is another each time', () => {
  const [one, other] = [newTicketKey(), newTicketKey()];
  expect([one.length, other.length]).toEqual([TICKET_KEY_SIZE, TICKET_KEY_SIZE]);
  expect(one).not.toEqual(other);
});
