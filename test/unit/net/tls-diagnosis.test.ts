import { createSecureContext } from 'node:tls';
import { describe, expect, it } from 'vitest';
import type { TlsCredentials } from '../../../src/net/tls-context.ts';
import { certificatesIn, explainMistake, silentMistake } from '../../../src/net/tls-diagnosis.ts';
import { makeCertificate } from '../../support/tls/certificates.ts';

const one = makeCertificate('one.example');
const other = makeCertificate('other.example');
const locked = makeCertificate('locked.example', { passphrase: 'secret' });
const damaged = one.cert.replace(/\n[^-][^]*(?=\n-----END)/, '\nAAAA');
const damagedKey = one.key.replace(/\n[^-][^]*(?=\n-----END)/, '\nAAAA');

describe('certificatesIn', () => {
  it('gives all, in order, with any text around them', () => {
    const texts = certificatesIn(`first\n${one.cert}${one.key}\n${other.cert}last`);
    expect(texts.map(({ fingerprint256 }) => fingerprint256)).toEqual([one.fingerprint, other.fingerprint]);
    expect(certificatesIn(one.key)).toEqual([]);
  });

  it('throws for one that is damaged or cut', () => {
    expect(() => certificatesIn(one.cert + damaged)).toThrow();
    expect(() => certificatesIn(one.cert.slice(0, -10))).toThrow('a certificate has no end');
  });
});

describe('silentMistake', () => {
  it.each<[string, TlsCredentials]>([
    ['ca_file_name holds no certificate in PEM: no client could be trusted', { ca: one.key }],
    ['ca_file_name holds a certificate that is damaged', { ca: one.cert + damaged }],
    ["dh_params_file_name holds no 'DH PARAMETERS' in PEM", { dhparam: one.cert }],
    ['', { ca: other.cert + one.cert, key: 'x', cert: 'y' }],
    ['', {}],
  ])('says %j', (message, credentials) => {
    expect(silentMistake(credentials)).toBe(message);
  });
});

describe('explainMistake', () => {
  /** What is said of credentials that OpenSSL does not take. */
  function explained(credentials: TlsCredentials): string {
    try {
      createSecureContext(credentials);
    } catch (error) {
      return explainMistake(credentials, error);
    }
    throw new Error('OpenSSL took them');
  }

  const { key, cert } = one;
  it.each<[string, TlsCredentials]>([
    ["ssl_ciphers 'NONE-SUCH' names no cipher", { key, cert, ciphers: 'NONE-SUCH' }],
    ['cert_file_name holds no certificate in PEM', { key, cert: 'nothing' }],
    [
      'cert_file_name holds no certificate in PEM, but a private key: are the two options swapped?',
      { key: cert, cert: key },
    ],
    ['key_file_name holds no private key in PEM', { key: 'nothing', cert }],
    [
      'key_file_name holds no private key in PEM, but a certificate: are the two options swapped?',
      { key: cert, cert },
    ],
    [
      "the private key is encrypted: give its 'passphrase' (millrace serve: --passphrase-file)",
      { key: locked.key, cert: locked.cert },
    ],
    [
      "the 'passphrase' does not open the private key",
      { key: locked.key, cert: locked.cert, passphrase: 'wrong' },
    ],
    [
      'key_file_name holds a private key that is damaged, or of a kind that OpenSSL does not know',
      { key: damagedKey, cert },
    ],
    [
      'the certificate of the private key is number 2 in cert_file_name: it must be the first one, with the intermediate ones behind it',
      { key, cert: other.cert + cert },
    ],
    [
      'the private key is not that of the certificate: key_file_name and cert_file_name do not go together',
      { key, cert: other.cert },
    ],
    ['cert_file_name holds a certificate that is damaged', { key, cert: damaged }],
  ])('says: %s', (message, credentials) => {
    expect(explained(credentials)).toBe(message);
  });

  it('has the words of OpenSSL where it finds nothing, and names the parameters when there are some', () => {
    const error = new Error('what\x1b it says');
    expect(explainMistake({ key, cert }, error)).toBe('what\\x1b it says');
    expect(explainMistake({ key, cert, dhparam: 'x' }, error)).toBe(
      'what\\x1b it says (with dh_params_file_name)',
    );
    expect(explainMistake({}, 'text')).toBe('text');
  });
});
