// @ts-check
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { WebSocket } from 'ws';
import { STRANGER_LIMIT, TOGETHER } from '../runs/load-run.js';
import { groupCpuSeconds, processCpuSeconds, processorBusySeconds } from '../runs/process-cpu.js';
import { waitUntilQuiet } from '../runs/quiet.js';
import { spawnPinned, stopChild } from '../servers/child-process.js';
import { root } from '../servers/server-process.js';

/** @typedef {import('../servers/server-process.js').ServerCommand} ServerCommand */

/** Seconds that a start may take. */
const TIMEOUT = 20;
const TEXT = 'the first message';

/** @type {readonly import('../runs/macro-run.js').MacroRow[]} */
export const START_ROWS = [
  {
    id: 'P18',
    title: "from 'npm start' to the first message that comes back",
    subject: 'npm-start',
    peers: ['serve'],
    work: {},
    targets: [{ metric: 'startMilliseconds', must: 1000, aim: 500 }],
  },
];

/**
 * @param {{ build?: string | undefined, baseline?: string | undefined }} [options] see echoServers
 * @returns {Map<string, ServerCommand>}
 */
export function startCommands({ build = root, baseline } = {}) {
  /** @type {Map<string, ServerCommand>} */
  const commands = new Map();
  for (const [prefix, folder] of [
    ['', build],
    ['baseline-', baseline],
  ]) {
    if (folder === undefined) continue;
    const main = `${folder}/dist/src/cli/main.js`;
    const args = ['serve', `${folder}/examples/chat.js`, '--port', '0'];
    commands.set(`${prefix}npm-start`, {
      command: 'npm',
      args: ['--prefix', folder, 'start', '--', '--port', '0'],
    });
    commands.set(`${prefix}serve`, { command: process.execPath, args: [main, ...args] });
  }
  return commands;
}

/** @type {typeof import('../runs/load-run.js').measureLoad} */
export async function measureStart(load, options) {
  const cpus = TOGETHER.server;
  /** @type {any} */
  let best;
  for (let i = 0; i <= options.retries; i++) {
    await waitUntilQuiet(cpus, options.quiet);
    const result = await measureOnce(load, cpus);
    if (best === undefined || result.strangerShare < best.strangerShare) best = result;
    if (best.strangerShare < STRANGER_LIMIT) break;
  }
  const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
  return { result: best, label: `millrace ${version}` };
}

/**
 * @param {import('../runs/load-run.js').Load} load
 * @param {readonly number[]} cpus
 * @returns {Promise<import('../clients/load-window.js').WindowResult & { startMilliseconds: number }>}
 */
async function measureOnce({ row, command: { command, args } }, cpus) {
  const busy = () => cpus.reduce((total, cpu) => total + processorBusySeconds(cpu), 0);
  const busyBefore = busy();
  const ownBefore = processCpuSeconds(process.pid);
  const start = performance.now();
  const child = spawnPinned(command, args, { cpu: cpus.join(), isGroup: true });
  try {
    const port = await listeningPort(child, row);
    await firstEcho(port);
    const startMilliseconds = performance.now() - start;
    const seconds = startMilliseconds / 1000;
    const serverSeconds = groupCpuSeconds(/** @type {number} */ (child.pid));
    const clientSeconds = processCpuSeconds(process.pid) - ownBefore;
    const strangers = busy() - busyBefore - serverSeconds - clientSeconds;
    const strangerShare = Math.max(0, strangers) / seconds;
    return { messages: 1, seconds, serverSeconds, clientSeconds, strangerShare, startMilliseconds };
  } finally {
    await stopChild(child);
  }
}

/**
 * The port in the address that the server prints.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {string} row
 * @returns {Promise<number>}
 */
async function listeningPort(child, row) {
  let output = '';
  const signal = AbortSignal.timeout(TIMEOUT * 1000);
  child.stderr?.on('data', (text) => (output += text));
  const exited = once(child, 'exit', { signal }).then(() => {
    throw new Error(`${row}: the server ended:\n${output}`);
  });
  exited.catch(() => {});
  for (;;) {
    const [text] = await Promise.race([once(child.stdout ?? child, 'data', { signal }), exited]);
    output += text;
    const port = /:\/\/[^\s/]*:(\d+)/.exec(output)?.[1];
    if (port !== undefined) return Number(port);
  }
}

/**
 * Enters a room of the chat and says something: the message comes back from its topic.
 *
 * @param {number} port
 * @returns {Promise<void>}
 */
function firstEcho(port) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`, { handshakeTimeout: TIMEOUT * 1000 });
    const timer = setTimeout(() => reject(new Error('no message came back')), TIMEOUT * 1000);
    socket.on('error', reject);
    socket.on('open', () => {
      socket.send(JSON.stringify({ type: 'join', name: 'bench', room: 'bench' }));
      socket.send(JSON.stringify({ type: 'say', text: TEXT }));
    });
    socket.on('message', (data) => {
      if (!(/** @type {Buffer} */ (data).includes(TEXT))) return;
      clearTimeout(timer);
      socket.terminate();
      resolve();
    });
  });
}
