import { describe, expect, it } from 'vitest';
import { workerOptions } from '../../src/worker-options.ts';

describe('what a thread is started with', () => {
  it('is inherited, unless it could not start with it', () => {
    expect(workerOptions(['--import', './x.js', '-e', 'code'], { NODE_OPTIONS: '--no-warnings' })).toEqual(
      {},
    );
    expect(workerOptions([], {})).toEqual({});
  });

  it.each([
    [['--input-type=module', '-e', 'code'], []],
    [['--input_type', 'module', '-e', '--import'], []],
    [
      ['--import', './x.js', '--input-type', 'module', '-r=./y.cjs'],
      ['--import', './x.js', '-r=./y.cjs'],
    ],
    [['--max-old-space-size=9', '--input-type=commonjs', '--no-warnings', '--import'], ['--no-warnings']],
  ])('of %j is %j', (argv, execArgv) => {
    expect(workerOptions(argv, {})).toEqual({ execArgv });
  });

  it('leaves the rest of NODE_OPTIONS as it is', () => {
    const env = { NODE_OPTIONS: '--import ./x.js --input-type module --no-warnings', HOME: '/' };
    expect(workerOptions([], env)).toEqual({
      env: { NODE_OPTIONS: '--import ./x.js --no-warnings', HOME: '/' },
    });
  });
});
