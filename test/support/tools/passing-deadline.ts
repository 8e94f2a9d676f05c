import { vi } from 'vitest';

/**
 * PassingDeadline: a deadline of the main thread that passes when the test says so, however slow the machine is. Timers
 * of exactly this many seconds are held; all others run as ever.
 */
export class PassingDeadline {
  readonly #held = new Map<NodeJS.Timeout, () => void>();

  constructor(seconds: number) {
    const { setTimeout: set, clearTimeout: clear } = globalThis;
    const start = (
      callback: (...args: unknown[]) => void,
      ms?: number,
      ...args: unknown[]
    ): NodeJS.Timeout => {
      const timer = set(callback, ms, ...args);
      if (ms === seconds * 1000) this.#held.set(timer, callback);
      return timer;
    };
    vi.spyOn(globalThis, 'setTimeout').mockImplementation(start as typeof setTimeout);
    vi.spyOn(globalThis, 'clearTimeout').mockImplementation((timer) => {
      this.#held.delete(timer as NodeJS.Timeout);
      clear(timer);
    });
  }

  /** Lets it pass for all that is waited for now. */
  pass(): void {
    // Without those that start over.
    const held = [...this.#held];
    for (const [timer, callback] of held) {
      clearTimeout(timer);
      callback();
    }
  }

  /** Timers run as ever again. */
  end(): void {
    vi.mocked(setTimeout).mockRestore();
    vi.mocked(clearTimeout).mockRestore();
  }
}
