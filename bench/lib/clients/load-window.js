// @ts-check
import { setTimeout as sleep } from 'node:timers/promises';
import { processCpuSeconds, processMemory, processorBusySeconds } from '../runs/process-cpu.js';

/**
 * What a load client measures, and on which processors.
 *
 * @typedef {object} WindowOptions
 * @property {number} serverPid
 * @property {readonly number[]} serverCpus processors the server is pinned to
 * @property {readonly number[]} clientCpus processors this client is pinned to: those of the server or none of them
 * @property {number} seconds length of the measurement
 *
 * @typedef {object} WindowResult
 * @property {number} messages that arrived in the measurement, every byte of them compared
 * @property {number} seconds length of the measurement
 * @property {number} serverSeconds processor time of the server, with all its threads, in it
 * @property {number} clientSeconds processor time of this client in it
 * @property {number} strangerShare share of a processor that neither of the two had, 0 to 1 and above
 * @property {number} [serverMemory] bytes the server had in use at its end (RSS)
 */

/**
 * @param {WindowOptions} options
 * @param {readonly number[]} clientPids
 */
function clocks({ serverPid, serverCpus, clientCpus }, clientPids) {
  return {
    time: performance.now() / 1000,
    server: processCpuSeconds(serverPid),
    client: sum(clientPids.map(processCpuSeconds)),
    serverCpus: sum(serverCpus.map(processorBusySeconds)),
    clientCpus: sum(clientCpus.map(processorBusySeconds)),
  };
}

/** @param {readonly number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0);

/**
 * Lets the load run for a while and says what came of it.
 *
 * @param {WindowOptions} options
 * @param {() => number} received messages that have arrived so far
 * @param {readonly number[]} [clientPids] the processes that are the client
 * @returns {Promise<WindowResult>}
 */
export async function measureWindow(options, received, clientPids = [process.pid]) {
  const firstCount = received();
  const first = clocks(options, clientPids);
  await sleep(options.seconds * 1000);
  const messages = received() - firstCount;
  return windowOf(options, first, clocks(options, clientPids), messages);
}

/**
 * @param {WindowOptions} options
 * @param {ReturnType<typeof clocks>} first
 * @param {ReturnType<typeof clocks>} last
 * @param {number} messages
 * @returns {WindowResult}
 */
function windowOf(options, first, last, messages) {
  const seconds = last.time - first.time;
  const serverSeconds = last.server - first.server;
  const clientSeconds = last.client - first.client;
  const serverBusy = last.serverCpus - first.serverCpus;
  const clientBusy = last.clientCpus - first.clientCpus;
  const isShared = options.clientCpus.some((cpu) => options.serverCpus.includes(cpu));
  const strangerSeconds = isShared
    ? serverBusy - serverSeconds - clientSeconds
    : Math.max(serverBusy - serverSeconds, clientBusy - clientSeconds);
  return {
    messages,
    seconds,
    serverSeconds,
    clientSeconds,
    strangerShare: Math.max(0, strangerSeconds) / seconds,
    serverMemory: processMemory(options.serverPid),
  };
}

/** Ms between two readings of a ClockLog. */
const LOG_EVERY = 20;

/** ClockLog: the clocks again and again, for a load that says afterwards when it was measured. */
export class ClockLog {
  #options;
  /** @type {{ at: number, clocks: ReturnType<typeof clocks> }[]} `at` is in ms of Date */
  #log = [];
  #timer;

  /** @param {WindowOptions} options */
  constructor(options) {
    this.#options = options;
    this.#timer = setInterval(() => this.#read(), LOG_EVERY);
    this.#read();
  }

  /**
   * @param {number} start ms of Date
   * @param {number} end ms of Date
   * @param {number} messages that arrived between them
   * @returns {WindowResult}
   */
  between(start, end, messages) {
    clearInterval(this.#timer);
    return windowOf(this.#options, this.#nearest(start), this.#nearest(end), messages);
  }

  #read() {
    this.#log.push({ at: Date.now(), clocks: clocks(this.#options, [process.pid]) });
  }

  /** @param {number} time */
  #nearest(time) {
    const distance = (/** @type {{ at: number }} */ { at }) => Math.abs(at - time);
    return this.#log.reduce((best, entry) => (distance(entry) < distance(best) ? entry : best)).clocks;
  }
}
