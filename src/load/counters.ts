import { LATENCY_BUCKETS } from './latency.ts';

/**
 * What a client thread counts, in memory that the main thread reads once a second and when the clock stops:
 *
 *     [counters][messages and latency sum of each connection][latency buckets]
 *
 * Every number has one writer. The main thread may read one while it changes and then sees the old or the new
 * value; the last word is read after the thread has said that it is done.
 */

export const Counter = {
  /** Messages that came back, or were delivered (echo, broadcast); connections opened (connect). */
  MESSAGES: 0,
  /** Bytes read. */
  BYTES: 1,
  /** Messages sent. */
  SENT: 2,
  /** Connections that could not be opened or were lost, and timeouts. */
  ERRORS: 3,
  /** Replies, or handshakes, that took longer than the timeout. */
  TIMEOUTS: 4,
  /** Messages that are not what they should be: wrong bytes, order or kind, doubled, or not asked for. */
  MISMATCHES: 5,
  /** Connections that were opened anew after they were lost. */
  RESETS: 6,
  /** Messages that a rate asked for and that were left out, because too many were in flight. */
  MISSED: 7,
  /** Messages that never came although their connection lived. */
  LOST: 8,
  /** Connections that are open now. */
  OPEN: 9,
  /** stomp: different messages out of queues; those of topics are the rest of MESSAGES. */
  CONSUMED: 10,
  /** stomp: messages acknowledged. */
  ACKNOWLEDGED: 11,
  /** stomp: messages that the broker said it delivered again. */
  REDELIVERED: 12,
  /** stomp: RECEIPTs for SENDs. */
  RECEIPTS: 13,
} as const;

const COUNTERS = 16;
const PER_CONNECTION = 2;

export class LoadCounters {
  readonly memory: SharedArrayBuffer;
  readonly values: Float64Array;
  /** For each connection: messages, and the sum of their latencies in ms. */
  readonly connections: Float64Array;
  readonly latencies: Float64Array;

  constructor(connections: number, memory = new SharedArrayBuffer(sizeFor(connections))) {
    this.memory = memory;
    this.values = new Float64Array(memory, 0, COUNTERS);
    this.connections = new Float64Array(memory, COUNTERS * 8, connections * PER_CONNECTION);
    this.latencies = new Float64Array(memory, (COUNTERS + connections * PER_CONNECTION) * 8, LATENCY_BUCKETS);
  }

  add(counter: number, count: number): void {
    this.values[counter]! += count;
  }

  /** @param latencySum ms */
  addToConnection(index: number, messages: number, latencySum: number): void {
    this.connections[index * PER_CONNECTION]! += messages;
    this.connections[index * PER_CONNECTION + 1]! += latencySum;
  }
}

function sizeFor(connections: number): number {
  return (COUNTERS + connections * PER_CONNECTION + LATENCY_BUCKETS) * 8;
}
