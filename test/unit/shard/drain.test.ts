import { expect, it } from 'vitest';
import type { Transport } from '../../../src/net/transport.ts';
import { Drain, type DrainTerms } from '../../../src/shard/drain.ts';
import { LONG, until } from '../../support/tools/deadline.ts';

/** Of a socket the drain sees no more than these two. */
interface FakeSocket {
  isClosed: boolean;
  hasMore: boolean;
}

function drainOf(sockets: readonly FakeSocket[], terms: Partial<DrainTerms> = {}) {
  const said: [what: string, socket: number, code?: number][] = [];
  const numberOf = (transport: Transport): number => sockets.indexOf(transport);
  const drain: Drain = new Drain(
    new Set(sockets) as unknown as Set<Transport>,
    { code: 1001, deadline: LONG, grace: 0, ...terms },
    {
      drain: (transport, code) =>
        said.push([drain.isDismissing ? 'late' : 'drain', numberOf(transport), code]),
      dismiss: (transport) => said.push([drain.isDismissing ? 'dismiss' : 'early', numberOf(transport)]),
    },
  );
  return { drain, said };
}

const socket = (): FakeSocket => ({ isClosed: false, hasMore: false });

it('says goodbye to each with the code, and then dismisses each', async () => {
  const { drain, said } = drainOf([socket(), socket()], { code: 1012 });
  expect(drain.code).toBe(1012);
  await drain.run();
  expect(said).toEqual([
    ['drain', 0, 1012],
    ['drain', 1, 1012],
    ['dismiss', 0],
    ['dismiss', 1],
  ]);
});

it('leaves out those that are closed', async () => {
  const [one, two] = [socket(), socket()];
  const { drain, said } = drainOf([one, two]);
  one.isClosed = true;
  await drain.run();
  expect(said.map(([what, number]) => [what, number])).toEqual([
    ['drain', 1],
    ['dismiss', 1],
  ]);
});

it('lets a socket read what the kernel has first, but not for ever', async () => {
  const [busy, calm] = [socket(), socket()];
  busy.hasMore = true;
  const { drain, said } = drainOf([busy, calm]);
  await drain.run();
  expect(said.map(([what, number]) => [what, number])).toEqual([
    ['drain', 1],
    ['drain', 0],
    ['dismiss', 0],
    ['dismiss', 1],
  ]);
});

it('goes through more than a wave of sockets, each once', async () => {
  const sockets = Array.from({ length: 2001 }, socket);
  const { drain, said } = drainOf(sockets);
  await drain.run();
  const drained = said.filter(([what]) => what === 'drain').map(([, number]) => number);
  expect(drained).toEqual(sockets.map((_, i) => i));
  expect(said).toHaveLength(2 * sockets.length);
});

it('waits for the grace, and says nothing more when it is stopped', async () => {
  const { drain, said } = drainOf([socket()], { grace: LONG });
  const running = drain.run();
  await until(() => said.length === 1, 'goodbye is said');
  expect(drain.isDismissing).toBe(false);
  drain.stop();
  await running;
  expect(said).toEqual([['drain', 0, 1001]]);
});

it('says goodbye to one that comes later, and dismisses it when it is still there', async () => {
  const late = socket();
  const { drain, said } = drainOf([late]);
  await drain.arrived(late as unknown as Transport);
  expect(said).toEqual([
    ['drain', 0, 1001],
    ['early', 0],
  ]);
  const closing = socket();
  const other = drainOf([closing], { grace: 1 });
  const arrived = other.drain.arrived(closing as unknown as Transport);
  closing.isClosed = true;
  await arrived;
  expect(other.said).toEqual([['drain', 0, 1001]]);
});
