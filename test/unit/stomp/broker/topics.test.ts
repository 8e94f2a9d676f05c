import { afterEach, describe, expect, it, test } from 'vitest';
import { latin1Port, textPort } from '../../../../src/net/native-ports.ts';
import { encodePayload, messageOf } from '../../../../src/stomp/broker/message-payload.ts';
import { segmentsOf } from '../../../../src/stomp/broker/patterns.ts';
import { Random } from '../../../support/protocol/chunked.ts';
import { FanoutClient, FanoutThread, FanoutThreads, settled } from './fanout-threads.ts';
import { matches } from './reference-patterns.ts';

let threads: FanoutThreads;
afterEach(() => {
  threads.stop();
});

function start(count: number, limits: Partial<FanoutThread['limits']> = {}, capacity?: number) {
  threads = new FanoutThreads(count, limits, capacity);
  return threads.all as [FanoutThread, FanoutThread, FanoutThread];
}

describe.each([
  ['its own thread', 0],
  ['another thread', 1],
])('a subscriber of a topic on %s', (_, at) => {
  it('gets what is sent from its subscription on, with the headers of the sender', async () => {
    const all = start(2);
    const [client, sender] = [new FanoutClient(all[0]), new FanoutClient(all[at]!)];
    sender.send('/topic/a', 'too early');
    client.subscribe('/topic/a', { id: 'one' });
    sender.send('/topic/a', 'hello', [
      ['content-type', 'text/plain'],
      ['colour', 'red'],
      ['colour', 'blue'],
      ['empty', ''],
      ['  spaced ', ' x '],
      ['receipt', 'r'],
      ['transaction', 't'],
      ['message-id', 'mine'],
      ['subscription', 'other'],
      ['ack', 'mine'],
      ['content-length', '5'],
    ]);
    await settled();
    const [got] = client.got;
    expect(got).toEqual({
      headers: {
        subscription: 'one',
        destination: '/topic/a',
        'message-id': expect.stringMatching(/^[0-9a-f]{12}-\d+$/) as string,
        'content-type': 'text/plain',
        colour: 'red',
        empty: '',
        '  spaced ': ' x ',
        'content-length': '5',
      },
      body: 'hello',
      isBinary: false,
    });
    expect(client.got).toHaveLength(1);
  });

  it('gets all in the order of the sender, of any length, on sockets and without', async () => {
    const all = start(2, {}, 4096);
    const clients = [
      new FanoutClient(all[0]),
      new FanoutClient(all[0], { isTcp: true }),
      new FanoutClient(all[0], { version: '1.0' }),
    ];
    for (const client of clients) client.subscribe('/topic/a');
    clients.push(new FanoutClient(all[0]));
    clients[3]!.subscribe('/topic/a', { ack: 'client-individual' });
    const sender = new FanoutClient(all[at]!);
    const sent: string[] = [];
    for (let i = 0; i < 60; i++) {
      sent.push(`${i}:${'x'.repeat(i % 10 === 9 ? 30_000 : i)}`);
      sender.send('/topic/a', sent.at(-1)!);
    }
    for (const client of clients) {
      while (client.got.length < 60) await settled();
      expect(client.bodies).toEqual(sent);
    }
  });

  it('gets headers that need escapes in those of its version, and nothing else is made of them', async () => {
    const all = start(2);
    const versions = ['1.0', '1.1', '1.2'] as const;
    const clients = versions.map((version) => new FanoutClient(all[0], { version }));
    for (const client of clients) client.subscribe('/topic/a:b\nc\\d', { id: 'i:\n' });
    const sender = new FanoutClient(all[at]!);
    const evil = 'x\r\nevil:1\n\nbody\0MESSAGE';
    sender.send('/topic/a:b\nc\\d', 'body', [
      ['name:\n', evil],
      ['reply-to', evil],
    ]);
    await settled();
    const [v10, v11, v12] = clients.map(({ got }) => got);
    for (const got of [v10, v11, v12]) {
      expect(got).toHaveLength(1);
      expect(got![0]!.body).toBe('body');
      expect(got![0]!.headers['evil']).toBe(undefined);
    }
    expect(v12![0]!.headers).toMatchObject({
      subscription: 'i:\n',
      destination: '/topic/a:b\nc\\d',
      'name:\n': 'x\r\nevil:1\n\nbody MESSAGE',
    });
    expect(v11![0]!.headers).toMatchObject({ 'name:\n': 'x \nevil:1\n\nbody MESSAGE' });
    expect(v10![0]!.headers['destination']).toBe('/topic/a:b c\\d');
  });

  it('gets text where the frame is UTF-8, and binary where it is not or is preferred', async () => {
    const all = start(2);
    const [text, binary] = [new FanoutClient(all[0]), new FanoutClient(all[0], { prefersBinary: true })];
    for (const client of [text, binary]) client.subscribe('/topic/a');
    const sender = new FanoutClient(all[at]!);
    sender.send('/topic/a', 'é\0é');
    sender.send('/topic/a', Uint8Array.of(0xff, 0, 0xfe));
    await settled();
    expect(text.got.map(({ isBinary }) => isBinary)).toEqual([false, true]);
    expect(binary.got.map(({ isBinary }) => isBinary)).toEqual([true, true]);
    expect(text.bodies[0]).toBe('é\0é');
  });

  it('that unsubscribes and subscribes again at once misses nothing and gets nothing twice', async () => {
    const all = start(2);
    const [client, sender] = [new FanoutClient(all[0]), new FanoutClient(all[at]!)];
    let subscription = client.subscribe('/topic/a');
    const sent: string[] = [];
    for (let i = 0; i < 50; i++) {
      sent.push(`${i}`);
      sender.send('/topic/a', `${i}`);
      // What its thread has not read yet comes to the new one.
      client.unsubscribe(subscription);
      subscription = client.subscribe('/topic/a');
      if (i % 7 === 0) await settled();
    }
    await settled();
    expect(client.bodies).toEqual(sent);
    expect(new Set(client.got.map(({ headers }) => headers['message-id'])).size).toBe(50);
  });

  it('gets nothing after UNSUBSCRIBE, and what was delivered before it comes before', async () => {
    const all = start(2);
    const [client, other] = [new FanoutClient(all[0]), new FanoutClient(all[0])];
    const sender = new FanoutClient(all[at]!);
    const subscription = client.subscribe('/topic/a');
    other.subscribe('/topic/a');
    sender.send('/topic/a', '1');
    if (at === 1) await settled();
    client.unsubscribe(subscription);
    expect(client.bodies).toEqual(['1']);
    sender.send('/topic/a', '2');
    await settled();
    expect([client.bodies, other.bodies]).toEqual([['1'], ['1', '2']]);
  });

  it('gets a message once for each of its subscriptions that match', async () => {
    const all = start(2);
    const [client, sender] = [new FanoutClient(all[0]), new FanoutClient(all[at]!)];
    client.subscribe('/topic/a.b', { id: 'exact' });
    client.subscribe('/topic/a.*', { id: 'one' });
    client.subscribe('/topic/#', { id: 'all' });
    client.subscribe('/topic/*', { id: 'not' });
    const second = client.subscribe('/topic/a.b', { id: 'exact again' });
    sender.send('/topic/a.b', 'hello');
    await settled();
    const ids = () => client.got.map(({ headers }) => headers['subscription']).toSorted();
    expect(ids()).toEqual(['all', 'exact', 'exact again', 'one']);
    expect(new Set(client.got.map(({ headers }) => headers['message-id'])).size).toBe(1);
    expect(client.got.every(({ headers }) => headers['destination'] === '/topic/a.b')).toBe(true);
    client.unsubscribe(second);
    sender.send('/topic/a/b', 'slash');
    await settled();
    expect(
      client.got
        .slice(4)
        .map(({ headers }) => headers['subscription'])
        .toSorted(),
    ).toEqual(['all', 'one']);
  });

  it('of one virtual host gets nothing of another', async () => {
    const all = start(2);
    const clients = ['a', 'b'].map((host) => new FanoutClient(all[0], { host }));
    for (const client of clients) {
      client.subscribe('/topic/x');
      client.subscribe('/topic/#');
    }
    new FanoutClient(all[at]!, { host: 'a' }).send('/topic/x', 'for a');
    await settled();
    expect(clients.map(({ bodies }) => bodies)).toEqual([['for a', 'for a'], []]);
  });
});

