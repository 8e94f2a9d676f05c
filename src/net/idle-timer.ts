import { performance } from 'node:perf_hooks';

/**
 * One timer for all sockets of a shard: a wheel of one-second slots, each a linked list through the nodes.
 *
 *     slot:   0    1    2   …  1023        seconds & 1023
 *             │    │
 *             a    b ⇄ c
 *
 * Activity costs its socket one store (`lastActive`); a node is looked at when its slot comes round and says
 * itself when it wants to be looked at next. So a busy socket is visited once per timeout, not once per read.
 */
export interface TimerNode {
  timerNext: TimerNode | null;
  timerPrevious: TimerNode | null;
  /** Slot it is linked in; -1: none. */
  timerSlot: number;
  /** Looks at the node's deadlines. Returns the second of the next visit, or 0 for none. */
  onTimer(now: number): number;
}

const SLOTS = 1024;

export class IdleTimer {
  /** `now` while the interval runs. */
  #second: number;
  readonly #origin = Math.floor(performance.now() / 1000) - 1;
  readonly #slots: (TimerNode | null)[] = new Array<TimerNode | null>(SLOTS).fill(null);
  #size = 0;
  #visited: number;
  #interval: NodeJS.Timeout | null = null;
  /** The next node of the slot that is being visited; a visit may unlink it. */
  #cursor: TimerNode | null = null;

  constructor() {
    this.#second = this.#clock();
    this.#visited = this.#second;
  }

  /** Monotonic time in whole seconds, from 1. Cheap while nodes are linked: it is then advanced once a second. */
  get now(): number {
    return this.#interval === null ? this.#clock() : this.#second;
  }

  /** Nodes that are linked. */
  get size(): number {
    return this.#size;
  }

  /** Has the node visited at `second` (now + 1 at the earliest), instead of any time set before. */
  schedule(node: TimerNode, second: number): void {
    if (node.timerSlot !== -1) this.cancel(node);
    if (this.#interval === null) this.#start();
    // Beyond the horizon the visit comes early and asks again.
    const delay = Math.min(Math.max(second - this.#visited, 1), SLOTS - 1);
    const slot = (this.#visited + delay) & (SLOTS - 1);
    const first = this.#slots[slot] ?? null;
    node.timerSlot = slot;
    node.timerNext = first;
    node.timerPrevious = null;
    if (first !== null) first.timerPrevious = node;
    this.#slots[slot] = node;
    this.#size++;
  }

  cancel(node: TimerNode): void {
    if (node.timerSlot === -1) return;
    if (this.#cursor === node) this.#cursor = node.timerNext;
    if (node.timerPrevious === null) this.#slots[node.timerSlot] = node.timerNext;
    else node.timerPrevious.timerNext = node.timerNext;
    if (node.timerNext !== null) node.timerNext.timerPrevious = node.timerPrevious;
    node.timerSlot = -1;
    node.timerNext = null;
    node.timerPrevious = null;
    this.#size--;
  }

  #clock(): number {
    return Math.floor(performance.now() / 1000) - this.#origin;
  }

  #start(): void {
    this.#second = this.#clock();
    this.#visited = this.#second;
    this.#interval = setInterval(this.#tick, 1000);
    this.#interval.unref();
  }

  readonly #tick = (): void => {
    this.#second = this.#clock();
    // After the poll phase: what a peer sent while this thread was busy counts before its deadline does.
    setImmediate(this.#visitDue);
  };

  readonly #visitDue = (): void => {
    // A clock that jumped more than a round passes each slot once.
    if (this.#second - this.#visited > SLOTS) this.#visited = this.#second - SLOTS;
    while (this.#visited < this.#second) {
      this.#visited++;
      this.#visitSlot(this.#visited & (SLOTS - 1));
    }
    if (this.#size === 0 && this.#interval !== null) {
      clearInterval(this.#interval);
      this.#interval = null;
    }
  };

  #visitSlot(slot: number): void {
    this.#cursor = this.#slots[slot] ?? null;
    while (this.#cursor !== null) {
      const node = this.#cursor;
      this.#cursor = node.timerNext;
      this.cancel(node);
      const next = node.onTimer(this.#second);
      if (next > 0 && node.timerSlot === -1) this.schedule(node, next);
    }
  }
}
