import { describe, expect, it, test } from 'vitest';
import { flagOf, type Limit, limitText, rangeText } from '../../../src/options/option.ts';
import { optionTables } from '../../../src/options/option-tables.ts';

const SECONDS: Limit = { type: 'integer', default: 10, min: 1, max: 960, unit: 'seconds', help: 'Time.' };

describe('limitText', () => {
  it('tells default, range, unit and what 0 means', () => {
    expect(limitText(SECONDS)).toBe('Default 10 (1 to 960 seconds).');
    expect(limitText({ ...SECONDS, zero: 'never' })).toBe('Default 10 (1 to 960 seconds; 0: never).');
    expect(limitText({ ...SECONDS, default: 0, zero: 'never' })).toBe(
      'Default 0: never (else 1 to 960 seconds).',
    );
  });

  it('writes large numbers so that they can be read', () => {
    const bytes = { min: 1024, max: 2 ** 20, unit: 'bytes' };
    expect(rangeText(bytes)).toBe('1,024 to 1,048,576 bytes');
    expect(rangeText({ ...bytes, isClamped: true })).toBe('1,024 to 1,048,576 bytes, which more means, too');
    expect(rangeText({ ...bytes, max: Number.MAX_SAFE_INTEGER, isClamped: true })).toBe(
      '1,024 or more bytes',
    );
  });
});

describe('flagOf', () => {
  it("is the option's name with hyphens, unless the row says otherwise", () => {
    expect(flagOf('maxConnectionsPerAddress')).toBe('max-connections-per-address');
    expect(flagOf('port', {})).toBe('port');
    expect(flagOf('protocols', { flag: 'subprotocol' })).toBe('subprotocol');
  });
});

describe.each(Object.entries(optionTables))('the table of %s', (_door, table) => {
  const limits = Object.entries(table).filter(
    (entry): entry is [string, Limit] => entry[1].type === 'integer',
  );

  test('has defaults within their ranges', () => {
    for (const [name, { default: value, min, max, zero }] of limits) {
      expect(
        Number.isSafeInteger(value) && Number.isSafeInteger(min) && Number.isSafeInteger(max),
        name,
      ).toBe(true);
      expect(min <= max, name).toBe(true);
      expect((value >= min && value <= max) || (value === 0 && zero !== undefined), name).toBe(true);
    }
  });

  test('has one flag and one letter for each', () => {
    const flags = Object.entries(table).map(([name, row]) => flagOf(name, row as { readonly flag?: string }));
    expect(new Set(flags).size).toBe(flags.length);
    const letters = Object.values(table).flatMap((row) => ('short' in row ? [row.short] : []));
    expect(new Set(letters).size).toBe(letters.length);
  });
});
