import { describe, expect, test } from 'vitest';
import { ServerNames } from '../../../src/net/server-names.ts';
import { type TlsCredentials, ticketRules } from '../../../src/net/tls-context.ts';
import { type Certificate, makeCertificate } from '../../support/tls/certificates.ts';

const TICKET_KEY = new Uint8Array(48).fill(7);
const [first, second] = [makeCertificate('first.test'), makeCertificate('second.test')];

function credentials({ key, cert }: Certificate, ca?: Certificate): TlsCredentials {
  return ca === undefined ? { key, cert } : { key, cert, ca: ca.cert };
}

const source = (certificate: Certificate, ca?: Certificate) => (): TlsCredentials =>
  credentials(certificate, ca);

function newNames(ca?: Certificate): ServerNames {
  return new ServerNames(source(first, ca), TICKET_KEY);
}

describe('ServerNames', () => {
  test('finds a name before a wildcard, and a wildcard for one label only', () => {
    const names = newNames();
    expect(names.isUsed).toBe(false);
    names.add('Chat.Example.com', source(first));
    names.add('*.example.com', source(second));
    expect(names.isUsed).toBe(true);
    expect(names.find('chat.example.com')?.name).toBe('chat.example.com');
    expect(names.find('mail.example.com')?.name).toBe('*.example.com');
    for (const name of [
      'example.com',
      'a.b.example.com',
      'example.org',
      'com',
      '',
      '.',
      '*',
      '.example.org',
    ]) {
      expect(names.find(name), name).toBe(null);
    }
    names.remove('CHAT.example.com');
    expect(names.find('chat.example.com')?.name).toBe('*.example.com');
    names.remove('*.example.com');
    names.remove('never.there');
    expect([names.find('chat.example.com'), names.isUsed]).toEqual([null, false]);
  });

  test.each(['', '*', '*.', 'a.*', '*a.com', 'ä.com', 'a b.com', 'a\0b', 'a'.repeat(256)])(
    'refuses %j as a name',
    (name) => {
      expect(() => newNames().add(name, source(first))).toThrow(/addServerName.*'\*\.example\.com'/);
    },
  );

  test('asks once for a name that is missing, and takes what is added', () => {
    const names = newNames();
    const asked: string[] = [];
    names.onMissing = (name) => {
      asked.push(name);
      if (name === 'late.test') names.add(name, source(second));
    };
    expect(names.isUsed).toBe(true);
    expect(names.find('late.test')?.name).toBe('late.test');
    expect(names.find('late.test')?.name).toBe('late.test');
    expect(names.find('never.test')).toBe(null);
    expect(names.find('')).toBe(null);
    expect(asked).toEqual(['late.test', 'never.test']);
  });

  test('a new certificate takes the place of the old one; a bad one leaves it', () => {
    const names = newNames();
    let current = credentials(first);
    names.add('a.test', () => current);
    const before = names.find('a.test')!.handle;
    const untouched = names.default.handle;
    current = credentials(second);
    expect(names.reload()).toEqual([]);
    const after = names.find('a.test')!.handle;
    expect(after).not.toBe(before);
    expect(names.default.handle).not.toBe(untouched);
    current = { key: first.key, cert: second.cert };
    expect(names.reload().map((error) => (error as Error).message)).toEqual([
      expect.stringMatching(/'a\.test' cannot be used: the private key is not that of the certificate/),
    ]);
    expect(names.find('a.test')!.handle).toBe(after);
    expect(names.reload(() => ({ key: first.key })).length).toBe(2);
    expect(names.reload(source(second)).length).toBe(1);
  });

  test('whether clients are asked for a certificate is a matter of the name', () => {
    const names = newNames();
    names.add('private.test', source(second, first));
    expect(names.default.requestsCertificate).toBe(false);
    expect(names.find('private.test')?.requestsCertificate).toBe(true);
    const handle = names.default.handle;
    // A second set of authorities: all contexts are made anew, without tickets.
    names.add('other.test', source(second, second));
    expect(names.default.handle).not.toBe(handle);
  });
});

describe('ticketRules', () => {
  test('give the same key for the same authorities, in any order, and another for others', () => {
    const key = (...authorities: string[]): string =>
      Buffer.from(ticketRules(TICKET_KEY, new Set(authorities)).key).toString('hex');
    expect(key('a', 'b')).toBe(key('b', 'a'));
    expect(new Set([key(), key('a'), key('b'), key('a', 'b'), key('ab')]).size).toBe(5);
    expect(ticketRules(new Uint8Array(48), new Set()).key).not.toEqual(
      ticketRules(TICKET_KEY, new Set()).key,
    );
    expect(ticketRules(TICKET_KEY, new Set()).key.length).toBe(48);
  });

  test('end resumption where there are several sets of authorities', () => {
    const isEnabled = (...authorities: string[]): boolean =>
      ticketRules(TICKET_KEY, new Set(authorities)).isEnabled;
    expect([isEnabled(), isEnabled('a'), isEnabled('a', 'b')]).toEqual([true, true, false]);
  });
});
