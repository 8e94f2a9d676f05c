import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { descriptorLimit, hasDescriptors, nextDescriptor } from '../../../src/net/descriptor-limit.ts';

const open = (): number => readdirSync('/proc/self/fd').length;

it('descriptorLimit is the soft limit of the process', () => {
  const soft = execFileSync('sh', ['-c', 'ulimit -Sn'], { encoding: 'utf8' }).trim();
  expect(descriptorLimit()).toBe(soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft));
});

it('hasDescriptors leaves none open', () => {
  const before = open();
  expect(hasDescriptors(20)).toBe(true);
  expect(open()).toBe(before);
});

it('nextDescriptor is the lowest free number, and stays free', () => {
  const next = nextDescriptor();
  expect(Number.isSafeInteger(next)).toBe(true);
  expect(nextDescriptor()).toBe(next);
});
