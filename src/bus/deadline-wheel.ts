/** Ms of a slot: how late a deadline may be noticed. */
const TICK = 20;
/** Slots of the wheel, a power of two; what lies further ahead than a round is passed over until its time. */
const SLOTS = 256;

/** What waits in a `DeadlineWheel`: it is linked where it waits, so that to wait allocates nothing. */
export interface Waiter {
  /** In ms of `performance.now()`. */
  deadline: number;
  waiterNext: Waiter | null;
  waiterPrevious: Waiter | null;
  /** Slot it is linked in; -1: none. */
  waiterSlot: number;
  /** Its time is over; it is linked no more. */
  onDeadline(): void;
}

/**
 * DeadlineWheel: one timer for everything that waits for another thread's answer. Most answers come long before, so to
 * wait and to be done cost a few stores each, whatever waits beside. The timer runs while anything waits, and keeps no
 * process alive.
 */
export class DeadlineWheel {
  readonly #slots: (Waiter | null)[] = new Array<Waiter | null>(SLOTS).fill(null);
  #size = 0;
  /** The tick up to which deadlines were looked at. */
  #visited = 0;
  #timer: NodeJS.Timeout | null = null;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  add(waiter: Waiter): void {
    if (this.#timer === null) this.#start();
    // Behind the tick that is looked at next, where it would be overlooked for a round.
    const tick = Math.max(Math.ceil(waiter.deadline / TICK), this.#visited + 1);
    const slot = tick & (SLOTS - 1);
    const first = this.#slots[slot]!;
    waiter.waiterSlot = slot;
    waiter.waiterPrevious = null;
    waiter.waiterNext = first;
    if (first !== null) first.waiterPrevious = waiter;
    this.#slots[slot] = waiter;
    this.#size++;
  }

  remove(waiter: Waiter): void {
    const { waiterSlot, waiterNext, waiterPrevious } = waiter;
    if (waiterSlot === -1) return;
    if (waiterPrevious === null) this.#slots[waiterSlot] = waiterNext;
    else waiterPrevious.waiterNext = waiterNext;
    if (waiterNext !== null) waiterNext.waiterPrevious = waiterPrevious;
    waiter.waiterSlot = -1;
    waiter.waiterNext = null;
    waiter.waiterPrevious = null;
    this.#size--;
  }

  #start(): void {
    this.#visited = Math.floor(performance.now() / TICK);
    this.#timer = setInterval(this.#visit, TICK);
    this.#timer.unref();
  }

  readonly #visit = (): void => {
    const now = performance.now();
    const current = Math.floor(now / TICK);
    // After a standstill one round looks at all that waits.
    const ticks = Math.min(current - this.#visited, SLOTS);
    const late: Waiter[] = [];
    for (let i = 1; i <= ticks; i++) this.#collect((current - ticks + i) & (SLOTS - 1), now, late);
    this.#visited = current;
    for (const waiter of late) this.remove(waiter);
    if (this.#size === 0 && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
    // Last: what it calls may wait anew.
    late.sort((a, b) => a.deadline - b.deadline);
    for (const waiter of late) waiter.onDeadline();
  };

  #collect(slot: number, now: number, late: Waiter[]): void {
    for (let waiter = this.#slots[slot]!; waiter !== null; waiter = waiter.waiterNext!) {
      if (waiter.deadline <= now) late.push(waiter);
    }
  }
}
