import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { MillraceError } from '../../../src/errors.ts';
import { Obstacle } from '../../../src/net/obstacle.ts';

let printed: unknown[][];
beforeEach(() => {
  printed = [];
  vi.spyOn(console, 'error').mockImplementation((...words: unknown[]) => void printed.push(words));
});
afterEach(() => {
  vi.restoreAllMocks();
});

it('prints a reason once, another one again, and the first again once it was gone', () => {
  const obstacle = new Obstacle('here:');
  for (const reason of ['one', 'one', 'two', 'two', 'one']) obstacle.tell(new Error(reason));
  expect(printed.map(([where]) => where)).toEqual(['here:', 'here:', 'here:']);
  obstacle.clear();
  obstacle.tell(new Error('one'));
  expect(printed.map(([, text]) => /one|two/.exec(String(text))![0])).toEqual(['one', 'two', 'one', 'one']);
});

it('says nothing of the lack of descriptors, which is no error of a system call', () => {
  const obstacle = new Obstacle('here:');
  obstacle.tell(new MillraceError('MILLRACE_UNSUPPORTED_RUNTIME', 'no descriptor left'));
  expect(printed).toEqual([]);
  obstacle.tell(
    new MillraceError('MILLRACE_UNSUPPORTED_RUNTIME', 'no\u001b folder', { cause: new Error('x') }),
  );
  expect(printed).toHaveLength(1);
  expect(printed[0]![1]).toMatch(/^no.*folder; it is tried again$/);
  expect(printed[0]![1]).not.toContain('\u001b');
});
