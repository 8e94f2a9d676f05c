import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ExtensionOffer,
  formatExtensions,
  MAX_EXTENSION_OFFERS,
  MAX_EXTENSION_PARAMS,
  parseExtensions,
} from '../../../src/protocol/extension.ts';

const TOKEN_CHARS = "!#$%&'*+-.^_`|~09AZaz";
const token = fc.string({ unit: fc.constantFrom(...TOKEN_CHARS.split('')), minLength: 1, maxLength: 8 });
const whitespace = fc.string({ unit: fc.constantFrom(' ', '\t'), maxLength: 3 });

const offers = fc.array(
  fc.record({
    name: token,
    params: fc.array(fc.record({ name: token, value: fc.oneof(token, fc.constant(true as const)) }), {
      maxLength: 5,
    }),
  }),
  { minLength: 1, maxLength: 5 },
);

/** The grammar of RFC 6455 §9.1 as patterns, for short texts. */
const T = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]";
const PARAM = `[ \\t]*;[ \\t]*(${T}+)(?:[ \\t]*=[ \\t]*(?:(${T}+)|"((?:\\\\?${T})+)"))?`;
const OFFER = `[ \\t]*(${T}+)((?:${PARAM})*)[ \\t]*`;

function slowParse(header: string): ExtensionOffer[] | undefined {
  if (header === '') return [];
  const parsed: ExtensionOffer[] = [];
  // A comma within quotes makes both halves invalid, as it does the whole.
  for (const part of header.split(',')) {
    const match = new RegExp(`^${OFFER}$`).exec(part);
    if (match === null) return undefined;
    const params = [...match[2]!.matchAll(new RegExp(PARAM, 'g'))].map((param) => ({
      name: param[1]!,
      value: param[2] ?? param[3]?.replaceAll('\\', '') ?? (true as const),
    }));
    parsed.push({ name: match[1]!, params });
  }
  return parsed;
}

