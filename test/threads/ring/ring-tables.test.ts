import { expect, test } from 'vitest';
import { createInterestTable, InterestTable } from '../../../dist/src/ring/interest-table.js';
import { createSubscriberCounts, SubscriberCounts } from '../../../dist/src/ring/subscriber-counts.js';
import { Control } from '../fixtures/ring-pattern.js';
import { createControl, exitOf, SOAK_SECONDS, sleep, startWorker } from './ring-threads.ts';

const MILLISECONDS = (SOAK_SECONDS / 3) * 1000;
const timeout = (SOAK_SECONDS + 90) * 1000;

test('a publish after the end of a subscribe finds the interest, in a storm of others', {
  timeout,
}, async () => {
  const table = createInterestTable(4);
  const view = new InterestTable(table);
  const control = createControl();
  const workers = [
    startWorker('ring-interest.js', { table, thread: 31, control: control.buffer, storm: false }),
    startWorker('ring-interest.js', { table, thread: 30, control: control.buffer, storm: true }),
  ];
  let missed = 0;
  let rounds = 0;
  for (const end = performance.now() + MILLISECONDS; rounds < 5000 || performance.now() < end; ) {
    const round = Atomics.load(control, Control.COUNT);
    if (round === rounds) {
      if (round === 0) await sleep(1);
      continue;
    }
    if (view.targetsLow(round % 4) >= 0) missed++;
    rounds = round;
    Atomics.store(control, Control.ANSWER, round);
    Atomics.notify(control, Control.ANSWER);
  }
  Atomics.store(control, Control.STOP, 1);
  await Promise.all(workers.map(exitOf));
  expect(missed).toBe(0);
  // And what was unsubscribed is gone: no bit was lost or revived by the neighbours.
  for (let slot = 0; slot < 4; slot++)
    expect([view.targetsLow(slot), view.targetsHigh(slot)]).toEqual([0, 0]);
});

test("a count is the topic's own, while entries go from topic to topic", { timeout }, async () => {
  const topics = 24;
  const counts = createSubscriberCounts(1, 8);
  const view = new SubscriberCounts(counts);
  const control = createControl();
  const worker = startWorker('ring-counts.js', { counts, control: control.buffer, topics });
  let wrong = 0;
  let found = 0;
  for (const end = performance.now() + MILLISECONDS; found < 20_000 || performance.now() < end; ) {
    for (let number = 0; number < topics; number++) {
      const count = view.count(`t${number}`);
      if (count === 1000 + number) found++;
      else if (count !== 0) wrong++;
    }
    if (found === 0) await sleep(1);
  }
  Atomics.store(control, Control.STOP, 1);
  await exitOf(worker);
  expect(wrong).toBe(0);
});
