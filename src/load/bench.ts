import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../errors.ts';
import { callUser, type UserCode, userCode } from '../user-code.ts';
import { ClientThread } from './client-thread.ts';
import { Counter } from './counters.ts';
import {
  type BenchOptions,
  type BenchPlan,
  type BenchProgress,
  planOf,
  rateOf,
  threadShare,
} from './options.ts';
import { probe } from './probe.ts';
import { residentMemory } from './process-memory.ts';
import { type BenchResult, type BenchSample, type Drained, type Measured, resultOf } from './result.ts';
import { Sampler, totalsOf } from './sampler.ts';
import { sharedMemory } from './scenarios/create.ts';
import { latencyHistogram } from './statistics.ts';

/** How long what is on its way is waited for when the run was interrupted, in ms. */
const SHORT_DRAIN = 1000;
/** How long a thread may take to close, behind the time it has to drain, in ms. */
const THREAD_TIMEOUT = 5000;
/** How often progress is told before there are samples, in ms. */
const OPENING_PROGRESS = 200;

/**
 * Puts a load on a WebSocket server and measures it.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION for options, MILLRACE_BENCH_FAILED when the server cannot be reached
 */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const plan = planOf(options);
  checkPid(plan);
  const address = await probe(plan, options.signal);
  await using run = new Run(plan, address, options);
  await run.open();
  await run.warmUp();
  const measured = await run.measure();
  const drained = await run.drain(measured.interrupted);
  return resultOf(plan, rateOf(plan), measured, drained);
}

function checkPid({ pid }: BenchPlan): void {
  if (pid === 0 || residentMemory(pid) !== undefined) return;
  const reason =
    process.platform === 'linux'
      ? `there is no process ${pid}`
      : 'the memory of other processes is known on Linux only';
  throw new MillraceError('MILLRACE_BENCH_FAILED', `'pid': ${reason}`);
}

/** Run: the client threads, from their start to their end. */
class Run implements AsyncDisposable {
  readonly #plan: BenchPlan;
  readonly #threads: readonly ClientThread[];
  readonly #onProgress: UserCode<(progress: BenchProgress) => void> | null;
  /** Rejects with what `onProgress` threw, or rejected with. */
  readonly #failed: Promise<never>;
  #fail: (error: unknown) => void = () => undefined;
  readonly #interrupted: Promise<'interrupted'>;
  readonly #memoryBefore: number | undefined;
  readonly #startedAt = performance.now();
  #openedIn = 0;

