import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { queryValue } from '../../../src/http/query.ts';

describe('a value of a query', () => {
  it.each([
    ['a=1&b=2', 'a', '1'],
    ['a=1&b=2', 'b', '2'],
    ['a=1&b=2', 'c', undefined],
    ['a=1&a=2', 'a', '1'],
    ['a', 'a', ''],
    ['a=', 'a', ''],
    ['a&b', 'b', ''],
    ['a=b=c', 'a', 'b=c'],
    ['aa=1&a=2', 'a', '2'],
    ['a=2&aa=1', 'aa', '1'],
    ['ab=1', 'a', undefined],
    ['&&a=1&&', 'a', '1'],
    ['', 'a', undefined],
    ['=1', '', undefined],
    ['a=1', '', undefined],
    ['a=b+c', 'a', 'b c'],
    ['a=%62%2B%26%3d', 'a', 'b+&='],
    ['a=%', 'a', '%'],
    ['a=%4', 'a', '%4'],
    ['a=%zz%41', 'a', '%zzA'],
    ['a=%%41', 'a', '%A'],
    ['a=%4%41', 'a', '%4A'],
    ['a=%C3%A9', 'a', 'é'],
    ['a=é', 'a', 'é'],
    ['a=☃%20+%e2%98%83', 'a', '☃  ☃'],
    ['a=\ufffd%41', 'a', '\ufffdA'],
    ['a=%c3', 'a', '\ufffd'],
    ['a=%c0%ae', 'a', '\ufffd\ufffd'],
    ['a=%00b', 'a', '\0b'],
    ['a=%EF%BB%BFb', 'a', '\ufeffb'],
    ['A=1', 'a', undefined],
    ['%61=1', 'a', undefined],
    ['__proto__=1', '__proto__', '1'],
    ['x=1', 'constructor', undefined],
    ['x=1', '__proto__', undefined],
  ])('in %j for %j is %j', (query, key, expected) => {
    expect(queryValue(query, key)).toBe(expected);
  });

  it('is found behind ten thousand others', () => {
    const query = `${Array.from({ length: 10_000 }, (_, i) => `p${i}=${i}`).join('&')}&last=%41`;
    expect(queryValue(query, 'last')).toBe('A');
    expect(queryValue(query, 'p9999')).toBe('9999');
    expect(queryValue(query, 'p')).toBeUndefined();
  });

  it('may be a megabyte of broken escapes', () => {
    expect(queryValue(`a=${'%'.repeat(2 ** 20)}`, 'a')).toHaveLength(2 ** 20);
  });

  it('is what URLSearchParams reads, for plain keys and well-formed escapes', () => {
    const value = fc.string({ unit: 'binary', maxLength: 12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'ab'), value), { maxLength: 6 }), (pairs) => {
        const query = new URLSearchParams(pairs).toString();
        for (const key of ['a', 'b', 'ab', 'c']) {
          expect(queryValue(query, key)).toBe(new URLSearchParams(query).get(key) ?? undefined);
        }
      }),
    );
  });

  it('is found in any text without a throw', () => {
    const text = fc.string({ unit: fc.constantFrom(...'a=&%+41c3\xc3\xa9\xff'.split('')), maxLength: 30 });
    fc.assert(
      fc.property(text, (query) => {
        const found = query.split('&').find((pair) => pair === 'a' || pair.startsWith('a='));
        expect(queryValue(query, 'a') === undefined).toBe(found === undefined);
      }),
    );
  });
});
