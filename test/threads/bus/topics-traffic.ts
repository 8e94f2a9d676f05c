import type { Server } from 'millrace';
import { sleep, unchanged, until } from '../../support/tools/deadline.ts';
import { CheckedClient, TOPIC_COUNT, TopicsModel } from './topics-model.ts';

export type RingStats = ReturnType<Server['stats']>['rings'][number];

export const CLIENTS = 200;

export function random(below: number): number {
  return Math.floor(Math.random() * below);
}

/** Keeps 200 clients connected and publishing on few topics, while some leave, change their topics, and die. */
export class Traffic {
  readonly model = new TopicsModel();
  readonly #port: number;
  #isOver = false;

  constructor(port: number) {
    this.#port = port;
  }

  async start(): Promise<void> {
    while (this.model.living.size < CLIENTS) {
      await Promise.all(Array.from({ length: 20 }, () => this.#join()));
    }
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    await Promise.all([this.#publish(), this.#churn()]);
  }

  stop(): void {
    this.#isOver = true;
  }

  any(): CheckedClient {
    const living = Array.from(this.model.living);
    return living[random(living.length)]!;
  }

  #join(): Promise<CheckedClient | undefined> {
    const first = random(TOPIC_COUNT);
    // Its shard may die while it joins.
    return CheckedClient.join(this.model, this.#port, [first, (first + 1) % TOPIC_COUNT]).catch(
      () => undefined,
    );
  }

  async #publish(): Promise<void> {
    while (!this.#isOver) {
      for (let i = 0; i < 6; i++) {
        const client = this.any();
        const topic = random(TOPIC_COUNT);
        // Several in a turn, of one client in a row; some longer than a piece of the ring.
        for (let count = 1 + random(3); count > 0; count--) {
          client.publish(topic, random(10) === 0 ? random(3000) : random(100));
        }
      }
      await sleep(8);
    }
  }

  async #churn(): Promise<void> {
    while (!this.#isOver) {
      const client = this.any();
      const topic = random(TOPIC_COUNT);
      const what = random(4);
      if (what === 0) client.client.destroy();
      else if (what === 1) client.client.reset();
      else if (!client.isSubscribed(topic)) await client.subscribe(topic).catch(() => {});
      // A socket without any subscription publishes nothing.
      else if (client.subscriptions > 1) await client.unsubscribe(topic).catch(() => {});
      while (this.model.living.size < CLIENTS && !this.#isOver) await this.#join();
      await sleep(20);
    }
  }
}

/** Waits until nothing is under way any more. */
export async function untilQuiet(rings: () => readonly RingStats[], model: TopicsModel): Promise<void> {
  const isEmpty = (): boolean => rings().every((ring) => ring.depth + ring.overflowBytes === 0);
  await until(isEmpty, 'all rings are empty');
  await unchanged(() => model.received, 'nothing more is received', 300);
}
