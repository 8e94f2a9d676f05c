import { SendStatus, type WebSocket } from 'millrace';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { type Pair, Route } from '../../support/protocol/route.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

const STATE = expect.objectContaining({ code: 'MILLRACE_APP_STATE' }) as unknown;

describe('a message that is sent in fragments', () => {
  let route: Route;
  beforeAll(() => {
    route = new Route({ maxBackpressure: 1024 * 1024, open: (ws) => void ws.subscribe('all') });
  });
  afterAll(() => route.stop());

  test('comes before what is published meanwhile, small and large, in order', async () => {
    const [writer, other] = await route.pairs(2);
    const { ws, client } = writer!;
    route.app.publish('all', 'before');
    ws.sendFirstFragment('one ');
    route.app.publish('all', 'first');
    await sleep(5);
    ws.sendFragment('two ');
    route.app.publish('all', pattern(100_000), true);
    other!.ws.publish('all', 'third');
    await sleep(5);
    expect(ws.getBufferedAmount()).toBeGreaterThan(100_000);
    ws.ping('in between');
    route.app.publish('all', 'fourth');
    ws.sendLastFragment('three');
    ws.send('last');
    const seen = (await client.frames(10)).map(({ fin, opcode, payload }) =>
      payload.length > 100 ? `${fin} ${opcode} ${payload.length}` : `${fin} ${opcode} ${payload.toString()}`,
    );
    expect(seen).toEqual([
      'true 1 before',
      'false 1 one ',
      'false 0 two ',
      'true 9 in between',
      'true 0 three',
      'true 1 first',
      'true 2 100000',
      'true 1 third',
      'true 1 fourth',
      'true 1 last',
    ]);
    expect(ws.getBufferedAmount()).toBe(0);
    expect((await other!.client.frames(4)).map(({ payload }) => payload.length)).toEqual([6, 5, 100_000, 6]);
    client.destroy();
    other!.client.destroy();
  });

  test('cannot be mixed with another message, nor be begun twice or in the middle', async () => {
    const { ws, client } = await route.pair();
    expect(() => ws.sendFragment('x')).toThrow(STATE);
    expect(() => ws.sendLastFragment('x')).toThrow(STATE);
    ws.sendFirstFragment('a');
    expect(() => ws.sendFragment(5 as never)).toThrow(TypeError);
    expect(() => ws.sendLastFragment(null as never)).toThrow(TypeError);
    expect(() => ws.send('x')).toThrow(STATE);
    expect(() => ws.sendFirstFragment('x')).toThrow(STATE);
    ws.sendLastFragment('b');
    expect(() => ws.sendLastFragment('x')).toThrow(STATE);
    ws.send('whole');
    expect((await client.frames(3)).map(({ payload }) => payload.toString())).toEqual(['a', 'b', 'whole']);
    client.destroy();
  });

  test('may be broken off by a Close frame, and what was held is gone with it', async () => {
    const { ws, client } = await route.pair();
    ws.sendFirstFragment('a');
    route.app.publish('all', 'held');
    await sleep(5);
    ws.end(1000, 'bye');
    const { frames } = await client.framesToEnd();
    expect(frames.map(({ opcode }) => opcode)).toEqual([1, 8]);
    client.destroy();
  });
});

test('what is held counts for maxBackpressure', async () => {
  let dropped = 0;
  using route = new Route({
    maxBackpressure: 1000,
    open: (ws) => void ws.subscribe('all'),
    dropped: () => {
      dropped++;
    },
  });
  const { ws, client } = await route.pair();
  ws.sendFirstFragment('a');
  for (let i = 0; i < 10; i++) {
    route.app.publish('all', 'x'.repeat(300));
    await sleep(2);
  }
  // The one that overshoots is the last one that is kept.
  expect(dropped).toBe(6);
  ws.sendLastFragment('b');
  const frames = await client.frames(6);
  expect(frames.slice(2).map(({ payload }) => payload.length)).toEqual([300, 300, 300, 300]);
  client.destroy();
});

test('a message whose first fragment is dropped is dropped whole; one that was begun is completed', async () => {
  using route = new Route({ maxBackpressure: 64 * 1024 });
  const { ws, client } = await route.pair();
  client.pause();
  const piece = pattern(256 * 1024);
  let statuses: SendStatus[] = [];
  for (;;) {
    const status = ws.send(piece, true);
    if (status === SendStatus.DROPPED) break;
    statuses.push(status);
    await sleep(1);
  }
  expect([ws.sendFirstFragment('a'), ws.sendFragment('b'), ws.sendLastFragment('c')]).toEqual([2, 2, 2]);
  const before = statuses.length;
  client.resume();
  await until(() => ws.getBufferedAmount() === 0, 'all is written');
  client.pause();
  statuses = [ws.sendFirstFragment(piece, true)];
  while (ws.getBufferedAmount() < 512 * 1024) statuses.push(ws.sendFragment(piece));
  statuses.push(ws.sendLastFragment(piece));
  expect(statuses).not.toContain(SendStatus.DROPPED);
  client.resume();
  const frames = await client.frames(before + statuses.length);
  expect(frames.at(-1)!.fin).toBe(true);
  expect(frames.slice(before).every(({ payload }) => payload.equals(piece))).toBe(true);
  client.destroy();
});

/** A socket in the middle of a message in fragments, with as much held as it may. */
async function overLimit(dropped: (ws: WebSocket) => void): Promise<{ route: Route; pair: Pair }> {
  const route = new Route({
    maxBackpressure: 1000,
    open: (ws) => void ws.subscribe('all'),
    dropped,
  });
  const pair = await route.pair();
  pair.ws.sendFirstFragment('a');
  route.app.publish('all', 'x'.repeat(1000));
  await sleep(5);
  return { route, pair };
}

test('a message that a dropped handler ends holds up nothing that is published behind it', async () => {
  let dropped = 0;
  const { route, pair } = await overLimit((ws) => {
    if (dropped++ === 0) ws.sendLastFragment('b');
  });
  using _route = route;
  for (const message of ['one', 'two', 'three']) route.app.publish('all', message);
  await sleep(5);
  pair.ws.send('last');
  const frames = await pair.client.frames(6);
  expect(dropped).toBe(1);
  expect(frames.map(({ payload }) => payload.toString().slice(0, 5))).toEqual([
    'a',
    'b',
    'xxxxx',
    'two',
    'three',
    'last',
  ]);
  pair.client.destroy();
});

test('a fragment is not sent when a dropped handler has ended its message just before', async () => {
  let dropped = 0;
  const { route, pair } = await overLimit((ws) => {
    if (dropped++ === 0) ws.sendLastFragment('b');
  });
  using _route = route;
  route.app.publish('all', 'one');
  expect(() => pair.ws.sendFragment('c')).toThrow(STATE);
  pair.ws.send('last');
  const frames = await pair.client.frames(4);
  expect(frames.map(({ fin, opcode }) => `${fin} ${opcode}`)).toEqual([
    'false 1',
    'true 0',
    'true 1',
    'true 1',
  ]);
  pair.client.destroy();
});
