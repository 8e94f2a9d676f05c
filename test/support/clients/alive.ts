import { readdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { frameBytes, SAMPLE_KEY, text } from '../protocol/frame-bytes.ts';
import { Tally, type Target } from '../servers/hostile-server.ts';
import { until } from '../tools/deadline.ts';
import { HostileClient } from './hostile-client.ts';

/** Descriptors this process has open: server and clients of a test live in one process. */
export function openDescriptors(): number {
  // One of them is the listing itself.
  return readdirSync('/proc/self/fd').length - 1;
}

/**
 * Alive: what must still hold of a server after an attack: a connection from before echoes, a new one can be
 * made, nothing was thrown that nobody caught, no thread died, no descriptor is left, and each open had its close.
 */
export class Alive {
  readonly #canaries: ReadonlyMap<Target, HostileClient>;
  readonly #baseline: number;
  readonly #uncaught: unknown[] = [];
  readonly #onUncaught = (error: unknown): void => {
    this.#uncaught.push(error);
  };
  #sequence = 0;

  private constructor(canaries: ReadonlyMap<Target, HostileClient>, baseline: number) {
    this.#canaries = canaries;
    this.#baseline = baseline;
    process.on('uncaughtException', this.#onUncaught);
    process.on('unhandledRejection', this.#onUncaught);
  }

  /** Opens the canaries and takes the baseline. Nothing else may be open that closes later. */
  static async watch(...targets: readonly Target[]): Promise<Alive> {
    const canaries = new Map<Target, HostileClient>();
    for (const target of targets) {
      canaries.set(target, await HostileClient.upgrade(target.port, '/echo'));
      // Once, so that what is made at first use is there.
      (await HostileClient.upgrade(target.port, '/echo')).destroy();
      await until(() => openSockets(target) === 1, 'the first connection is closed');
    }
    await stable();
    return new Alive(canaries, openDescriptors());
  }

  /** @param alsoOpen WebSockets besides the canary that the test holds open, each with both ends in this process */
  async check(alsoOpen = 0): Promise<void> {
    for (const [target, canary] of this.#canaries) {
      await this.#echo(canary);
      const fresh = await HostileClient.upgrade(target.port, '/echo');
      await this.#echo(fresh);
      fresh.destroy();
      const left = 1 + alsoOpen;
      await until(() => openSockets(target) === left, `opens equal closes but for ${left}`);
      expect(target.crashes).toEqual([]);
    }
    const limit = this.#baseline + 2 * alsoOpen;
    await until(() => openDescriptors() <= limit, `no more than ${limit} descriptors are open`);
    expect(this.#uncaught).toEqual([]);
  }

  /** Closes what a test that failed left open. */
  sweep(): void {
    const canaries = new Set(this.#canaries.values());
    for (const client of HostileClient.live) if (!canaries.has(client)) client.destroy();
  }

  stop(): void {
    for (const canary of this.#canaries.values()) canary.destroy();
    process.off('uncaughtException', this.#onUncaught);
    process.off('unhandledRejection', this.#onUncaught);
  }

  async #echo(client: HostileClient): Promise<void> {
    const message = `canary ${++this.#sequence}`;
    client.write(frameBytes(text(message), SAMPLE_KEY));
    await client.until(() => client.isOver || client.body.includes(message), 'the echo of the canary');
    expect(client.isOver).toBe(false);
  }
}

/** WebSockets that the handlers of the target saw open and not close. */
function openSockets(target: Target): number {
  return target.count(Tally.OPENED) - target.count(Tally.CLOSED);
}

/** Waits until the number of descriptors rests. */
async function stable(): Promise<void> {
  let last = -1;
  let since = performance.now();
  await until(() => {
    const now = openDescriptors();
    if (now !== last) since = performance.now();
    last = now;
    return performance.now() - since > 100;
  }, 'descriptors rest');
}

/** Starts a server for the tests of a file or describe block, hands it to `use`, and looks behind each test. */
export function watch(start: () => Promise<Target>, use: (target: Target, alive: Alive) => void): void {
  let target: Target;
  let alive: Alive;
  beforeAll(async () => {
    target = await start();
    alive = await Alive.watch(target);
    use(target, alive);
  });
  afterEach(() => {
    alive.sweep();
  });
  afterAll(async () => {
    alive.stop();
    await target.close();
  });
}
