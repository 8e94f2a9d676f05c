import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Got, type QueueClient, QueueThreads, until } from './queue-threads.ts';

/** What may happen among threads that own a queue each, numbers made to fit. */
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('send' as const), to: fc.nat(), count: fc.nat(8) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('join' as const),
      to: fc.nat(),
      thread: fc.nat(),
      window: fc.integer({ min: 1, max: 6 }),
      ack: fc.constantFrom('client' as const, 'client-individual' as const),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      who: fc.nat(),
      which: fc.nat(),
      nack: fc.nat(3),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), who: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reload' as const), thread: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), thread: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('turn' as const), turns: fc.nat(5) }) },
);

const THREADS = 3;

describe('any schedule of threads that come and go', () => {
  it('loses no message but those that were in an owner that died, and none comes behind its confirmed end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const threads = new QueueThreads(THREADS, {}, 16 * 1024, 64 * 1024);
        await threads.start();
        const queues = Array.from({ length: THREADS }, (_, i) => threads.queueOf(i));
        /** Messages that were stored for sure, and were in no owner that died. */
        const stored = new Set<string>();
        const done = new Set<string>();
        /** Those that were acknowledged, whether that was confirmed or not. */
        const acknowledged = new Set<string>();
        const wrong: string[] = [];
        const died = new Array<number>(THREADS).fill(0);
        let clients: QueueClient[] = [];
        let body = 0;
        const pending: Promise<unknown>[] = [];

        const join = (thread: number, queue: string, ack: 'client' | 'client-individual', window: number) => {
          const client = threads.all[thread % THREADS]!.client();
          client.onMessage = (got: Got) => {
            if (done.has(got.body)) wrong.push(`${got.body} comes again`);
          };
          clients.push(client);
          pending.push(client.subscribe(queue, ack, window));
          return client;
        };
        const settle = async (client: QueueClient, { id }: Got, isAccepted: boolean): Promise<void> => {
          const bodies = client.got
            .filter((one) =>
              one.subscription.ack === 'client' ? numberOf(one.id) <= numberOf(id) : one.id === id,
            )
            .map((one) => one.body);
          client.got.splice(0, client.got.length, ...client.got.filter((one) => !bodies.includes(one.body)));
          if (isAccepted) for (const one of bodies) acknowledged.add(one);
          await client.settle(id, isAccepted);
          if (isAccepted && client.isConnected) for (const one of bodies) done.add(one);
        };
        try {
          for (const one of steps) {
            clients = clients.filter(({ isConnected }) => isConnected);
            const client = clients.length > 0 && 'who' in one ? clients[one.who % clients.length]! : null;
            switch (one.do) {
              case 'send': {
                const sender = threads.all[one.to % THREADS]!.client();
                for (let i = 0; i < one.count; i++) {
                  const text = `${one.to % THREADS}/${body++}`;
                  const deaths = died[one.to % THREADS];
                  pending.push(
                    sender.send(queues[one.to % THREADS]!, text).then(() => {
                      if (sender.isConnected && died[one.to % THREADS] === deaths) stored.add(text);
                    }),
                  );
                }
                break;
              }
              case 'join':
                join(one.thread, queues[one.to % THREADS]!, one.ack, one.window);
                break;
              case 'settle':
                if (client !== null && client.got.length > 0)
                  pending.push(settle(client, client.got[one.which % client.got.length]!, one.nack !== 0));
                break;
              case 'leave':
                client?.end();
                break;
              case 'reload':
                await threads.reload(one.thread % THREADS);
                break;
              case 'crash': {
                const thread = one.thread % THREADS;
                died[thread]!++;
                for (const dead of threads.all[thread]!.clients) dead.isConnected = false;
                await threads.crash(thread);
                // What it owned may be lost, or not.
                for (const text of stored) if (text.startsWith(`${thread}/`)) stored.delete(text);
                break;
              }
              case 'turn':
                for (let i = 0; i < one.turns; i++) await new Promise(setImmediate);
                break;
            }
          }
          for (const client of clients) client.end();
          // Somebody takes all that is left.
          const last = queues.map((queue, i) => join(i + 1, queue, 'client-individual', 10));
          for (const client of last) {
            const check = client.onMessage;
            client.onMessage = (got) => {
              check(got);
              acknowledged.add(got.body);
              pending.push(client.settle(got.id).then(() => done.add(got.body)));
            };
          }
          const end = performance.now() + 60_000;
          await until(
            () =>
              performance.now() > end ||
              (threads.total('QUEUE_MESSAGES') === 0 && [...stored].every((text) => acknowledged.has(text))),
          );
          expect([...stored].filter((text) => !acknowledged.has(text))).toEqual([]);
          expect(threads.total('QUEUE_MESSAGES')).toBe(0);
          expect(wrong).toEqual([]);
        } finally {
          threads.stop();
        }
      }),
      { numRuns: 100, endOnFailure: true },
    );
  });
});

function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf('-') + 1));
}
