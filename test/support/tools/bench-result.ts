import type { BenchResult } from '../../../src/load/result.ts';
import { spreadOfValues } from '../../../src/load/statistics.ts';

/** A result of 20 seconds and 60 connections, made up. */
export function benchResult(changes: Partial<BenchResult> = {}): BenchResult {
  const history = Array.from({ length: 20 }, (_, i) => ({
    time: i + 1,
    messages: 90_000 + 9000 * Math.round(10 * Math.sin(i)),
    bytes: 6_000_000 + i * 1000,
    open: 60,
    latency: { p50: 0.4 + i / 100, p99: 3 + Math.cos(i), max: i === 7 ? 180 : 12 },
  }));
  const latencies = spreadOfValues([0.2, 0.4, 0.4, 0.5, 0.9, 3, 180]);
  return {
    title: '',
    url: 'ws://localhost:9001/',
    scenario: 'echo',
    connections: 60,
    pipelining: 4,
    workers: 1,
    size: 64,
    rate: 0,
    sampleInt: 1000,
    samples: 20,
    duration: 20.01,
    start: new Date('2026-11-21T10:00:00Z'),
    finish: new Date('2026-11-21T10:00:20Z'),
    interrupted: false,
    errors: 0,
    timeouts: 0,
    mismatches: 0,
    lost: 0,
    missed: 0,
    resets: 0,
    reasons: [],
    latency: { ...latencies, totalCount: 1_800_000 },
    messages: {
      ...spreadOfValues(history.map(({ messages }) => messages)),
      total: 1_800_000,
      sent: 1_800_240,
    },
    throughput: { ...spreadOfValues(history.map(({ bytes }) => bytes)), total: 120_000_000 },
    client: { cpu: 42.5, threads: [0.55], limited: false, starved: false },
    held: { open: 60, openedIn: 31 },
    history,
    curve: Array.from(
      { length: 80 },
      (_, i) => [100 * (1 - 2 ** (-i / 4)), 0.2 + 1.1 ** i / 20] as [number, number],
    ),
    perConnection: Array.from({ length: 60 }, (_, i) => ({
      messages: 30_000 + 7 * i,
      latency: 0.5 + i / 200,
    })),
    ...changes,
  };
}