  constructor(plan: BenchPlan, address: string, { onProgress, signal }: BenchOptions) {
    this.#plan = plan;
    this.#onProgress = onProgress === undefined ? null : userCode(onProgress);
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Nobody may be waiting for it when it happens.
    this.#failed.catch(() => undefined);
    this.#interrupted = new Promise((resolve) => {
      const onAbort = (): void => {
        resolve('interrupted');
      };
      if (signal?.aborted === true) onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
    });
    this.#memoryBefore = plan.pid === 0 ? undefined : residentMemory(plan.pid);
    const run = randomInt(64);
    const shared = sharedMemory(plan);
    this.#threads = Array.from(
      { length: plan.workers },
      (_, index) => new ClientThread({ plan, address, share: threadShare(plan, index), shared, run }),
    );
  }

  /** Waits until the connections are open, or as many of them as can be. */
  async open(): Promise<void> {
    const tell = (): void => {
      const open = this.#count(Counter.OPEN);
      this.#tell({ phase: 'opening', done: open / this.#plan.connections, open, messagesPerSecond: 0 });
    };
    tell();
    const progress = setInterval(tell, OPENING_PROGRESS);
    try {
      const ready = Promise.all(this.#threads.map((thread) => thread.ready));
      await Promise.race([ready, this.#interrupted, this.#failed]);
    } finally {
      clearInterval(progress);
    }
    this.#openedIn = performance.now() - this.#startedAt;
  }

  async warmUp(): Promise<void> {
    const { warmup } = this.#plan;
    if (warmup === 0) return;
    for (const thread of this.#threads) thread.start();
    const sampler = new Sampler(this.#threads, 0, ({ time, messages, open }) => {
      this.#tell({
        phase: 'warmup',
        done: Math.min(1, time / warmup),
        open,
        messagesPerSecond: messages,
      });
    });
    try {
      await this.#wait(warmup);
    } finally {
      sampler.stop();
    }
  }

  /** Lets the load run for its time, or until it is done or interrupted. */
  async measure(): Promise<Measured> {
    const { amount, duration, pid, warmup } = this.#plan;
    const startedAt = new Date();
    const before = totalsOf(this.#threads);
    for (const thread of this.#threads) {
      thread.watch();
      if (warmup === 0) thread.start();
    }
    const cpuBefore = process.cpuUsage();
    const sampler = new Sampler(this.#threads, pid, ({ time, messages, open }) => {
      const done = amount > 0 ? this.#count(Counter.MESSAGES) / amount : time / duration;
      this.#tell({ phase: 'running', done: Math.min(1, done), open, messagesPerSecond: messages });
    });
    const finished = Promise.all(this.#threads.map((thread) => thread.finished));
    let history: BenchSample[] = [];
    let end: unknown;
    try {
      end = await (amount > 0
        ? Promise.race([finished, this.#interrupted, this.#failed])
        : this.#wait(duration, finished));
    } finally {
      history = sampler.stop();
    }
    const after = totalsOf(this.#threads);
    const cpu = process.cpuUsage(cpuBefore);
    const memory = pid === 0 ? undefined : residentMemory(pid);
    return {
      startedAt,
      finishedAt: new Date(),
      duration: (after.time - before.time) / 1000,
      interrupted: end === 'interrupted',
      counters: differenceOf(after.counters, before.counters, LEVELS),
      latencies: latencyHistogram(differenceOf(after.latencies, before.latencies)),
      connections: differenceOf(after.connections, before.connections),
      history,
      cpu: (cpu.user + cpu.system) / 1e6,
      busy: this.#threads.map((thread) => thread.busy()),
      openedIn: this.#openedIn,
      serverMemory:
        this.#memoryBefore === undefined || memory === undefined ? null : [this.#memoryBefore, memory],
    };
  }

  /** Waits for what is on its way, closes, and gathers the threads' last words. */
  async drain(isShort: boolean): Promise<Drained> {
    this.#tell({ phase: 'draining', done: 1, open: this.#count(Counter.OPEN), messagesPerSecond: 0 });
    const limit = isShort ? SHORT_DRAIN : this.#plan.timeout * 1000;
    const stopped = await Promise.all(this.#threads.map((thread) => thread.stop()));
    const published = sumOf(stopped);
    const closing = this.#threads.map((thread) => thread.drain(limit, published));
    const late = sleep(limit + THREAD_TIMEOUT, null, { ref: false });
    const details = await Promise.race([Promise.all(closing), late, this.#failed]);
    return { counters: totalsOf(this.#threads).counters, details: details ?? [] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  /** So many seconds, or until it is interrupted or all threads are `finished`. */
  async #wait(seconds: number, finished: Promise<unknown> = NEVER): Promise<unknown> {
    const timer = new AbortController();
    const time = sleep(seconds * 1000, null, { signal: timer.signal }).catch(() => null);
    try {
      return await Promise.race([time, this.#interrupted, finished, this.#failed]);
    } finally {
      timer.abort();
    }
  }

  #tell(progress: BenchProgress): void {
    if (this.#onProgress !== null) callUser(this.#onProgress, this.#fail, progress);
  }

  #count(counter: number): number {
    return this.#threads.reduce((sum, { counters }) => sum + counters.values[counter]!, 0);
  }
}

const NEVER = new Promise<never>(() => undefined);

/** Counters that say how many there are now. */
const LEVELS: ReadonlySet<number> = new Set([Counter.OPEN]);

function differenceOf(after: Float64Array, before: Float64Array, levels?: ReadonlySet<number>): Float64Array {
  return after.map((value, i) => (levels?.has(i) === true ? value : value - before[i]!));
}

/** Place by place. */
function sumOf(lists: readonly (readonly number[])[]): number[] {
  const length = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length }, (_, i) => lists.reduce((sum, list) => sum + (list[i] ?? 0), 0));
}
