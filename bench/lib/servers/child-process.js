// @ts-check
import { spawn, spawnSync } from 'node:child_process';

/** @typedef {import('node:child_process').ChildProcess} ChildProcess */

/** @type {Set<ChildProcess>} */
const running = new Set();
/** Those that lead a process group. @type {WeakSet<ChildProcess>} */
const groups = new WeakSet();

/** Pinning a process to a processor is done by `taskset` (util-linux). */
export const canPin = spawnSync('taskset', ['--version']).status === 0;

/**
 * Starts a program, pinned to a processor, or to several ('0,1'), where that is possible. It dies with this process.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {object} options
 * @param {number | string} options.cpu
 * @param {Readonly<Record<string, string>>} [options.env]
 * @param {string} [options.cwd]
 * @param {boolean} [options.isGroup] it starts programs of its own, which die with it
 */
export function spawnPinned(command, args, { cpu, env = {}, cwd, isGroup = false }) {
  const pinned = ['-c', String(cpu), command, ...args];
  const child = spawn(canPin ? 'taskset' : command, canPin ? pinned : args, {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: isGroup,
    ...(cwd === undefined ? {} : { cwd }),
  });
  running.add(child);
  if (isGroup) groups.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  return child;
}

/**
 * The first line of a program's output as JSON. What it says on stderr becomes part of the error when it ends
 * before that, or says nothing in time.
 *
 * @param {ChildProcess} child
 * @param {string} name
 * @param {number} timeoutSeconds
 * @returns {Promise<unknown>}
 */
export function readJsonLine(child, name, timeoutSeconds) {
  return new Promise((resolve, reject) => {
    let output = '';
    let errors = '';
    /** @param {string} what */
    const fail = (what) => {
      clearTimeout(timer);
      reject(new Error(`${name} ${what}${errors === '' ? '' : `:\n${errors.trim()}`}`));
    };
    const timer = setTimeout(() => fail(`said nothing for ${timeoutSeconds} s`), timeoutSeconds * 1000);
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      errors = (errors + text).slice(-4000);
    });
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      output += text;
      const end = output.indexOf('\n');
      if (end < 0) return;
      clearTimeout(timer);
      try {
        resolve(JSON.parse(output.slice(0, end)));
      } catch {
        fail(`printed no JSON: ${output.slice(0, end)}`);
      }
    });
    child.once('error', (error) => fail(`did not start (${error.message})`));
    child.once('close', (code, signal) => fail(`ended (${signal ?? code}) before it was done`));
  });
}

/**
 * Ends a program and waits until it is gone.
 *
 * @param {ChildProcess} child
 * @returns {Promise<void>}
 */
export function stopChild(child) {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      resolve();
      return;
    }
    child.once('exit', () => resolve());
    kill(child);
  });
}

/** @param {ChildProcess} child */
function kill(child) {
  if (!groups.has(child) || child.pid === undefined) {
    child.kill('SIGKILL');
    return;
  }
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // All of them are gone.
  }
}

/** @type {Set<() => void>} */
const cleanups = new Set();

/**
 * Has something undone when this process ends, by a signal too.
 *
 * @param {() => void} cleanup must not wait
 */
export function atEnd(cleanup) {
  cleanups.add(cleanup);
}

function endAll() {
  for (const child of running) kill(child);
  for (const cleanup of cleanups) cleanup();
  cleanups.clear();
}

process.once('exit', endAll);
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.once(signal, () => {
    endAll();
    process.kill(process.pid, signal);
  });
}