describe('subscribers of the same topic, version and id', () => {
  it('are sent the very same bytes, in one write each', async () => {
    const [thread] = start(1);
    const clients = Array.from({ length: 5 }, () => new FanoutClient(thread));
    const other = new FanoutClient(thread);
    for (const client of clients) client.subscribe('/topic/a');
    other.subscribe('/topic/a', { id: 'x' });
    const sender = new FanoutClient(thread);
    for (let i = 0; i < 10; i++) sender.send('/topic/a', `${i}`);
    await settled();
    for (const client of [...clients, other]) {
      expect(client.bodies).toHaveLength(10);
      expect(client.subscriber!.writes).toBe(1);
      expect(client.subscriber!.memories[0]).toBe(clients[0]!.subscriber!.memories[0]);
    }
  });

  it('without an id have the same frames too, and no header for it', async () => {
    const [thread] = start(1);
    const client = new FanoutClient(thread, { version: '1.0' });
    client.subscribe('/topic/a', { id: undefined });
    client.send('/topic/a', 'x');
    await settled();
    expect(client.got[0]!.headers['subscription']).toBe(undefined);
    expect(client.bodies).toEqual(['x']);
  });
});

describe('a subscription that is acknowledged', () => {
  test.each(['client', 'client-individual'] as const)(
    '%s gets as many as its window, and the rest when there is room',
    async (ack) => {
      const [thread, elsewhere] = start(2);
      const client = new FanoutClient(thread);
      client.subscribe('/topic/a', { ack, window: 2 });
      const sender = new FanoutClient(elsewhere);
      for (let i = 0; i < 5; i++) sender.send('/topic/a', `${i}`);
      await settled();
      expect(client.bodies).toEqual(['0', '1']);
      client.ack(client.got[1]!.headers['ack']!);
      await settled();
      expect(client.bodies).toEqual(ack === 'client' ? ['0', '1', '2', '3'] : ['0', '1', '2']);
      for (let i = 2; i < client.got.length; i++) {
        client.ack(client.got[i]!.headers['ack']!);
        await settled();
      }
      expect(client.bodies).toEqual(['0', '1', '2', '3', '4']);
      expect(new Set(client.got.map(({ headers }) => headers['ack'])).size).toBe(5);
    },
  );

  it('whose client does not acknowledge ends it, and costs nobody else anything', async () => {
    const [thread] = start(1, { maxTopicBacklog: 2000 });
    const [client, other] = [new FanoutClient(thread), new FanoutClient(thread)];
    for (const each of [client, other])
      each.subscribe('/topic/a', { ack: 'client', window: each === client ? 1 : 100 });
    for (let i = 0; i < 20; i++) other.send('/topic/a', `${i}`);
    await settled();
    expect(client.errors).toEqual(['too many messages of a topic wait for acknowledgements']);
    expect(other.bodies).toHaveLength(20);
    other.end();
    expect([thread.fanout.size, thread.subscriptions]).toEqual([0, 0]);
  });
});

