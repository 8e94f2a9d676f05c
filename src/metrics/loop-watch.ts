import type { ThreadMetrics } from './control-block.ts';
import { Level } from './counter.ts';
import type { Histogram } from './histogram.ts';
import { monotonicTime } from './monotonic-time.ts';

/** Ms between two looks. */
const PERIOD = 50;

/** Looks missed at once that are counted one by one. */
const MOST_MISSED = 10_000;

/**
 * LoopWatch: how late this thread's event loop calls what is due, by a timer of its own. A timer alone would see a second
 * of standing still once, as it sees 50 ms of work: so the calls that were due meanwhile are counted too, each with the
 * time that it would have waited. Of a loop that stands still now, a reader of the metrics sees the heartbeat grow old.
 */
export class LoopWatch {
  readonly #counters: Float64Array;
  readonly #delays: Histogram;
  readonly #timer: NodeJS.Timeout;
  #last: number;

  constructor({ counters, histograms }: ThreadMetrics) {
    this.#counters = counters;
    this.#delays = histograms.loopDelay;
    this.#last = monotonicTime();
    this.#counters[Level.HEARTBEAT_AGE] = this.#last;
    this.#timer = setInterval(this.#look, PERIOD);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#counters[Level.HEARTBEAT_AGE] = 0;
  }

  readonly #look = (): void => {
    const now = monotonicTime();
    recordDelay(this.#delays, now - this.#last - PERIOD);
    this.#last = now;
    this.#counters[Level.HEARTBEAT_AGE] = now;
  };
}

/** @param delay ms that a call came late; those due behind it, each a period later, would have waited as much less */
export function recordDelay(delays: Histogram, delay: number): void {
  delays.record(delay);
  let missed = delay - PERIOD;
  for (let i = 0; i < MOST_MISSED && missed > 0; i++) {
    delays.record(missed);
    missed -= PERIOD;
  }
}
