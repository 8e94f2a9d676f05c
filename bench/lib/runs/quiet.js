// @ts-check
import { setTimeout as sleep } from 'node:timers/promises';
import { hasProc, processorBusySeconds } from './process-cpu.js';

/** How long a processor is watched, in seconds, and what share of that time may be busy. */
const WATCH = 0.5;
const IDLE_ENOUGH = 0.1;

/**
 * Waits until other programs leave the processors alone.
 *
 * @param {readonly number[]} cpus
 * @param {number} limit seconds to wait at most
 * @returns {Promise<boolean>} whether they do
 */
export async function waitUntilQuiet(cpus, limit) {
  if (!hasProc || limit <= 0) return true;
  const deadline = performance.now() + limit * 1000;
  do {
    if (await isQuiet(cpus)) return true;
  } while (performance.now() < deadline);
  return false;
}

/** @param {readonly number[]} cpus */
async function isQuiet(cpus) {
  const before = cpus.map(processorBusySeconds);
  await sleep(WATCH * 1000);
  return cpus.every((cpu, i) => processorBusySeconds(cpu) - (before[i] ?? 0) <= WATCH * IDLE_ENOUGH);
}
