import { expect, test } from 'vitest';
import { columns, flagLines, MAIN_HELP } from '../../../src/cli/help.ts';

test('columns aligns the right side and wraps it', () => {
  const words = 'word '.repeat(30).trim();
  const lines = columns([
    ['a', 'first'],
    ['longer', words],
  ]).split('\n');
  expect(lines[0]).toBe('  a       first');
  expect(lines[1]).toMatch(/^ {2}longer {2}word word/);
  expect(lines[2]).toMatch(/^ {10}word/);
  expect(
    lines
      .slice(1)
      .join(' ')
      .split(/\s+/)
      .filter((word) => word === 'word'),
  ).toHaveLength(30);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(96);
});

test('a word that does not fit gets a line of its own', () => {
  const long = 'x'.repeat(120);
  expect(
    columns([['a', `b ${long} c`]])
      .split('\n')
      .map((line) => line.trim()),
  ).toEqual(['a  b', long, 'c']);
});

test('flagLines shows short names and values', () => {
  expect(flagLines({ port: { value: 'N', help: 'Port.' }, help: { short: 'h', help: 'Help.' } })).toBe(
    '  --port N    Port.\n  -h, --help  Help.',
  );
});

test('the main help names the command, both flags and the exit codes', () => {
  for (const word of ['serve MODULE', '--help', '--version', 'Exit codes']) expect(MAIN_HELP).toContain(word);
});