describe('what is refused', () => {
  test.each([
    ['no name', '/topic/', 'a topic needs a name'],
    ['many segments', `/topic/${'a.'.repeat(64)}`, 'more than 64 segments'],
    ['a long name', `/topic/${'x'.repeat(20_000)}`, 'the destination is too long'],
    ['a long pattern', `/topic/${'x'.repeat(20_000)}.*`, 'the destination is too long'],
  ])('a topic with %s', (_, destination, message) => {
    const [thread] = start(2, {}, 4096);
    const client = new FanoutClient(thread);
    expect(() => client.subscribe(destination)).toThrow(message);
    expect(() => {
      client.send(destination, 'x');
    }).toThrow(message);
    client.end();
    expect([thread.fanout.size, thread.subscriptions]).toEqual([0, 0]);
  });

  it('a selector, which nobody evaluates', () => {
    const [thread] = start(1);
    const client = new FanoutClient(thread);
    expect(() =>
      client.subscribe('/topic/a', { selector: "T(java.lang.Runtime).getRuntime().exec('x')" }),
    ).toThrow('selectors are not supported');
    client.end();
    expect(thread.fanout.size).toBe(0);
  });

  it('patterns beyond the limit, and there is room again when others end', () => {
    const [thread] = start(1, { maxPatternSegments: 4 });
    const client = new FanoutClient(thread);
    client.subscribe('/topic/a.*');
    const second = client.subscribe('/topic/b.*');
    expect(() => client.subscribe('/topic/c.*')).toThrow('too many patterns');
    client.unsubscribe(second);
    client.subscribe('/topic/d.*');
    client.end();
    expect([thread.fanout.size, thread.subscriptions]).toEqual([0, 0]);
  });
});

