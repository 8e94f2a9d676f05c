import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSubprotocols, selectSubprotocol } from '../../../src/protocol/subprotocol.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function slowParse(header: string): string[] | undefined {
  if (header === '') return [];
  const names = header.split(',').map((name) => name.replace(/^[ \t]+|[ \t]+$/g, ''));
  if (new Set(names).size !== names.length) return undefined;
  return names.every((name) => TOKEN.test(name)) ? names : undefined;
}

describe('parseSubprotocols', () => {
  it('reads names in the order sent', () => {
    expect(parseSubprotocols('v12.stomp, v11.stomp,v10.stomp')).toEqual([
      'v12.stomp',
      'v11.stomp',
      'v10.stomp',
    ]);
    expect(parseSubprotocols(' \tmqtt\t ')).toEqual(['mqtt']);
  });

  it('reads none from an absent header', () => {
    expect(parseSubprotocols('')).toEqual([]);
  });

  it('takes names that differ in case as different', () => {
    expect(parseSubprotocols('chat, Chat')).toEqual(['chat', 'Chat']);
  });

  it.each(['__proto__', 'constructor', 'toString'])('takes the name %s as data', (name) => {
    expect(parseSubprotocols(name)).toEqual([name]);
    expect(parseSubprotocols(`${name},${name}`)).toBeUndefined();
  });

  it.each([
    ' ',
    ',',
    ',a',
    'a,',
    'a,,b',
    'a b',
    'a;b',
    'a=b',
    '"a"',
    'a/b',
    'a\u0000',
    'a\r\nb',
    'é',
    'a, a',
    'a,b,a',
  ])('refuses the malformed header %j', (header) => {
    expect(parseSubprotocols(header)).toBeUndefined();
  });

  it('ends soon on long headers', () => {
    const long = 1 << 21;
    expect(parseSubprotocols(`b${' '.repeat(long)}x`)).toBeUndefined();
    expect(parseSubprotocols(`b${' '.repeat(long)}`)).toEqual(['b']);
    expect(parseSubprotocols(Array.from({ length: 100_000 }, (_, i) => `p${i}`).join(','))).toHaveLength(
      100_000,
    );
  });

  it('agrees with splitting, trimming and comparing on any short text', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ',', ' ', '\t', ';', 'é'), maxLength: 10 });
    fc.assert(
      fc.property(text, (header) => {
        expect(parseSubprotocols(header)).toEqual(slowParse(header));
      }),
      { numRuns: 5000 },
    );
  });
});

describe('selectSubprotocol', () => {
  it('takes the first offered one when the server names none', () => {
    expect(selectSubprotocol(['b', 'a'], undefined)).toBe('b');
    expect(selectSubprotocol([], undefined)).toBe('');
  });

  it('takes the first offered one that the server supports', () => {
    expect(selectSubprotocol(['c', 'b', 'a'], ['a', 'b'])).toBe('b');
  });

  it('takes none when nothing fits', () => {
    expect(selectSubprotocol(['a'], ['A'])).toBe('');
    expect(selectSubprotocol(['a'], [])).toBe('');
    expect(selectSubprotocol([], ['a'])).toBe('');
  });
});
