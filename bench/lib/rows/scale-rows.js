// @ts-check

import { TOGETHER } from '../runs/load-run.js';
import { burn } from '../servers/burn.js';
import { nodeServer, root } from '../servers/server-process.js';

/** @typedef {import('../servers/server-process.js').ServerCommand} ServerCommand */

/** What the handler computes for, in ms. */
const WORK = 0.02;

/** @type {readonly import('../runs/macro-run.js').MacroRow[]} */
export const SCALE_ROWS = [
  {
    id: 'P17',
    title: 'a handler of 20 µs, 100 connections with 16 in flight, on two processors',
    subject: 'two-shards',
    peers: ['one-shard'],
    place: TOGETHER,
    // The client has the same two processors: with fewer in flight it takes a quarter of one, and not a tenth.
    work: { connections: 100, size: 20, inFlight: 16 },
    targets: [{ peer: 'one-shard', metric: 'messagesPerSecond', must: 1.7, aim: 1.9 }],
  },
];

/**
 * @param {{ build?: string | undefined, baseline?: string | undefined }} [options] see echoServers
 * @returns {Map<string, ServerCommand>}
 */
export function scaleServers({ build = root, baseline } = {}) {
  // Measured once, here: each server would get another figure, and a spin by the clock does less where it is
  // interrupted.
  const rounds = roundsOf(WORK);
  /** @type {Map<string, ServerCommand>} */
  const servers = new Map();
  for (const [name, shards] of /** @type {const} */ ([
    ['one-shard', 1],
    ['two-shards', 2],
  ])) {
    const options = JSON.stringify({ shards, balance: 'round-robin', data: { rounds } });
    servers.set(name, nodeServer('millrace-serve.js', build, options));
    if (baseline !== undefined) {
      servers.set(`baseline-${name}`, nodeServer('millrace-serve.js', baseline, options));
    }
  }
  return servers;
}

/** How many rounds of burn() take so many ms on this machine. @param {number} ms */
function roundsOf(ms) {
  const rounds = 1_000_000;
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 10; i++) {
    const start = performance.now();
    burn(rounds);
    best = Math.min(best, performance.now() - start);
  }
  return Math.round((rounds * ms) / best);
}
