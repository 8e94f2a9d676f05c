import { SendStatus, type WebSocket, type WebSocketBehavior } from 'millrace';
import { beforeEach, describe, expect, test } from 'vitest';
import { closeCodeOf, handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { close, concat, ping, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { framesBytes } from '../../support/protocol/frame-reader.ts';
import { closeText, Route } from '../../support/protocol/route.ts';
import { until } from '../../support/tools/deadline.ts';

/** Everything handlers were called for, in order. */
let events: string[];
let errors: unknown[];
beforeEach(() => {
  events = [];
  errors = [];
});

/** A route that writes events down; `handlers` are called behind that. */
function recording(handlers: WebSocketBehavior): Route {
  return new Route({
    maxBackpressure: 1_000_000,
    ...handlers,
    message: (ws, message, isBinary) => {
      events.push(`message ${closeText(message)}`);
      return handlers.message?.(ws, message, isBinary);
    },
    ping: (ws, message) => {
      events.push('ping');
      return handlers.ping?.(ws, message);
    },
    close: (ws, code, message) => {
      events.push(`close ${code}`);
      handlers.close?.(ws, code, message);
    },
    subscription: (ws, topic, newCount, oldCount) => {
      events.push(`subscription ${closeText(topic)} ${newCount}`);
      handlers.subscription?.(ws, topic, newCount, oldCount);
    },
    onError: (_ws, error) => {
      errors.push(error);
    },
  });
}

const FRAMES = framesBytes(
  Array.from({ length: 50 }, (_, i) => (i === 20 ? ping() : text(String(i)))),
  SAMPLE_KEY,
);
const TENTH = Array.from({ length: 10 }, (_, i) => `message ${i}`);

/** How a handler ends its connection, and what `close` is told. */
const ENDS: [string, (ws: WebSocket) => void, number][] = [
  ['ends', (ws) => ws.end(4000), 4000],
  ['closes', (ws) => ws.close(), 1006],
  [
    'throws',
    () => {
      throw new Error('at the tenth');
    },
    1011,
  ],
  [
    'ends and throws',
    (ws) => {
      ws.end(4001);
      throw new Error('at the tenth');
    },
    4001,
  ],
  [
    'ends twice, and closes what is closed',
    (ws) => {
      ws.end(4002);
      expect(() => ws.end(4003)).toThrow('Invalid access');
      expect(() => ws.close()).toThrow('Invalid access');
    },
    4002,
  ],
];

describe.each(ENDS)('a handler that %s', (_name, end, code) => {
  test('at the tenth of fifty messages of one packet gets exactly ten', async () => {
    using route = recording({ message: (ws, message) => (closeText(message) === '9' ? end(ws) : undefined) });
    const { client } = await route.pair();
    client.write(FRAMES);
    await until(() => events.some((event) => event.startsWith('close')), 'close was called');
    client.write(FRAMES);
    client.end();
    await client.closed();
    expect(events).toEqual([...TENTH, `close ${code}`]);
  });

  test('in open gets none of the messages that came with the handshake', async () => {
    using route = recording({ open: end });
    const client = await RawClient.connect(route.port);
    client.write(concat(Buffer.from(handshakeText()), FRAMES));
    await until(() => events.length > 0, 'close was called');
    client.end();
    await client.closed();
    expect(events).toEqual([`close ${code}`]);
  });

  test('in ping gets no more either', async () => {
    using route = recording({ ping: end });
    const { client } = await route.pair();
    client.write(FRAMES);
    await until(() => events.some((event) => event.startsWith('close')), 'close was called');
    expect(events.slice(-2)).toEqual(['ping', `close ${code}`]);
    expect(events).toHaveLength(22);
    client.destroy();
  });

  test('in subscription unsubscribes from all, and close comes once', async () => {
    using route = recording({
      subscription: (ws, _topic, newCount) => (newCount > 0 ? end(ws) : undefined),
    });
    const { ws, client } = await route.pair();
    ws.subscribe('a');
    expect(events).toEqual(['subscription a 1', 'subscription a 0', `close ${code}`]);
    expect(route.app.numSubscribers('a')).toBe(0);
    expect(() => ws.subscribe('b')).toThrow('Invalid access');
    client.destroy();
  });

  test('in drain is called no more', async () => {
    let drains = 0;
    using route = recording({
      drain: (ws) => {
        drains++;
        end(ws);
      },
    });
    const { ws, client } = await route.pair();
    client.pause();
    while (ws.send('x'.repeat(100_000)) === SendStatus.SUCCESS);
    for (let i = 0; i < 8; i++) ws.send('x'.repeat(100_000));
    client.resume();
    await until(() => events.length > 0, 'close was called');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([drains, events]).toEqual([1, [`close ${code}`]]);
    client.destroy();
  });

  test('in dropped is called no more, and send returns', async () => {
    let drops = 0;
    using route = recording({
      dropped: (ws) => {
        drops++;
        end(ws);
      },
    });
    const { ws, client } = await route.pair();
    client.pause();
    let status: number;
    do status = ws.send('x'.repeat(100_000));
    while (status !== SendStatus.DROPPED);
    expect([drops, events]).toEqual([1, [`close ${code}`]]);
    client.destroy();
  });

  test('from the handler of another socket leaves that one as it is', async () => {
    let victim: WebSocket | null = null;
    using route = recording({
      message: (ws) => {
        if (ws === victim || victim === null) return;
        const target = victim;
        victim = null;
        ws.cork(() => end(target));
      },
    });
    const [one, two] = await route.pairs(2);
    victim = one!.ws;
    two!.client.write(framesBytes([text('0'), text('1')], SAMPLE_KEY));
    // An error here is that of the socket whose handler it is.
    const isThrown = code === 1011 || code === 4001;
    if (code !== 1011) await until(() => events.includes(`close ${code}`), 'the other is closed');
    if (isThrown) {
      expect(closeCodeOf(await two!.client.frame())).toBe(1011);
    } else {
      two!.ws.send('still here');
      expect(await two!.client.text()).toBe('still here');
      expect(events.filter((event) => event.startsWith('message'))).toEqual(['message 0', 'message 1']);
    }
    expect(events.filter((event) => event === `close ${code}`)).toHaveLength(1);
  });
});

describe('close', () => {
  test('can do nothing with its socket but look, and is called once', async () => {
    let seen: unknown[] = [];
    using route = recording({
      close: (ws) => {
        seen = [
          ws.send('nothing'),
          ws.sendFirstFragment('nothing'),
          ws.ping('nothing'),
          ws.subscribe('c'),
          ws.publish('a', 'nothing'),
          ws.isSubscribed('a'),
          ws.getTopics(),
          ws.unsubscribe('a'),
          ws.cork(() => {}) === ws,
        ];
        ws.end(1001);
        ws.close();
        ws.close();
      },
    });
    const [one, two] = await route.pairs(2);
    two!.ws.subscribe('a');
    one!.ws.subscribe('a');
    events = [];
    one!.ws.end(4000);
    expect(seen).toEqual([2, 2, 2, false, false, false, [], false, true]);
    expect(events).toEqual(['subscription a 1', 'close 4000']);
    two!.ws.send('first');
    expect(await two!.client.text()).toBe('first');
  });

  test('of one socket may end all others', async () => {
    const open = new Set<WebSocket>();
    using route = recording({
      open: (ws) => void open.add(ws),
      close: (ws) => {
        open.delete(ws);
        for (const other of open) other.end(4001);
      },
    });
    const pairs = await route.pairs(20);
    for (const { ws } of pairs) ws.subscribe('all');
    events = [];
    pairs[7]!.ws.end(4000);
    expect(events.filter((event) => event.startsWith('close'))).toHaveLength(20);
    expect(open.size).toBe(0);
    expect(route.app.numSubscribers('all')).toBe(0);
    for (const { client } of pairs) expect((await client.frame()).opcode).toBe(8);
  });

  test('may publish to those who stay', async () => {
    using route = recording({
      close: () => {
        route.app.publish('room', 'somebody left');
      },
    });
    const pairs = await route.pairs(3);
    for (const { ws } of pairs) ws.subscribe('room');
    pairs[0]!.ws.end();
    pairs[1]!.client.reset();
    expect(await pairs[2]!.client.text()).toBe('somebody left');
    expect(await pairs[2]!.client.text()).toBe('somebody left');
  });
});

describe('a publish', () => {
  test('whose delivery ends subscribers by their backpressure reaches all others', async () => {
    using route = recording({ closeOnBackpressureLimit: true });
    const pairs = await route.pairs(6);
    for (const { ws } of pairs) ws.subscribe('room');
    const slow = pairs.filter((_, i) => i % 2 === 0);
    for (const { ws, client } of slow) {
      client.pause();
      while (ws.getBufferedAmount() <= 1_000_000) ws.send('x'.repeat(500_000));
    }
    events = [];
    route.app.publish('room', 'news');
    await until(() => events.filter((event) => event === 'close 1006').length === 3, 'the slow are closed');
    for (const { client } of pairs.filter((_, i) => i % 2 === 1)) expect(await client.text()).toBe('news');
    expect(route.app.numSubscribers('room')).toBe(3);
    for (const { client } of slow) client.destroy();
  });

  test('from inside a handler of a publish, with subscriptions changing, goes to who is subscribed', async () => {
    using route = recording({
      message: (ws, message) => {
        const word = closeText(message);
        if (word === 'join') ws.subscribe('room');
        if (word === 'leave') ws.unsubscribe('room');
        if (word === 'say') ws.publish('room', 'said');
        if (word === 'rejoin') {
          ws.unsubscribe('room');
          ws.publish('room', 'not there');
          ws.subscribe('room');
          ws.publish('room', 'back');
        }
      },
    });
    const [one, two] = await route.pairs(2);
    two!.ws.subscribe('room');
    one!.client.write(
      framesBytes(
        ['say', 'join', 'say', 'rejoin', 'leave', 'say'].map((word) => text(word)),
        SAMPLE_KEY,
      ),
    );
    // Before its first subscription a socket cannot publish.
    const said = (await two!.client.frames(4)).map(({ payload }) => payload.toString());
    expect(said).toEqual(['said', 'not there', 'back', 'said']);
  });
});

test('a dropped handler that sends is not called for that again', async () => {
  let drops = 0;
  let status = -1;
  using route = recording({
    dropped: (ws) => {
      drops++;
      status = ws.send('another one');
    },
  });
  const { ws, client } = await route.pair();
  client.pause();
  while (ws.getBufferedAmount() <= 1_000_000) ws.send('x'.repeat(500_000));
  expect(drops).toBe(0);
  expect(ws.send('x')).toBe(SendStatus.DROPPED);
  expect([drops, status, errors]).toEqual([1, SendStatus.DROPPED, []]);
  expect(ws.send('x')).toBe(SendStatus.DROPPED);
  expect(drops).toBe(2);
  client.destroy();
});

describe('handlers that go on later, of messages that came in one packet with the Close frame', () => {
  test('send what they have before the Close is answered, and before close is called', async () => {
    using route = recording({
      message: async (ws, message) => {
        await Promise.resolve();
        await new Promise<void>((resolve) => process.nextTick(resolve));
        events.push('later');
        ws.send(message);
      },
    });
    const { client } = await route.pair();
    client.write(framesBytes([text('a'), text('b'), close(1000)], SAMPLE_KEY));
    expect([await client.text(), await client.text()]).toEqual(['a', 'b']);
    expect(closeCodeOf(await client.frame())).toBe(1000);
    expect(events).toEqual(['message a', 'message b', 'later', 'later', 'close 1000']);
    expect(errors).toEqual([]);
    client.destroy();
  });

  test.each(ENDS)('may be one that %s', async (_name, end, code) => {
    using route = recording({
      message: async (ws) => {
        await Promise.resolve();
        end(ws);
      },
    });
    const { client } = await route.pair();
    client.write(framesBytes([text('a'), close(1000)], SAMPLE_KEY));
    await until(() => events.some((event) => event.startsWith('close')), 'close was called');
    client.end();
    await client.closed();
    expect(events).toEqual(['message a', `close ${code}`]);
  });
});

test('a write that fails closes its socket when the handler that wrote is done', async () => {
  const order: string[] = [];
  using route = new Route({
    close: (_ws, code) => {
      order.push(`close ${code}`);
    },
  });
  const { ws, client } = await route.pair();
  // The kernel knows at once; the event loop hears of it later.
  client.reset();
  for (let i = 0; i < 3; i++) {
    ws.send('x'.repeat(100_000));
    order.push('sent');
  }
  ws.cork(() => {
    ws.send('small');
    order.push('sent');
  });
  expect(ws.subscribe('all')).toBe(true);
  order.push('subscribed');
  await until(() => order.at(-1) === 'close 1006', 'it is closed');
  expect(order).toEqual(['sent', 'sent', 'sent', 'sent', 'subscribed', 'close 1006']);
  expect(route.app.numSubscribers('all')).toBe(0);
});
