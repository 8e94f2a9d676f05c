import { expect, test } from 'vitest';
import { until } from '../../support/tools/deadline.ts';
import { Traffic, untilQuiet } from '../bus/topics-traffic.ts';
import { JoinedApps } from './joined-apps.ts';

/** TOPICS_SOAK_SECONDS: the checker goes on for so long, too. */
const SECONDS = Number(process.env['TOPICS_SOAK_SECONDS'] ?? 0);
/** Threads that are replaced at least, in each of the six ways there are, and messages that are received at least. */
const CHANGES = 9;
const RECEIVED = 16_000;
const CHILDREN = 3;

test('200 clients on joined Apps that block, die, leave and join miss nothing, and get nothing twice or out of order', {
  timeout: (SECONDS + 120) * 1000,
}, async () => {
  const apps = await JoinedApps.start(CHILDREN, 'topics-app.js');
  const traffic = new Traffic(apps.port);
  const { model } = traffic;
  await traffic.start();
  const running = traffic.run();
  /** Waits until so many more messages are received. */
  const received = (count: number): Promise<void> => {
    const goal = model.received + count;
    return until(() => model.received >= goal, `${count} more messages are received`);
  };
  let changes = 0;
  const end = performance.now() + SECONDS * 1000;
  for (; changes < CHANGES || model.received < RECEIVED || performance.now() < end; changes++) {
    await received(200);
    traffic.any().client.tell({ ask: 'block', ms: 100 + Math.random() * 200, quietly: true });
    await received(200);
    const index = changes % CHILDREN;
    const victim = apps.children[index]!;
    // The one that takes its place joins before it goes, or behind it.
    if (changes % 2 === 0) await apps.add(index);
    if (changes % 3 === 0) void victim.worker.terminate();
    else victim.tell(changes % 3 === 1 ? 'exit' : 'close', 1);
    await until(() => victim.exitCode !== null, 'its thread has ended');
    if (changes % 2 === 1) await apps.add(index);
    await apps.joined(CHILDREN);
  }
  await received(500);
  traffic.stop();
  await running;
  const isThere = (index: number): boolean => apps.stats.children.some((child) => child.index === index);
  // Nobody reads what was sent to a thread that is gone, until another has its number.
  await untilQuiet(() => apps.stats.rings.filter(({ to }) => isThere(to)), model);
  for (const client of model.living) client.finish();
  const { rings } = apps.stats;
  await apps.stop();
  expect(model.faults).toEqual([]);
  expect(model.missing).toEqual(new Map());
  expect(rings.map(({ resets }) => resets)).toEqual(rings.map(() => 0));
});
