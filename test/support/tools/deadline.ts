/** Generous, for machines that do other work, too: a test that waits this long has failed. */
export const DEADLINE = 60_000;

/** For a deadline of the server that must not be what ends the wait, in ms: a test that waits this long has failed. */
export const LONG = 600_000;

/** The promise's outcome, or an error that says what did not happen. */
export async function within<T>(promise: Promise<T>, what: string, ms = DEADLINE): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    const error = new Error(`Waited ${ms / 1000} s in vain for ${what}`);
    timer = setTimeout(() => {
      reject(error);
    }, ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when `condition` holds. */
export async function until(condition: () => boolean, what: string, ms = DEADLINE): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`Waited ${ms / 1000} s in vain until ${what}`);
    await sleep(5);
  }
}

/** Resolves with what `read` gives when that has stayed the same for `ms`. */
export async function unchanged(read: () => number, what: string, ms = 250): Promise<number> {
  let [last, since] = [read(), performance.now()];
  await until(() => {
    const now = read();
    if (now !== last) [last, since] = [now, performance.now()];
    return performance.now() - since > ms;
  }, what);
  return last;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Items that are waited for one by one, in order. */
export class Mailbox<T> {
  readonly #name: string;
  readonly #items: T[] = [];
  #waiting: (() => void) | null = null;
  #end: Error | null = null;

  constructor(name: string) {
    this.#name = name;
  }

  /** Items nobody took yet. */
  get size(): number {
    return this.#items.length;
  }

  put(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  /** No more items come; who waits for one gets an error. */
  finish(reason: string): void {
    this.#end ??= new Error(reason);
    this.#wake();
  }

  async next(): Promise<T> {
    while (this.#items.length === 0) {
      if (this.#end !== null) throw this.#end;
      const more = new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
      await within(more, this.#name);
    }
    return this.#items.shift()!;
  }

  async take(count: number): Promise<T[]> {
    const items: T[] = [];
    while (items.length < count) items.push(await this.next());
    return items;
  }

  #wake(): void {
    this.#waiting?.();
    this.#waiting = null;
  }
}
