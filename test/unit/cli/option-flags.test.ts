import { describe, expect, it } from 'vitest';
import { parseFlags, UsageError } from '../../../src/cli/args.ts';
import { defaultsOf, limitFlags, optionFlag, readLimits } from '../../../src/cli/option-flags.ts';
import type { Limit } from '../../../src/options/option.ts';

const TABLE = {
  maxHeadSize: {
    type: 'integer',
    default: 4096,
    min: 16,
    max: 65_536,
    unit: 'bytes',
    help: 'Bytes of a head.',
  },
  idleTimeout: {
    type: 'integer',
    default: 0,
    min: 8,
    max: 960,
    zero: 'never',
    unit: 'seconds',
    help: 'Idle.',
    short: 'i',
  },
  workers: {
    type: 'integer',
    default: 2,
    min: 1,
    max: 9,
    unit: 'threads',
    help: 'Threads.',
    flag: 'threads',
  },
} as const satisfies Record<string, Limit>;

const read = (...argv: string[]) =>
  readLimits('millrace test', parseFlags('millrace test', limitFlags(TABLE), argv), TABLE);

it('limitFlags makes a flag of each row, with its default, and what 0 means where it is that', () => {
  expect(limitFlags(TABLE)).toEqual({
    'max-head-size': { help: 'Bytes of a head. Default 4,096 (16 to 65,536 bytes).', value: 'BYTES' },
    'idle-timeout': { help: 'Idle. Default 0: never (else 8 to 960 seconds).', value: 'S', short: 'i' },
    threads: { help: 'Threads. Default 2 (1 to 9 threads).', value: 'N' },
  });
});

it('optionFlag takes the help of the row unless it is given another; without a value it is a switch', () => {
  const row = { type: 'flag', default: false, help: 'Of the row.', short: 'x' } as const;
  expect(optionFlag('someThing', row)).toEqual({ 'some-thing': { help: 'Of the row.', short: 'x' } });
  expect(optionFlag('someThing', { ...row, flag: 'thing' }, 'FILE', 'Own.')).toEqual({
    thing: { help: 'Own.', value: 'FILE', short: 'x' },
  });
});

describe('readLimits', () => {
  it('gives what the command line has, by the names of the table, and nothing else', () => {
    expect(read()).toEqual({});
    expect(read('--max-head-size', '16', '--threads=9', '-i', '0')).toEqual({
      maxHeadSize: 16,
      workers: 9,
      idleTimeout: 0,
    });
    expect(read('--threads', '3', '--threads', '4')).toEqual({ workers: 4 });
  });

  it.each([
    ['--max-head-size', '15', '--max-head-size must be an integer from 16 to 65536 (bytes)'],
    ['--max-head-size', '65537', '--max-head-size must be'],
    [
      '--idle-timeout',
      '7',
      "--idle-timeout must be an integer from 8 to 960 (seconds), or 0 for never; got '7'",
    ],
    ['--threads', '1.5', '--threads must be'],
    ['--threads', '0', '--threads must be'],
    ['--threads', 'x', "got 'x'"],
    ['--threads', '-1', "got '-1'"],
  ])('refuses %s %s', (flag, value, message) => {
    expect(() => read(flag, value)).toThrow(UsageError);
    expect(() => read(flag, value)).toThrow(message);
  });
});

it('defaultsOf gives the defaults', () => {
  expect(defaultsOf(TABLE)).toEqual({ maxHeadSize: 4096, idleTimeout: 0, workers: 2 });
});
