import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../../src/cli/args.ts';
import { parseProfileArgs, profileHelp } from '../../../../src/cli/commands/profile-args.ts';

const DEFAULTS = {
  module: 'app.js',
  shards: undefined,
  path: '/',
  load: { warmup: 2 },
  duration: 10,
  interval: 1000,
  output: 'millrace-profile',
  isRaw: false,
  opens: false,
};

describe('parseProfileArgs', () => {
  test('has a default for everything but the module', () => {
    expect(parseProfileArgs(['app.js'])).toEqual(DEFAULTS);
  });

  test('reads every flag', () => {
    const argv =
      'app.js -c 5 -p 6 -s 7 -w 2 -d 8 -W 0 --scenario idle --path /chat --shards 3 --interval 100 -o out --raw --open';
    expect(parseProfileArgs(argv.split(' '))).toEqual({
      ...DEFAULTS,
      shards: 3,
      path: '/chat',
      load: { connections: 5, pipelining: 6, size: 7, workers: 2, warmup: 0, scenario: 'idle' },
      duration: 8,
      interval: 100,
      output: 'out',
      isRaw: true,
      opens: true,
    });
    expect(parseProfileArgs(['app.js', '-m', 'hi'])?.load).toEqual({ warmup: 2, message: 'hi' });
  });

  test.each([
    ['', /name the app module/],
    ['a.js b.js', /one app module/],
    ['a.js -d 0', /--duration must be an integer from 1 to 300/],
    ['a.js -c 0', /--connections must be an integer/],
    ['a.js --interval 1', /--interval/],
    ['a.js --scenario eko', /--scenario must be one of echo/],
    ['a.js --path chat', /--path must begin with a slash/],
    ['a.js -m hi -s 2', /exclude each other/],
    ['a.js --fast', /there is no flag --fast/],
  ])('refuses `%s`', (argv, message) => {
    const parse = (): unknown => parseProfileArgs(argv.split(' ').filter((word) => word !== ''));
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow(message);
  });

  test('asks for the help with -h', () => {
    expect(parseProfileArgs(['-h'])).toBeNull();
    for (const flag of ['--connections', '--output', '--raw', '--interval', 'SIGUSR2'])
      expect(profileHelp()).toContain(flag);
    for (const line of profileHelp().split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});