describe('parseExtensions', () => {
  it('reads the offers of browsers', () => {
    expect(parseExtensions('permessage-deflate; client_max_window_bits')).toEqual([
      { name: 'permessage-deflate', params: [{ name: 'client_max_window_bits', value: true }] },
    ]);
  });

  it('reads several offers, values bare and quoted, in the order sent', () => {
    expect(parseExtensions('a; p=1; q="two" ,b;r;p="\\3\\4"\t;p,a')).toEqual([
      {
        name: 'a',
        params: [
          { name: 'p', value: '1' },
          { name: 'q', value: 'two' },
        ],
      },
      {
        name: 'b',
        params: [
          { name: 'r', value: true },
          { name: 'p', value: '34' },
          { name: 'p', value: true },
        ],
      },
      { name: 'a', params: [] },
    ]);
  });

  it('reads no offers from an absent header', () => {
    expect(parseExtensions('')).toEqual([]);
  });

  it.each([
    ' ',
    ',',
    ';',
    '=',
    '"a"',
    ',a',
    'a,',
    'a,,b',
    'a;',
    'a;;b',
    'a;b=',
    'a;b=""',
    'a;b="',
    'a;b="c',
    'a;b="c\\',
    'a;b="c d"',
    'a;b="c,d"',
    'a;b="c";',
    'a;b="c"d',
    'a;b=c d',
    'a;b=c=d',
    'a;=b',
    'a b',
    'a=b',
    'a;b\u0000',
    'é',
    'a;"b"',
    "a;b='c'd e",
    'a;b=[',
    'a/b',
    'a\r\nb',
    'a;b="\\"',
  ])('refuses the malformed header %j', (header) => {
    expect(parseExtensions(header)).toBeUndefined();
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])('takes the name %s as data', (name) => {
    const parsed = parseExtensions(`${name}; ${name}=${name}`);
    expect(parsed).toHaveLength(1);
    expect(parsed![0]!.name).toBe(name);
    expect(parsed![0]!.params).toEqual([{ name, value: name }]);
  });

  it.each(['7', '16', '-1', '08', '15.5'])(
    'leaves the value %s of a parameter to the negotiation',
    (value) => {
      const header = `permessage-deflate; server_max_window_bits=${value}`;
      expect(parseExtensions(header)![0]!.params[0]!.value).toBe(value);
    },
  );

  it('takes as many offers and parameters as the limits say, and refuses one more', () => {
    const list = (length: number): string => Array.from({ length }, (_, i) => `x${i}`).join(',');
    expect(parseExtensions(list(MAX_EXTENSION_OFFERS - 1))).toHaveLength(MAX_EXTENSION_OFFERS - 1);
    expect(parseExtensions(list(MAX_EXTENSION_OFFERS))).toHaveLength(MAX_EXTENSION_OFFERS);
    expect(parseExtensions(list(MAX_EXTENSION_OFFERS + 1))).toBeUndefined();
    expect(parseExtensions(list(4096))).toBeUndefined();
    expect(parseExtensions(`x${';p'.repeat(MAX_EXTENSION_PARAMS - 1)}`)).toHaveLength(1);
    expect(parseExtensions(`x${';p'.repeat(MAX_EXTENSION_PARAMS)}`)![0]!.params).toHaveLength(
      MAX_EXTENSION_PARAMS,
    );
    expect(parseExtensions(`x${';p'.repeat(MAX_EXTENSION_PARAMS + 1)}`)).toBeUndefined();
  });

  it('ends soon on long hostile headers', () => {
    const long = 1 << 21;
    expect(parseExtensions(`a; b="${'\\c'.repeat(long)}`)).toBeUndefined();
    expect(parseExtensions(`a; b="${'\\c'.repeat(long)}"`)).toHaveLength(1);
    expect(parseExtensions(`a${' '.repeat(long)}b`)).toBeUndefined();
    expect(parseExtensions(`a;${' '.repeat(long)}b=`)).toBeUndefined();
    expect(parseExtensions('a'.repeat(long))).toHaveLength(1);
    expect(parseExtensions(','.repeat(long))).toBeUndefined();
  });

  it('agrees with the grammar on any short text', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', ',', ';', '=', '"', '\\', ' ', '\t', '/'),
      maxLength: 12,
    });
    let accepted = 0;
    fc.assert(
      fc.property(text, (header) => {
        const expected = slowParse(header);
        if (expected !== undefined) accepted++;
        expect(parseExtensions(header)).toEqual(expected);
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(500);
  });

  it('reads back any offers, whatever their spacing and quoting', () => {
    fc.assert(
      fc.property(offers, fc.infiniteStream(fc.tuple(whitespace, whitespace, fc.nat(2))), (list, styles) => {
        const spaced = (separator: string): string => {
          const [before, after] = styles.next().value;
          return before + separator + after;
        };
        const quoted = (value: string): string => {
          const [, , style] = styles.next().value;
          if (style === 0) return value;
          return `"${style === 1 ? value : value.replaceAll(/./g, '\\$&')}"`;
        };
        const header = list
          .map(({ name, params }) =>
            [
              name,
              ...params.map((p) => (p.value === true ? p.name : p.name + spaced('=') + quoted(p.value))),
            ].reduce((text, part) => text + spaced(';') + part),
          )
          .reduce((text, part) => text + spaced(',') + part);
        expect(parseExtensions(header)).toEqual(list);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('formatExtensions', () => {
  it('writes offers in the form of RFC 6455', () => {
    const text = 'permessage-deflate; server_max_window_bits=10; client_no_context_takeover, x';
    expect(formatExtensions(parseExtensions(text)!)).toBe(text);
    expect(formatExtensions([])).toBe('');
  });

  it('is undone by parseExtensions', () => {
    fc.assert(
      fc.property(offers, (list) => {
        expect(parseExtensions(formatExtensions(list))).toEqual(list);
      }),
    );
  });

  it.each<ExtensionOffer>([
    { name: '', params: [] },
    { name: 'a\r\nb', params: [] },
    { name: 'a, b', params: [] },
    { name: 'a', params: [{ name: 'b;c', value: true }] },
    { name: 'a', params: [{ name: 'b', value: '' }] },
    { name: 'a', params: [{ name: 'b', value: 'c\u0000' }] },
  ])('throws for %j, which has a part that is no token', (offer) => {
    expect(() => formatExtensions([offer])).toThrow(
      expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
    );
  });
});
