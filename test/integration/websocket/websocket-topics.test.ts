import type { WebSocket } from 'millrace';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { closeText, type Pair, Route } from '../../support/protocol/route.ts';
import { until } from '../../support/tools/deadline.ts';

let route: Route;
let events: string[];
const names = new Map<WebSocket, string>();

beforeEach(() => {
  events = [];
  names.clear();
  route = new Route({
    subscription: (ws, topic, newCount, oldCount) => {
      events.push(`${names.get(ws)} ${closeText(topic)} ${oldCount}→${newCount}`);
    },
    close: (ws, code) => {
      events.push(`${names.get(ws)} closed ${code}`);
    },
  });
});
afterEach(() => route.stop());

/** Connections named a, b, c… in `events`. */
async function pairs(count: number): Promise<Pair[]> {
  const made = await route.pairs(count);
  made.forEach(({ ws }, i) => {
    names.set(ws, String.fromCharCode(97 + i));
  });
  return made;
}

/** Texts that came to a client before `end`. */
async function received({ ws, client }: Pair): Promise<string[]> {
  ws.send('end');
  const texts: string[] = [];
  for (;;) {
    const text = await client.text();
    if (text === 'end') return texts;
    texts.push(text);
  }
}

test('subscribe and unsubscribe tell what is, and subscription the counts before and after', async () => {
  const [a, b] = (await pairs(2)) as [Pair, Pair];
  expect(a.ws.subscribe('news')).toBe(true);
  expect(a.ws.subscribe('news')).toBe(true);
  expect(b.ws.subscribe(Buffer.from('news'))).toBe(true);
  expect(a.ws.subscribe('wether/ü')).toBe(true);
  expect(a.ws.isSubscribed('news')).toBe(true);
  expect(a.ws.isSubscribed('new')).toBe(false);
  expect(b.ws.isSubscribed('wether/ü')).toBe(false);
  expect(a.ws.getTopics()).toEqual(['news', 'wether/ü']);
  expect(route.app.numSubscribers('news')).toBe(2);
  expect(route.app.numSubscribers('wether/ü')).toBe(1);
  expect(route.app.numSubscribers('nothing')).toBe(0);
  expect(a.ws.unsubscribe('news')).toBe(true);
  expect(a.ws.unsubscribe('news')).toBe(false);
  expect(a.ws.unsubscribe('never')).toBe(false);
  expect(a.ws.getTopics()).toEqual(['wether/ü']);
  expect(route.app.numSubscribers('news')).toBe(1);
  expect(events).toEqual(['a news 0→1', 'b news 1→2', 'a wether/ü 0→1', 'a news 2→1']);
});

test('a socket that goes is unsubscribed from everything, told to subscription before close', async () => {
  const [a, b, c] = (await pairs(3)) as [Pair, Pair, Pair];
  for (const { ws } of [a, b, c]) ws.subscribe('shared');
  a.ws.subscribe('own');
  events = [];
  a.ws.end(1000);
  expect(events).toEqual(['a shared 3→2', 'a own 1→0', 'a closed 1000']);
  b.client.reset();
  await until(() => events.includes('b closed 1006'), 'b is closed');
  expect(events.slice(3)).toEqual(['b shared 2→1', 'b closed 1006']);
  c.client.end();
  await until(() => events.includes('c closed 1006'), 'c is closed');
  expect(route.app.numSubscribers('shared')).toBe(0);
  expect(route.app.publish('shared', 'to nobody')).toBe(false);
});

test('publish of a socket reaches all others that are subscribed, never itself', async () => {
  const [a, b, c, d] = (await pairs(4)) as [Pair, Pair, Pair, Pair];
  for (const { ws } of [a, b, c]) ws.subscribe('room');
  d.ws.subscribe('other room');
  expect(a.ws.publish('room', 'from a')).toBe(true);
  expect(d.ws.publish('room', 'from d, who is not in it')).toBe(true);
  expect(await received(a)).toEqual(['from d, who is not in it']);
  expect(await received(b)).toEqual(['from a', 'from d, who is not in it']);
  expect(await received(c)).toEqual(['from a', 'from d, who is not in it']);
  expect(await received(d)).toEqual([]);
});

