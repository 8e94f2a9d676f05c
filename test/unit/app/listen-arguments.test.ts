import { describe, expect, it } from 'vitest';
import { ListenOptions, listenArguments } from '../../../src/app/listen-arguments.ts';

const callback = (): void => {};
const { LIBUS_LISTEN_EXCLUSIVE_PORT: EXCLUSIVE } = ListenOptions;
const parsed = (...args: unknown[]): unknown[] => {
  const { host, port, isExclusive, callback: last } = listenArguments([...args, callback]);
  expect(last).toBe(callback);
  return [host, port, isExclusive];
};

describe('listenArguments', () => {
  it.each<[args: unknown[], expected: unknown[]]>([
    [[9001], ['::', 9001, false]],
    [['9001'], ['::', 9001, false]],
    [
      [9001, 0],
      ['::', 9001, false],
    ],
    [
      [9001, EXCLUSIVE],
      ['::', 9001, true],
    ],
    [
      [9001, true],
      ['::', 9001, true],
    ],
    [
      ['127.0.0.1', 9001],
      ['127.0.0.1', 9001, false],
    ],
    [
      [Buffer.from('127.0.0.1'), '9001'],
      ['127.0.0.1', 9001, false],
    ],
    [
      ['localhost', 0, EXCLUSIVE],
      ['localhost', 0, true],
    ],
    // What the environment may not have: any address, any free port.
    [[undefined], ['::', 0, false]],
    [
      [undefined, 9001],
      ['::', 9001, false],
    ],
    [
      [null, undefined],
      ['::', 0, false],
    ],
    [
      ['', 9001, EXCLUSIVE],
      ['::', 9001, true],
    ],
    // A number in a text is a port, what follows it are the options.
    [
      ['9001', 1],
      ['::', 9001, true],
    ],
  ])('takes %j', (args, expected) => {
    expect(parsed(...args)).toEqual(expected);
  });

  it.each<[args: unknown[], message: RegExp]>([
    [[9001], /^listen: the last argument must be a callback; got 9001/],
    [[], /the last argument must be a callback; got undefined/],
    [[9001, 2, callback], /the options must be LIBUS_LISTEN_EXCLUSIVE_PORT or 0; got 2/],
    [[9001, 'exclusive', callback], /the options must be/],
    [[65_536, callback], /port/],
    [[-1, callback], /port/],
    [['localhost', 'http', callback], /port/],
  ])('refuses %j', (args, message) => {
    expect(() => listenArguments(args)).toThrow(message);
  });
});
