import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FlamegraphError, find0x } from '../../../src/profile/flamegraph.ts';
import { writeProfiles } from '../../../src/profile/write-profiles.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'profiles-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const frame = (functionName: string, url: string) => ({
  functionName,
  url,
  lineNumber: 0,
  columnNumber: 0,
  scriptId: '1',
});

/** Of one function, as V8 writes it. */
const PROFILE: Profiler.Profile = {
  startTime: 0,
  endTime: 2_000_000,
  nodes: [
    { id: 1, hitCount: 0, callFrame: frame('(root)', ''), children: [2, 3] },
    { id: 2, hitCount: 3, callFrame: frame('busy', 'file:///app/a.js') },
    { id: 3, hitCount: 1, callFrame: frame('(garbage collector)', '') },
  ],
  samples: [2, 2, 3, 2],
  timeDeltas: [500_000, 500_000, 500_000, 500_000],
};

const THREADS = ['shard 0', 'main'].map((thread) => ({ thread, profile: PROFILE }));

it('writes profiles with readable names into a folder that it makes, and a page that leads to them', async () => {
  const directory = join(folder, 'new', 'deep');
  const page = await writeProfiles(THREADS, { directory, command: null, title: 'T', about: ['a'] });
  expect(page).toBe(join(directory, 'index.html'));
  expect(readdirSync(directory).sort()).toEqual(['index.html', 'main.cpuprofile', 'shard-0.cpuprofile']);
  const written = JSON.parse(readFileSync(join(directory, 'shard-0.cpuprofile'), 'utf8')) as Profiler.Profile;
  expect(written.nodes.map(({ callFrame }) => callFrame.functionName)).toEqual([
    '(root)',
    'busy',
    'garbage collector.',
  ]);
  expect(written.samples).toEqual(PROFILE.samples);
  const html = readFileSync(page, 'utf8');
  expect(html).toContain(
    '<a href="shard-0.cpuprofile">profile</a>; 4 samples in 2.0 s,\nidle 0.0 %, garbage collection 25.0 %',
  );
  expect(html).not.toContain('>flamegraph<');
});

it('draws a flamegraph of each thread', async () => {
  const told: string[] = [];
  await writeProfiles(THREADS.slice(0, 1), {
    directory: folder,
    command: find0x(folder),
    title: 'T',
    about: [],
    onFlamegraph: (thread) => told.push(thread),
  });
  expect(told).toEqual(['shard 0']);
  expect(readFileSync(join(folder, 'shard-0.html'), 'utf8')).toContain('busy');
  expect(readFileSync(join(folder, 'index.html'), 'utf8')).toContain('<a href="shard-0.html">flamegraph</a>');
});

it('has written all else when a flamegraph cannot be drawn', async () => {
  const command = join(folder, 'fails.cjs');
  writeFileSync(command, 'process.exitCode = 1;');
  const directory = join(folder, 'out');
  const options = { directory, command, title: 'T', about: [] };
  await expect(writeProfiles(THREADS, options)).rejects.toThrow(FlamegraphError);
  expect(readdirSync(directory).sort()).toEqual(['index.html', 'main.cpuprofile', 'shard-0.cpuprofile']);
  expect(existsSync(join(directory, 'shard-0.html'))).toBe(false);
});
