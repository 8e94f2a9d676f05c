// @ts-check
import { setTimeout as sleep } from 'node:timers/promises';
import { processCpuSeconds, processorBusySeconds } from './process-cpu.js';

/**
 * What a load client measures, and on which processors.
 *
 * @typedef {object} WindowOptions
 * @property {number} serverPid
 * @property {number} serverCpu processor the server is pinned to
 * @property {number} clientCpu processor this client is pinned to
 * @property {number} seconds length of the measurement
 *
 * @typedef {object} WindowResult
 * @property {number} messages that arrived in the measurement, every byte of them compared
 * @property {number} seconds length of the measurement
 * @property {number} serverSeconds processor time of the server, with all its threads, in it
 * @property {number} clientSeconds processor time of this client in it
 * @property {number} strangerShare share of the busier processor that neither of the two had, 0 to 1
 */

/** @param {WindowOptions} options */
function clocks({ serverPid, serverCpu, clientCpu }) {
  return {
    time: performance.now() / 1000,
    server: processCpuSeconds(serverPid),
    client: processCpuSeconds(process.pid),
    serverCpu: processorBusySeconds(serverCpu),
    clientCpu: processorBusySeconds(clientCpu),
  };
}

/**
 * Lets the load run for a while and says what came of it.
 *
 * @param {WindowOptions} options
 * @param {() => number} received messages that have arrived so far
 * @returns {Promise<WindowResult>}
 */
export async function measureWindow(options, received) {
  const firstCount = received();
  const first = clocks(options);
  await sleep(options.seconds * 1000);
  const messages = received() - firstCount;
  const last = clocks(options);
  const seconds = last.time - first.time;
  const serverSeconds = last.server - first.server;
  const clientSeconds = last.client - first.client;
  const strangerSeconds = Math.max(
    0,
    last.serverCpu - first.serverCpu - serverSeconds,
    last.clientCpu - first.clientCpu - clientSeconds,
  );
  return { messages, seconds, serverSeconds, clientSeconds, strangerShare: strangerSeconds / seconds };
}
