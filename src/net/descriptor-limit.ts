import { readFileSync } from 'node:fs';

/** Descriptors this process may have open, where the system tells (Linux); else Infinity. */
export function descriptorLimit(): number {
  try {
    const line = readFileSync('/proc/self/limits', 'latin1')
      .split('\n')
      .find((candidate) => candidate.startsWith('Max open files'));
    const soft = Number(line?.slice('Max open files'.length).trim().split(' ', 1)[0]);
    return Number.isInteger(soft) && soft > 0 ? soft : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
