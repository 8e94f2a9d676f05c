import { Counter, type LoadCounters } from './counters.ts';
import { residentMemory } from './process-memory.ts';
import type { BenchSample } from './result.ts';
import { latencyHistogram } from './statistics.ts';

const INTERVAL = 1000;
/** A last part of a second that is shorter is no sample, unless it is all there is, in ms. */
const SHORTEST = 20;

/** What all threads have counted until now. */
export interface Totals {
  /** Ms of `performance.now()`. */
  readonly time: number;
  readonly counters: Float64Array;
  readonly latencies: Float64Array;
  /** One connection after the other, over all threads. */
  readonly connections: Float64Array;
}

interface Counting {
  readonly counters: LoadCounters;
}

export function totalsOf(threads: readonly Counting[]): Totals {
  const time = performance.now();
  const all = threads.map(({ counters }) => counters);
  const connections = new Float64Array(all.reduce((sum, { connections }) => sum + connections.length, 0));
  let at = 0;
  for (const counters of all) {
    connections.set(counters.connections, at);
    at += counters.connections.length;
  }
  return {
    time,
    counters: sumOf(all.map(({ values }) => values)),
    latencies: sumOf(all.map(({ latencies }) => latencies)),
    connections,
  };
}

function sumOf(arrays: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(arrays[0]!.length);
  for (const array of arrays) for (let i = 0; i < array.length; i++) sum[i]! += array[i]!;
  return sum;
}

/** Sampler: looks once a second at what the threads have counted. */
export class Sampler {
  readonly #threads: readonly Counting[];
  readonly #pid: number;
  readonly #onSample: (sample: BenchSample) => void;
  readonly #samples: BenchSample[] = [];
  readonly #startedAt: number;
  readonly #timer: NodeJS.Timeout;
  #last: Totals;

  /** @param pid process whose memory is read, or 0 */
  constructor(threads: readonly Counting[], pid: number, onSample: (sample: BenchSample) => void) {
    this.#threads = threads;
    this.#pid = pid;
    this.#onSample = onSample;
    this.#last = totalsOf(threads);
    this.#startedAt = this.#last.time;
    this.#timer = setInterval(() => {
      this.#sample();
    }, INTERVAL);
  }

  /** Takes what is left as a last sample, and returns all. */
  stop(): BenchSample[] {
    clearInterval(this.#timer);
    if (this.#samples.length === 0 || performance.now() - this.#last.time >= SHORTEST) this.#sample();
    return this.#samples;
  }

  #sample(): void {
    const last = this.#last;
    const now = totalsOf(this.#threads);
    this.#last = now;
    const seconds = Math.max(1, now.time - last.time) / 1000;
    const rate = (counter: number): number =>
      Math.round((now.counters[counter]! - last.counters[counter]!) / seconds);
    const latencies = latencyHistogram(now.latencies.map((count, i) => count - last.latencies[i]!));
    const memory = this.#pid === 0 ? undefined : residentMemory(this.#pid);
    const sample: BenchSample = {
      time: Math.round(now.time - this.#startedAt) / 1000,
      messages: rate(Counter.MESSAGES),
      bytes: rate(Counter.BYTES),
      open: now.counters[Counter.OPEN]!,
      latency: {
        p50: latencies.getValueAtPercentile(50) / 1000,
        p99: latencies.getValueAtPercentile(99) / 1000,
        max: latencies.maxValue / 1000,
      },
      ...(memory === undefined ? {} : { serverMemory: memory }),
    };
    this.#samples.push(sample);
    this.#onSample(sample);
  }
}
