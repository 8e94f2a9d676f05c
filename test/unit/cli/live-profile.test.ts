import { expect, it } from 'vitest';
import { missingThreads } from '../../../src/cli/live-profile.ts';

it('missingThreads names the threads of the server that have no profile, and no others', () => {
  const recorded = (...threads: string[]) => threads.map((thread) => ({ thread }));
  expect(missingThreads(recorded('main', 'acceptor', 'shard 0', 'shard 1'), 2)).toEqual([]);
  expect(missingThreads(recorded('main', 'shard 1', 'shard 7'), 3)).toEqual([
    'acceptor',
    'shard 0',
    'shard 2',
  ]);
  expect(missingThreads([], 0)).toEqual(['main', 'acceptor']);
});
