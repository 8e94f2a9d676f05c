import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { bridgeThreadOf, createLinkMemory, mainThreadOf } from '../../../dist/src/bus/link-memory.js';
import { Links } from '../../../dist/src/bus/links.js';
import { Participant } from '../../../dist/src/bus/participant.js';
import { Publisher } from '../../../dist/src/bus/publisher.js';
import { THREAD_SLOTS } from '../../../dist/src/metrics/counter.js';
import { PairCounter, PairTable } from '../../../dist/src/metrics/pair-table.js';
import { until } from '../../support/tools/deadline.ts';

const FIXTURE = new URL('../fixtures/participant.js', import.meta.url);
const SHARDS = 2;
const KIND = 200;

interface State {
  readonly heard: number;
  readonly wrong: number;
  readonly published: number;
}

/** A participant in a thread of its own. */
class Thread {
  readonly worker: Worker;
  readonly peers: string[] = [];
  isUp = false;
  state: State | null = null;

  constructor(workerData: Record<string, unknown>) {
    this.worker = new Worker(FIXTURE, { workerData: { kind: KIND, ...workerData } });
    this.worker.on('message', (event: { type: string } & Record<string, unknown>) => {
      if (event.type === 'up') this.isUp = true;
      else if (event.type === 'state') this.state = event as unknown as State;
      else if (event['role'] === 'bridge')
        this.peers.push(`${event['state'] as string} ${event['instance'] as number}`);
    });
  }

  async ask(command: 'state' | 'stop' = 'state'): Promise<State> {
    this.state = null;
    this.worker.postMessage(command);
    await until(() => this.state !== null, 'the thread answers');
    return this.state!;
  }
}

test('a bridge that is killed again and again hears all shards, and they it; nothing is for another life', async () => {
  const memory = createLinkMemory(SHARDS, 5, 16_384, 1_000_000);
  const id = mainThreadOf(SHARDS);
  const links = new Links(memory, id, () => {});
  const counters = new Float64Array(THREAD_SLOTS);
  const main = new Participant('main', id, new Publisher(counters), counters);
  main.on(KIND as never, () => {});
  main.link(links);
  const all: Thread[] = [];
  onTestFinished(async () => {
    await Promise.all(all.map(({ worker }) => worker.terminate()));
    main.unlink();
  });
  const start = (data: Record<string, unknown>): Thread => {
    const thread = new Thread({ memory, ...data });
    all.push(thread);
    return thread;
  };
  const shards = [0, 1].map((shard) => start({ id: shard, role: 'shard', topic: 'from bridge' }));
  await until(() => shards.every(({ isUp }) => isUp), 'the shards are up');
  for (let life = 1; life <= 6; life++) {
    const bridge = start({ id: bridgeThreadOf(SHARDS), role: 'bridge' });
    await until(() => bridge.isUp && main.isUp(bridgeThreadOf(SHARDS)), 'the bridge is up');
    const before = await Promise.all(shards.map((shard) => shard.ask()));
    let state = await bridge.ask();
    while (state.heard < 200) state = await bridge.ask();
    expect(state.wrong).toBe(0);
    for (const [i, shard] of shards.entries()) {
      let now = await shard.ask();
      while (now.heard < before[i]!.heard + 20) now = await shard.ask();
    }
    await bridge.worker.terminate();
    links.clearThread(bridgeThreadOf(SHARDS));
  }
  const states = await Promise.all(shards.map((shard) => shard.ask('stop')));
  for (const { wrong } of states) expect(wrong).toBe(0);
  // What waited for a bridge that was about to die may be more than can wait; nothing else is dropped.
  const pairs = new PairTable(memory.pairs, memory.threads, memory.threads);
  const living = [0, 1, id];
  for (const from of living) {
    for (const to of living) expect(pairs.counters(from, to).get(PairCounter.DROPPED)).toBe(0);
  }
  const lives = [1, 2, 3, 4, 5, 6].flatMap((life) => [`up ${life}`, `gone ${life}`]);
  await until(() => shards.every(({ peers }) => peers.length >= 12), 'the shards know that the last is gone');
  for (const { peers } of shards) expect(peers).toEqual(lives);
});
