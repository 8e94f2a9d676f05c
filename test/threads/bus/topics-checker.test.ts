import { type ServeOptions, serve } from 'millrace';
import { describe, expect, test } from 'vitest';
import { HOST } from '../../support/servers/server.ts';
import { sleep, until } from '../../support/tools/deadline.ts';
import type { TopicsModel } from './topics-model.ts';
import { type RingStats, random, Traffic, untilQuiet } from './topics-traffic.ts';

/** TOPICS_SOAK_SECONDS: the checker goes on for so long, too. */
const SOAK_SECONDS = Number(process.env['TOPICS_SOAK_SECONDS'] ?? 0);
/** Shards that are killed at least, and messages that are received at least, before it ends. */
const KILLS = 4;
const RECEIVED = 12_000;
/** Ms from one kill to the next. */
const KILL_EVERY = SOAK_SECONDS > 60 ? 5000 : 1500;

const SHARDS = 4;
interface Outcome {
  readonly model: TopicsModel;
  readonly rings: readonly RingStats[];
  readonly kills: number;
}

type Rings = readonly RingStats[];

/** Runs the traffic while shards block and die, until all of it has happened often enough. */
async function soak(options: Partial<ServeOptions>, isEnough: (rings: Rings) => boolean): Promise<Outcome> {
  const crashes: number[] = [];
  const server = await serve({
    app: new URL('../../integration/fixtures/topics-app.js', import.meta.url),
    port: 0,
    host: HOST,
    shards: SHARDS,
    onCrash: (shard) => crashes.push(shard),
    ...options,
  });
  const traffic = new Traffic(server.port);
  await traffic.start();
  const { model } = traffic;
  const running = traffic.run();
  let kills = 0;
  const isReady = (): boolean => server.stats().shards.every(({ state }) => state === 'ready');
  const end = performance.now() + SOAK_SECONDS * 500;
  const goesOn = (): boolean =>
    kills < KILLS || model.received < RECEIVED || performance.now() < end || !isEnough(server.stats().rings);
  while (goesOn()) {
    await sleep(KILL_EVERY / 2);
    traffic.any().client.tell({ ask: 'block', ms: 200 + random(200), quietly: true });
    await sleep(KILL_EVERY / 2);
    traffic.any().client.tell({ ask: 'exit' });
    kills++;
    await until(() => crashes.length === kills, 'the shard is dead');
    await until(isReady, 'it is started anew');
  }
  const seen = model.received;
  await until(() => model.received > seen + 500, 'it goes on with all shards');
  traffic.stop();
  await running;
  await untilQuiet(() => server.stats().rings, model);
  for (const client of model.living) client.finish();
  const { rings } = server.stats();
  await server.close({ drain: 0 });
  if (process.env['TOPICS_SOAK_SECONDS'] !== undefined) report({ model, rings, kills });
  return { model, rings, kills };
}

function report({ model, rings, kills }: Outcome): void {
  const total = (name: 'written' | 'overflowed' | 'dropped'): number =>
    rings.reduce((sum, ring) => sum + ring[name], 0);
  console.log(
    `${model.published} messages published, ${model.received} received, ${kills} kills; rings: ` +
      `${total('written')} written, ${total('overflowed')} overflowed, ${total('dropped')} dropped; ` +
      `missing: ${Array.from(model.missing.values(), ({ size }) => size).join(' + ') || 'none'}`,
  );
}

function expectSound({ model, rings }: Outcome): void {
  expect(model.faults).toEqual([]);
  for (const ring of rings) expect(ring.resets).toBe(0);
}

function hasLosses(rings: Rings): boolean {
  return rings.some(({ dropped }) => dropped > 0);
}

const timeout = (SOAK_SECONDS + 120) * 1000;

describe('200 clients on 4 shards that block and die', () => {
  test('get nothing twice and nothing out of order, and what they miss was counted', {
    timeout,
  }, async () => {
    // Small, so that rings wrap, pieces are many, and a shard that blocks loses something.
    const outcome = await soak({ ringSize: 4096, maxOverflow: 16 * 1024 }, hasLosses);
    expectSound(outcome);
    // A message that is missing was dropped in its ring, where it is counted once for all clients behind it.
    for (const [pair, messages] of outcome.model.missing) {
      const ring = outcome.rings.find(({ from, to }) => `${from} to ${to}` === pair);
      expect(messages.size, `losses from shard ${pair}`).toBeLessThanOrEqual(ring?.dropped ?? 0);
    }
    expect(hasLosses(outcome.rings)).toBe(true);
  });

  test('miss nothing at all with rings of the usual size', { timeout }, async () => {
    const outcome = await soak({}, () => true);
    expectSound(outcome);
    expect(outcome.model.missing).toEqual(new Map());
  });
});
