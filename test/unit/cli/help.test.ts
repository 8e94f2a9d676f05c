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
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
});

test('a left side that leaves the right one too little stands on a line of its own', () => {
  const left = '--a-name-that-is-longer-than-most N';
  const lines = columns([
    ['--a', 'first'],
    [left, 'second'],
  ]).split('\n');
  expect(lines[1]).toBe(`  ${left}`);
  expect(lines[2]!.indexOf('second')).toBe(lines[0]!.indexOf('first'));
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
  for (const line of MAIN_HELP.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  for (const word of ['serve MODULE', '--help', '--version', 'Exit codes']) expect(MAIN_HELP).toContain(word);
});
