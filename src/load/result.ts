import type { Histogram } from 'hdr-histogram-js';
import { Counter } from './counters.ts';
import type { BenchPlan } from './options.ts';
import { Reasons } from './reasons.ts';
import { latencyCurve, type Spread, spreadOf, spreadOfValues } from './statistics.ts';
import type { ThreadDetails } from './thread-message.ts';

/** One second of a run. */
export interface BenchSample {
  /** Its end, in seconds from the start of the measurement. */
  time: number;
  /** A second. */
  messages: number;
  /** Bytes read a second. */
  bytes: number;
  /** Connections open at its end. */
  open: number;
  /** Of this second, in ms; 0 when nothing arrived. */
  latency: { p50: number; p99: number; max: number };
  /** Resident memory of the server in bytes; only with `pid`. */
  serverMemory?: number;
}

/** What a run has measured, in the shape of autocannon's result. */
export interface BenchResult {
  title: string;
  url: string;
  scenario: string;
  connections: number;
  pipelining: number;
  workers: number;
  /** Bytes of a message. */
  size: number;
  /** Messages a second asked for over all connections; 0: as many as possible. */
  rate: number;
  /** Ms between two samples. */
  sampleInt: number;
  samples: number;
  /** Seconds measured. */
  duration: number;
  start: Date;
  finish: Date;
  /** True when the run was ended before its time. */
  interrupted: boolean;
  /** Connections that could not be opened or were lost; timeouts are among them. */
  errors: number;
  timeouts: number;
  /** Messages that are not what they should be. */
  mismatches: number;
  /** Messages that never came although their connection lived. */
  lost: number;
  /** Messages that the rate asked for and that were left out. */
  missed: number;
  /** Connections opened anew. */
  resets: number;
  /** What the errors were, the most frequent one first. */
  reasons: { reason: string; count: number }[];
  /** Ms. */
  latency: Spread & { totalCount: number };
  /** A second; `total` of them arrived in the measurement, `sent` were sent. */
  messages: Spread & { total: number; sent: number };
  /** Bytes read a second. */
  throughput: Spread & { total: number };
  client: {
    /** Processor time of this process, in percent of one core. */
    cpu: number;
    /** For each client thread, the share of the time that it was busy, 0 to 1. */
    threads: number[];
    /** Whether a client thread was busy nearly all the time: the server may be faster than what was measured. */
    limited: boolean;
    /** Whether it had less processor time than it wanted, because other programs, perhaps the server, took it. */
    starved: boolean;
  };
  /** Of the scenarios that hold connections open. */
  held: {
    /** Connections open at the end of the measurement. */
    open: number;
    /** Ms from the first connect until all were open. */
    openedIn: number;
  };
  /** Memory of the server; only with `pid`. */
  server?: { pid: number; before: number; after: number; perConnection: number };
  /** Connections that did not read (slow): how many, how many the server ended, bytes they could send. */
  stalled?: { connections: number; ended: number; sent: number };
  /** Of the scenario stomp, in the measurement; `redelivered` is all that the broker said it delivered again. */
  stomp?: {
    /** Deliveries to subscribers of topics, and to consumers of queues. */
    topics: number;
    queues: number;
    acknowledged: number;
    redelivered: number;
    /** RECEIPTs for SENDs. */
    receipts: number;
  };
  /** Second by second. */
  history: BenchSample[];
  /** How many percent of the messages took at most so many ms. */
  curve: [percentile: number, ms: number][];
  /** For each connection: messages in the measurement, and their mean latency in ms. */
  perConnection: { messages: number; latency: number }[];
}

/** From this share of the time on a thread counts as busy all the time. */
export const BUSY = 0.9;

/** A thread that has less than this share of the processor time in which it is busy waits for the processor. */
const STARVED = 0.7;

/** The numbers that results are made of, as they were when the measurement ended. */
export interface Measured {
  readonly startedAt: Date;
  readonly finishedAt: Date;
  /** Seconds. */
  readonly duration: number;
  readonly interrupted: boolean;
  /** By {@link Counter}, over all threads, in the measurement. */
  readonly counters: Float64Array;
  readonly latencies: Histogram;
  /** Messages and latency sum of each connection in turn. */
  readonly connections: Float64Array;
  readonly history: readonly BenchSample[];
  /** Seconds of processor time. */
  readonly cpu: number;
  /** For each thread, 0 to 1. */
  readonly busy: readonly number[];
  readonly openedIn: number;
  /** Resident bytes of the server before the connections and at the end; null when unknown. */
  readonly serverMemory: readonly [before: number, after: number] | null;
}

