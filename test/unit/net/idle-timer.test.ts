import { describe, expect, test } from 'vitest';
import { IdleTimer, type TimerNode } from '../../../src/net/idle-timer.ts';
import { until } from '../../support/tools/deadline.ts';

/** Writes its visits down; `act` is what it does in them, and says when it wants the next. */
class Node implements TimerNode {
  timerNext: TimerNode | null = null;
  timerPrevious: TimerNode | null = null;
  timerSlot = -1;
  readonly visits: number[] = [];
  readonly #act: (now: number) => number;

  constructor(act: (now: number) => number = () => 0) {
    this.#act = act;
  }

  onTimer(now: number): number {
    this.visits.push(now);
    return this.#act(now);
  }
}

// All of them at the same time: the timer's clock is the real one.
describe.concurrent('the timer of a thread', () => {
  test('visits a node in the second it asked for, or in the next, as often as it asks', async () => {
    const timer = new IdleTimer();
    const start = timer.now;
    const node: Node = new Node((now) => (node.visits.length < 3 ? now + 1 : 0));
    const early = new Node();
    const moved = new Node();
    timer.schedule(node, start + 1);
    timer.schedule(early, start - 5);
    timer.schedule(moved, start + 1);
    timer.schedule(moved, start + 3);
    expect(timer.size).toBe(3);
    await until(() => timer.size === 0, 'nobody waits any more');
    const [first = 0] = node.visits;
    expect(first - start).toBeGreaterThanOrEqual(1);
    expect(node.visits).toHaveLength(3);
    expect(node.visits.every((at, i) => i === 0 || at > node.visits[i - 1]!)).toBe(true);
    expect(early.visits).toHaveLength(1);
    expect(moved.visits).toHaveLength(1);
    expect(moved.visits[0]! - start).toBeGreaterThanOrEqual(3);
  });

  test('does not lose its place when a visit takes others of the same second away', async () => {
    const timer = new IdleTimer();
    const at = timer.now + 1;
    const nodes: Node[] = [];
    for (let i = 0; i < 6; i++) {
      // Whoever comes first takes the two on either side of it away, and one of them comes again.
      const node: Node = new Node((now) => {
        if (nodes.some(({ visits }, other) => other !== i && visits.length > 0)) return 0;
        timer.cancel(nodes[(i + 1) % 6]!);
        timer.cancel(nodes[(i + 5) % 6]!);
        timer.schedule(nodes[(i + 5) % 6]!, now + 1);
        return 0;
      });
      nodes.push(node);
      timer.schedule(node, at);
    }
    await until(() => timer.size === 0, 'nobody waits any more');
    const visits = nodes.map((node) => node.visits.length);
    expect(visits.toSorted()).toEqual([0, 1, 1, 1, 1, 1]);
    const seconds = nodes.flatMap((node) => node.visits);
    expect(seconds.filter((second) => second > Math.min(...seconds))).toHaveLength(1);
  });

  test('visits at once all that it missed while the thread was busy', async () => {
    const timer = new IdleTimer();
    const start = timer.now;
    const nodes = [1, 2, 3].map((second) => {
      const node = new Node();
      timer.schedule(node, start + second);
      return node;
    });
    for (const end = performance.now() + 3500; performance.now() < end; );
    await until(() => nodes.some(({ visits }) => visits.length > 0), 'one was visited');
    expect(nodes.map(({ visits }) => visits.length)).toEqual([1, 1, 1]);
  });

  test('takes a node that asks for a time beyond its horizon', () => {
    const timer = new IdleTimer();
    const node = new Node();
    timer.schedule(node, timer.now + 1_000_000);
    expect([timer.size, node.timerSlot >= 0]).toEqual([1, true]);
    timer.cancel(node);
    timer.cancel(node);
    expect([timer.size, node.timerSlot]).toEqual([0, -1]);
  });
});
