// @ts-check
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Processor time comes from /proc, so outside Linux there is none and the figures are NaN. */
export const hasProc = existsSync('/proc/self/stat') && existsSync('/proc/stat');

const ticksPerSecond = hasProc
  ? Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  : Number.NaN;

/**
 * Seconds of processor time, user and system, that a process has taken with all its threads, those that have
 * ended included. In steps of a tick, which is 10 ms nearly everywhere.
 *
 * @param {number} pid
 */
export function processCpuSeconds(pid) {
  if (!hasProc) return Number.NaN;
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is the program's name in parentheses and may hold anything, parentheses too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/**
 * The same of a process group: of its processes and of those that these have waited for.
 *
 * @param {number} group
 */
export function groupCpuSeconds(group) {
  if (!hasProc) return Number.NaN;
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const fields = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
      if (fields[2] === group) ticks += sum(fields.slice(11, 15));
    } catch {
      // It has ended meanwhile.
    }
  }
  return ticks / ticksPerSecond;
}

/**
 * Bytes of memory that a process has in use (RSS).
 *
 * @param {number} pid
 */
export function processMemory(pid) {
  if (!hasProc) return Number.NaN;
  const [, kib] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kib) * 1024;
}

/**
 * Seconds that one processor has not been idle, whoever used it; what the hypervisor gave to others counts.
 *
 * @param {number} cpu
 */
export function processorBusySeconds(cpu) {
  if (!hasProc) return Number.NaN;
  const line = readFileSync('/proc/stat', 'latin1')
    .split('\n')
    .find((text) => text.startsWith(`cpu${cpu} `));
  if (line === undefined) return Number.NaN;
  const [user, nice, system, , , irq, softirq, steal] = line.split(/ +/).slice(1).map(Number);
  return sum([user, nice, system, irq, softirq, steal]) / ticksPerSecond;
}

/** @param {readonly (number | undefined)[]} values */
function sum(values) {
  let total = 0;
  for (const value of values) total += value ?? 0;
  return total;
}