/** What was found out after the measurement: {@link Counter}s at the very end, and the threads' last words. */
export interface Drained {
  readonly counters: Float64Array;
  readonly details: readonly ThreadDetails[];
}

export function resultOf(plan: BenchPlan, rate: number, measured: Measured, drained: Drained): BenchResult {
  const { counters, latencies, history } = measured;
  const total = counters[Counter.MESSAGES]!;
  // A last part of a second would count as a bad second.
  const whole = history.filter(({ time }, i) => time - (history[i - 1]?.time ?? 0) > WHOLE_SAMPLE);
  const samples = whole.length > 0 ? whole : history;
  return {
    title: plan.title,
    url: plan.target.url,
    scenario: plan.scenario,
    connections: plan.connections,
    pipelining: plan.pipelining,
    workers: plan.workers,
    size: plan.size,
    rate,
    sampleInt: 1000,
    samples: samples.length,
    duration: Math.round(measured.duration * 100) / 100,
    start: measured.startedAt,
    finish: measured.finishedAt,
    interrupted: measured.interrupted,
    errors: drained.counters[Counter.ERRORS]!,
    timeouts: drained.counters[Counter.TIMEOUTS]!,
    mismatches: drained.counters[Counter.MISMATCHES]!,
    lost: drained.counters[Counter.LOST]!,
    missed: counters[Counter.MISSED]!,
    resets: drained.counters[Counter.RESETS]!,
    reasons: reasonsOf(drained.details),
    latency: { ...spreadOf(latencies, 1 / 1000), totalCount: latencies.totalCount },
    messages: {
      ...spreadOfValues(samples.map(({ messages }) => messages)),
      total,
      sent: counters[Counter.SENT]!,
    },
    throughput: { ...spreadOfValues(samples.map(({ bytes }) => bytes)), total: counters[Counter.BYTES]! },
    client: clientOf(measured),
    held: { open: counters[Counter.OPEN]!, openedIn: Math.round(measured.openedIn) },
    ...serverOf(plan, measured),
    ...(plan.scenario === 'slow' ? { stalled: stalledOf(plan, drained.details) } : {}),
    ...(plan.scenario === 'stomp' ? { stomp: stompOf(counters, drained.counters) } : {}),
    history: [...history],
    curve: latencyCurve(latencies),
    perConnection: perConnection(measured.connections),
  };
}

function clientOf({ cpu, duration, busy }: Measured): BenchResult['client'] {
  const limited = busy.some((share) => share >= BUSY);
  const wanted = busy.reduce((sum, share) => sum + share, 0);
  return {
    cpu: Math.round((cpu / duration) * 1000) / 10,
    threads: busy.map((share) => Math.round(share * 1000) / 1000),
    limited,
    starved: limited && cpu / duration < STARVED * wanted,
  };
}

/** Seconds from which on a sample counts as one. */
const WHOLE_SAMPLE = 0.9;

function reasonsOf(details: readonly ThreadDetails[]): BenchResult['reasons'] {
  const reasons = new Reasons();
  for (const detail of details) for (const [reason, count] of detail.reasons) reasons.add(reason, count);
  return reasons.entries().map(([reason, count]) => ({ reason, count }));
}

function serverOf({ pid }: BenchPlan, { serverMemory, counters }: Measured): Pick<BenchResult, 'server'> {
  if (serverMemory === null) return {};
  const [before, after] = serverMemory;
  const open = counters[Counter.OPEN]!;
  return {
    server: { pid, before, after, perConnection: open === 0 ? 0 : Math.round((after - before) / open) },
  };
}

function stalledOf(plan: BenchPlan, details: readonly ThreadDetails[]): NonNullable<BenchResult['stalled']> {
  let ended = 0;
  let sent = 0;
  for (const { stalled } of details) {
    ended += stalled.ended;
    sent += stalled.sent;
  }
  return { connections: plan.stalled, ended, sent };
}

function stompOf(counters: Float64Array, atEnd: Float64Array): NonNullable<BenchResult['stomp']> {
  const queues = counters[Counter.CONSUMED]!;
  return {
    topics: counters[Counter.MESSAGES]! - queues,
    queues,
    acknowledged: counters[Counter.ACKNOWLEDGED]!,
    redelivered: atEnd[Counter.REDELIVERED]!,
    receipts: counters[Counter.RECEIPTS]!,
  };
}

function perConnection(sums: Float64Array): BenchResult['perConnection'] {
  return Array.from({ length: sums.length / 2 }, (_, i) => {
    const messages = sums[2 * i]!;
    const latency = messages === 0 ? 0 : Number((sums[2 * i + 1]! / messages).toPrecision(6));
    return { messages, latency };
  });
}
