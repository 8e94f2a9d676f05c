import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOriginAllowed, type OriginPolicy, validateOriginPolicy } from '../../../src/protocol/origin.ts';

const HOST = 'good.example:9001';

function allowed(policy: OriginPolicy, origin: string): boolean {
  return isOriginAllowed(policy, origin, HOST);
}

describe('isOriginAllowed', () => {
  it('allows every origin when there is no policy or the policy is "*"', () => {
    for (const policy of [undefined, '*'] as const) {
      for (const origin of ['', 'null', 'https://any.example', 'rubbish', 'a b']) {
        expect(allowed(policy, origin)).toBe(true);
      }
    }
  });

  it('allows a client without Origin, which is no browser, under every policy', () => {
    for (const policy of [undefined, '*', 'same-origin', [], ['https://good.example']] as const) {
      expect(allowed(policy, '')).toBe(true);
    }
  });

  it.each([
    'https://good.example',
    'HTTPS://Good.Example',
    'https://good.example:443',
    'http://localhost:3000',
    'http://127.0.0.1',
    'http://127.0.0.1:80',
    'http://[::1]:8080',
    'http://[2001:DB8::1]',
    'chrome-extension://abcdefghijklmnop',
    'capacitor://localhost',
    'https://xn--bcher-kva.example',
    'http://my_host',
  ])('allows the listed origin %s', (origin) => {
    const policy = [
      'https://good.example',
      'HTTP://LOCALHOST:3000',
      'http://127.0.0.1:80',
      'http://[::1]:8080',
      'http://[2001:db8::1]:80',
      'chrome-extension://abcdefghijklmnop',
      'capacitor://localhost',
      'https://xn--bcher-kva.example',
      'http://my_host',
    ];
    expect(allowed(policy, origin)).toBe(true);
    expect(allowed([origin], origin)).toBe(true);
  });

  it.each([
    'https://good.evil.com',
    'https://good',
    'https://good.example.evil.com',
    'https://evil.com/https://good.example',
    'https://evilgood.example',
    'https://sub.good.example',
    'https://good.example.',
    'https://good.example:8443',
    'https://good.example:80',
    'https://good.example:',
    'https://good.example:0443',
    'https://good.example:0',
    'https://good.example/443',
    'https://good.example:4\u01c3',
    'https://good.example:65979',
    'https://good.example:443x',
    'https://good.example:44 3',
    'https://good.example/',
    'https://good.example/path',
    'https://good.example?x',
    'https://good.example#x',
    'https://good.example\\evil',
    'https://good.example%00',
    'https://good.example\u0000',
    'https://good.example https://evil.com',
    'https://evil.com, https://good.example',
    'https://user@good.example',
    'https://good.example@evil.com',
    'https://*.example',
    'https://*',
    'https:good.example',
    'https:/good.example',
    'https:///good.example',
    '//good.example',
    '://good.example',
    'good.example',
    'http://good.example',
    'wss://good.example',
    'null',
    'NULL',
    'undefined',
    '*',
    'same-origin',
    ' https://good.example',
    'https://g\u00f6\u00f6d.example',
    // Letters that toLowerCase() or Unicode normalization would turn into ASCII ones.
    'https://good.e\u212aample',
    'http\u017f://good.example',
  ])('refuses %j when only https://good.example is listed', (origin) => {
    expect(allowed(['https://good.example'], origin)).toBe(false);
  });

  it('allows the origin null only if it is listed', () => {
    expect(allowed(['null'], 'null')).toBe(true);
    expect(allowed(['https://good.example'], 'null')).toBe(false);
    expect(allowed([], 'null')).toBe(false);
    expect(allowed('same-origin', 'null')).toBe(false);
  });

  it('refuses every origin when the list is empty', () => {
    expect(allowed([], 'https://good.example')).toBe(false);
  });

  it('drops the default port of a scheme, and no other port', () => {
    expect(allowed(['http://a'], 'http://a:80')).toBe(true);
    expect(allowed(['http://a:80'], 'http://a')).toBe(true);
    expect(allowed(['https://a:443'], 'https://a')).toBe(true);
    expect(allowed(['http://a'], 'http://a:443')).toBe(false);
    expect(allowed(['https://a'], 'https://a:80')).toBe(false);
    expect(allowed(['other://a'], 'other://a:80')).toBe(false);
    expect(allowed(['http://a:1'], 'http://a:1')).toBe(true);
    expect(allowed(['http://a:65535'], 'http://a:65535')).toBe(true);
    expect(allowed(['http://a:65536'], 'http://a:65536')).toBe(false);
  });

  it('takes an IPv6 address for one only in whole brackets', () => {
    for (const origin of [
      'http://[::1',
      'http://::1',
      'http://[]',
      'http://[::1]x',
      'http://[::g]',
      'http://]',
    ]) {
      expect(allowed([origin], origin)).toBe(false);
    }
  });

  it('is the same as string equality for origins in their serialized form', () => {
    const name = fc.constantFrom('a', 'b.a', 'a.b', 'ab', '10.0.0.1', '[::1]');
    const port = fc.constantFrom('', ':1', ':81', ':8080', ':65535');
    const origin = fc
      .tuple(fc.constantFrom('http', 'https'), name, port)
      .map(([scheme, host, suffix]) => `${scheme}://${host}${suffix}`);
    fc.assert(
      fc.property(fc.array(origin, { maxLength: 4 }), origin, (policy, sent) => {
        expect(allowed(policy, sent)).toBe(policy.includes(sent));
      }),
      { numRuns: 2000 },
    );
  });

  it('allows no text around a listed origin', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, after) => {
        fc.pre(before + after !== '');
        fc.pre(!(before === '' && after === ':443'));
        expect(allowed(['https://good.example'], `${before}https://good.example${after}`)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('isOriginAllowed with same-origin', () => {
  const sameOrigin = (origin: string, host: string, isSecure?: boolean): boolean =>
    isOriginAllowed('same-origin', origin, host, isSecure);

  it.each([
    ['http://a.example', 'a.example'],
    ['http://a.example', 'a.example:80'],
    ['http://a.example:80', 'A.Example'],
    ['https://a.example', 'a.example'],
    ['https://a.example', 'a.example:443'],
    ['http://localhost:9001', 'localhost:9001'],
    ['http://[::1]:9001', '[::1]:9001'],
  ])('allows %s on the host %s', (origin, host) => {
    expect(sameOrigin(origin, host)).toBe(true);
  });

  it.each([
    ['http://a.example', 'b.example'],
    ['http://a.example', 'sub.a.example'],
    ['http://a.example', 'a.example:443'],
    ['https://a.example', 'a.example:80'],
    ['http://localhost:9001', 'localhost'],
    ['http://localhost', 'localhost:9001'],
    ['http://localhost:3000', 'localhost:9001'],
    ['http://a.example', ''],
    ['http://a.example', 'a.example:'],
    ['http://a.example', 'a.example, b.example'],
    ['http://a.example', 'user@a.example'],
    ['http://a.example', 'a.example/'],
    ['chrome-extension://a.example', 'a.example'],
    ['rubbish', 'rubbish'],
  ])('refuses %s on the host %j', (origin, host) => {
    expect(sameOrigin(origin, host)).toBe(false);
  });

  it('demands an https page where the client came by our own TLS', () => {
    expect(sameOrigin('https://a.example', 'a.example', true)).toBe(true);
    expect(sameOrigin('http://a.example', 'a.example', true)).toBe(false);
    expect(sameOrigin('http://a.example:8443', 'a.example:8443', true)).toBe(false);
  });
});

describe('validateOriginPolicy', () => {
  it.each([[undefined], ['*'], ['same-origin'], [[]], [['null']], [['https://a', 'http://localhost:3000']]])(
    'accepts %j',
    (policy) => {
      expect(() => validateOriginPolicy(policy)).not.toThrow();
    },
  );

  it.each([
    [null],
    [true],
    [''],
    ['https://a'],
    [{}],
    [/a/],
    [['*']],
    [['same-origin']],
    [['https://a/']],
    [['https://a/path']],
    [['https://*.a']],
    [['a.example']],
    [['']],
    [['https://a', 5]],
    [['https://b\u00fccher.example']],
    [['https://a:99999']],
    [['https://a:']],
    [['https://a:x']],
    [['https://']],
    [['https://:80']],
    [['://a']],
    [['1http://a']],
    [['http://[::1']],
  ])('throws for %j and says what an origin is', (policy) => {
    expect(() => validateOriginPolicy(policy)).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_INVALID_OPTION',
        message: expect.stringMatching(/^origins (must be|has the entry)/),
      }),
    );
  });
});
