import { describe, expect, test } from 'vitest';
import { type Flags, parseFlags, parseInteger, UsageError } from '../../../src/cli/args.ts';

const FLAGS: Flags = {
  port: { value: 'N', help: '' },
  host: { value: 'ADDRESS', help: '' },
  'max-connections': { value: 'N', help: '' },
  help: { short: 'h', help: '' },
};

const parse = (...argv: string[]): ReturnType<typeof parseFlags> => parseFlags('mill', FLAGS, argv);
const mistake = (...argv: string[]): UsageError => usageError(() => parse(...argv));

function usageError(call: () => unknown): UsageError {
  try {
    call();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('there was no UsageError');
}

describe('parseFlags', () => {
  test('takes values behind a space and behind an equals sign', () => {
    const { values, positionals } = parse('a.js', '--port', '80', '--host=::1');
    expect(Object.fromEntries(values)).toEqual({ port: '80', host: '::1' });
    expect(positionals).toEqual(['a.js']);
  });

  test('lets flags stand before, between and behind other words', () => {
    expect(parse('--port', '1', 'a', '--host', 'h', 'b').positionals).toEqual(['a', 'b']);
  });

  test('takes a value with an equals sign in it whole', () => {
    expect(parse('--host=a=b').values.get('host')).toBe('a=b');
  });

  test('gives a switch the empty value, by its long and its short name', () => {
    expect(parse('--help').values.get('help')).toBe('');
    expect(parse('-h').values.get('help')).toBe('');
  });

  test('lets the last of two values count', () => {
    expect(parse('--port', '1', '--port=2').values.get('port')).toBe('2');
  });

  test('takes what follows a double dash as it is', () => {
    expect(parse('--', '--port', '-h').positionals).toEqual(['--port', '-h']);
  });

  test('names the nearest flag of one it does not know, and the help', () => {
    const { message, remedy } = mistake('--prot', '80');
    expect(message).toBe('there is no flag --prot; did you mean --port?');
    expect(remedy).toBe("See 'mill --help'.");
  });

  test('names no flag when none is near', () => {
    expect(mistake('--certificate').message).toBe('there is no flag --certificate');
    expect(mistake('-x').message).toBe('there is no flag -x');
  });

  test.each(['constructor', '__proto__', 'toString'])('does not know a flag --%s', (name) => {
    expect(mistake(`--${name}`, '1').message).toMatch(`there is no flag --${name}`);
  });

  test.each([
    ['at the end', ['--port']],
    ['before another flag', ['--port', '--host', 'h']],
    ['before a short flag', ['--port', '-h']],
    ['after an equals sign', ['--port=']],
  ])('asks for a value that is missing %s', (_where, argv) => {
    expect(mistake(...argv).message).toBe('--port needs a value: --port N');
  });

  test('takes a negative number for a value, so that the number is what is wrong', () => {
    expect(parse('--port', '-1').values.get('port')).toBe('-1');
  });

  test('refuses a value for a switch', () => {
    expect(mistake('--help=yes').message).toBe("--help takes no value; got 'yes'");
  });
});

describe('parseInteger', () => {
  const limit = { min: 2, max: 10, zero: 'none', unit: 'cups' };

  test.each(['2', '10', '007'])('reads %s', (text) => {
    expect(parseInteger('mill', 'cups', text, limit)).toBe(Number(text));
  });

  test('takes 0 only where it means something', () => {
    expect(parseInteger('mill', 'cups', '0', limit)).toBe(0);
    expect(() => parseInteger('mill', 'cups', '0', { min: 1, max: 3, unit: 'cups' })).toThrow(UsageError);
  });

  test.each(['1', '11', '-2', '2.5', '1e1', '0x4', ' 4', '4 ', 'four', '٤', '9'.repeat(400)])(
    'refuses %j and says what it takes',
    (text) => {
      const { message } = usageError(() => parseInteger('mill', 'cups', text, limit));
      expect(message).toBe(`--cups must be an integer from 2 to 10 (cups), or 0 for none; got '${text}'`);
    },
  );
});