test('publish of a socket returns false before its first subscription, and without another subscriber', async () => {
  const [a, b] = (await pairs(2)) as [Pair, Pair];
  b.ws.subscribe('room');
  expect(a.ws.publish('room', 'no subscription at all')).toBe(false);
  expect(b.ws.publish('room', 'alone')).toBe(false);
  expect(b.ws.publish('empty', 'nobody')).toBe(false);
  expect(await received(b)).toEqual([]);
  // As in uWebSockets.js, where "X has left" is published by X when it has left.
  a.ws.subscribe('other');
  a.ws.unsubscribe('other');
  expect(a.ws.publish('room', 'has left')).toBe(true);
  expect(await received(b)).toEqual(['has left']);
});

test('publish of the App reaches every subscriber, in text and binary, small and large', async () => {
  const all = await pairs(5);
  for (const { ws } of all) ws.subscribe('t');
  const large = pattern(200_000);
  expect(route.app.publish('t', 'text')).toBe(true);
  expect(route.app.publish('t', Uint8Array.of(1, 2, 3), true)).toBe(true);
  expect(route.app.publish('t', large, true)).toBe(true);
  expect(route.app.publish(Buffer.from('t'), '')).toBe(true);
  for (const { client } of all) {
    const [text, small, big, empty] = await client.frames(4);
    expect([text!.opcode, text!.payload.toString()]).toEqual([1, 'text']);
    expect([small!.opcode, ...small!.payload]).toEqual([2, 1, 2, 3]);
    expect(Buffer.compare(big!.payload, large)).toBe(0);
    expect([empty!.opcode, empty!.payload.length]).toEqual([1, 0]);
  }
});

test('what a socket is sent and what is published to it come in the order of the calls', async () => {
  const [a, b] = (await pairs(2)) as [Pair, Pair];
  for (const { ws } of [a, b]) {
    ws.subscribe('x');
    ws.subscribe('y');
  }
  const expected: string[] = [];
  for (let i = 0; i < 300; i++) {
    expected.push(String(i));
    if (i % 5 === 0) a.ws.send(String(i));
    else if (i % 5 === 1) route.app.publish('x', String(i));
    else if (i % 5 === 2) b.ws.publish('y', String(i));
    else if (i % 5 === 3) a.ws.cork((ws) => ws.send(String(i)));
    else route.app.publish('y', String(i));
  }
  expect(await received(a)).toEqual(expected);
  const forB = expected.filter((_, i) => i % 5 === 1 || i % 5 === 4);
  expect(await received(b)).toEqual(forB);
});

test('who subscribes gets what is published from then on, who unsubscribes gets nothing published later', async () => {
  const [a] = (await pairs(1)) as [Pair];
  route.app.publish('t', 'before');
  a.ws.subscribe('t');
  route.app.publish('t', 'first');
  a.ws.unsubscribe('t');
  route.app.publish('t', 'between');
  a.ws.subscribe('t');
  route.app.publish('t', 'second');
  a.ws.unsubscribe('t');
  expect(await received(a)).toEqual(['first', 'second']);
});

test('any text is a topic', async () => {
  const [a, b] = (await pairs(2)) as [Pair, Pair];
  const topics = ['', '#', '+', '*', 'a/#', '__proto__', 'constructor', '\0', 'x'.repeat(4096), '😀'];
  for (const topic of topics) {
    a.ws.subscribe(topic);
    expect(a.ws.isSubscribed(topic), topic).toBe(true);
  }
  b.ws.subscribe('a/b');
  expect(a.ws.getTopics()).toEqual(topics);
  for (const topic of topics) expect(b.ws.publish(topic, `to ${topic}`), topic).toBe(true);
  expect(await received(a)).toEqual(topics.map((topic) => `to ${topic}`));
});

test('a topic that is no text or bytes throws a TypeError', async () => {
  const [a] = (await pairs(1)) as [Pair];
  expect(() => a.ws.subscribe(5 as never)).toThrow(TypeError);
  expect(() => a.ws.publish('t', 'a message')).not.toThrow();
  expect(() => route.app.publish(null as never, 'a message')).toThrow(TypeError);
});