it('nothing is written for a topic that nobody has subscribed to, and it counts', async () => {
  const [thread, other] = start(2);
  const client = new FanoutClient(thread);
  client.send('/topic/a', 'x');
  expect(thread.messages).toBe(1);
  new FanoutClient(other).subscribe('/topic/b');
  await settled();
  expect(thread.shard.participant.isWanted(['host\n/topic/a'])).toBe(false);
  expect(thread.shard.participant.isWanted(['host\n/topic/b'])).toBe(true);
});

it('works with one thread that is linked to none', async () => {
  start(1);
  const thread = new FanoutThread(null, 0);
  const client = new FanoutClient(thread);
  client.subscribe('/topic/a.#');
  client.send('/topic/a', 'x');
  await settled();
  expect(client.bodies).toEqual(['x']);
});

it('a publish of the user to the same name never meets subscribers, nor they it', async () => {
  const [thread, other] = start(2);
  const client = new FanoutClient(thread);
  client.subscribe('/topic/a');
  for (const { shard } of [thread, other]) {
    for (const name of ['/topic/a', 'host\n/topic/a', '']) shard.publish(name, 'not STOMP', false, null);
  }
  await settled();
  expect(client.got).toEqual([]);
});

it('subscribers of names and patterns on three threads get what the slow way says, and leave nothing behind', async () => {
  const all = start(3);
  const random = new Random(9);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const pieces = (list: readonly string[]): string =>
    `/topic/${Array.from({ length: 1 + random.below(3) }, () => pick(list)).join(pick(['.', '/']))}`;
  const clients = Array.from({ length: 9 }, (_, i) => new FanoutClient(all[i % 3]!, { isTcp: i > 6 }));
  const subscribed: {
    client: FanoutClient;
    subscription: ReturnType<FanoutClient['subscribe']>;
    expected: string[];
  }[] = [];
  let next = 0;
  for (let step = 0; step < 400; step++) {
    const client = pick(clients);
    if (random.below(3) === 0) {
      const destination = pieces(['a', 'b', '*', '#', '**']);
      const subscription = client.subscribe(destination, { id: `${next++}` });
      subscribed.push({ client, subscription, expected: [] });
    } else if (random.below(4) === 0 && subscribed.length > 0) {
      const [gone] = subscribed.splice(random.below(subscribed.length), 1);
      gone!.client.unsubscribe(gone!.subscription);
      const got = gone!.client.got.filter(({ headers }) => headers['subscription'] === gone!.subscription.id);
      expect(got.map(({ body }) => body)).toEqual(gone!.expected);
    } else {
      const name = pieces(['a', 'b', 'c']);
      client.send(name, `${step}`);
      for (const { subscription, expected } of subscribed) {
        const pattern = subscription.destination;
        const isPattern = /(^|[./])(\*\*?|#)($|[./])/.test(pattern.slice(7));
        const isMatch = isPattern ? matches(segmentsOf(pattern, 7), segmentsOf(name, 7)) : pattern === name;
        if (isMatch) expected.push(`${step}`);
      }
    }
    await settled();
  }
  for (const { client, subscription, expected } of subscribed) {
    const got = client.got.filter(({ headers }) => headers['subscription'] === subscription.id);
    expect(got.map(({ body }) => body)).toEqual(expected);
  }
  for (const client of clients) client.end();
  for (const thread of all) expect([thread.fanout.size, thread.subscriptions]).toEqual([0, 0]);
}, 30_000);

it('payloads are the same in both forms', () => {
  start(1);
  const text = { ...latin1Port, ...textPort };
  for (const value of ['plain', 'a:b\nc']) {
    const message = messageOf(text, encodePayload(text, ['name', value], Buffer.from('body')), '');
    const escaped = value === 'plain' ? 'plain' : 'a\\cb\\nc';
    expect(Buffer.from(message.tail('1.2')).toString()).toBe(`\ncontent-length:4\nname:${escaped}\n\nbody\0`);
  }
});
