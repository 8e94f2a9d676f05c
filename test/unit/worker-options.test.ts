import { describe, expect, it } from 'vitest';
import { oldSpaceFlag, workerOptions } from '../../src/worker-options.ts';

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

describe('what V8 was told of the size of heaps', () => {
  it.each([
    [[], undefined, 0],
    [['--max-semi-space-size=64', 'x=--max-old-space-size=9'], '--no-warnings', 0],
    [['--max-old-space-size=300'], undefined, 300],
    [['--max_old_space_size', '300', '--no-warnings'], undefined, 300],
    [[], '--no-warnings --max-old-space-size=300', 300],
    [['--max-old-space-size=200', '--max-old-space-size=400'], '--max-old-space-size=300', 400],
    [['--max-old-space-size=x'], undefined, Infinity],
    [['--max-old-space-size'], undefined, Infinity],
    [['--max-old-space-size-percentage=50'], '--max-old-space-size=300', Infinity],
    [['--max-heap-size=300'], undefined, Infinity],
  ])('by %j and NODE_OPTIONS=%j', (argv, options, expected) => {
    expect(oldSpaceFlag(argv, options === undefined ? {} : { NODE_OPTIONS: options })).toBe(expected);
  });
});
