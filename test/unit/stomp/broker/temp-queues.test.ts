import { afterEach, describe, expect, it } from 'vitest';
import { FanoutClient, type FanoutThread, FanoutThreads, settled } from './fanout-threads.ts';

let threads: FanoutThreads;
afterEach(() => {
  threads.stop();
});

function start(count: number) {
  threads = new FanoutThreads(count);
  return threads.all as [FanoutThread, FanoutThread];
}

describe('a temporary queue', () => {
  it('gets answers from any thread, under the name that its session gave', async () => {
    const [a, b] = start(2);
    const [asker, other] = [new FanoutClient(a), new FanoutClient(a)];
    const services = [new FanoutClient(a), new FanoutClient(b)];
    for (const service of services) service.subscribe('/topic/questions');
    asker.send('/topic/questions', '?', [
      ['reply-to', '/temp-queue/answers'],
      ['reply-to', '/temp-queue/second'],
      ['correlation-id', '7'],
    ]);
    other.send('/topic/questions', 'another', [['reply-to', '/temp-queue/answers']]);
    await settled();
    for (const [i, service] of services.entries()) {
      const [question] = service.got;
      expect(question!.headers['reply-to']).toMatch(/^\/reply-queue\/[0-9a-f]{32}\/answers$/);
      service.send(question!.headers['reply-to']!, `answer ${i}`, [
        ['correlation-id', question!.headers['correlation-id']!],
      ]);
    }
    await settled();
    expect(asker.bodies.toSorted()).toEqual(['answer 0', 'answer 1']);
    expect(asker.got[0]!.headers).toMatchObject({
      destination: '/temp-queue/answers',
      subscription: '/temp-queue/answers',
      'correlation-id': '7',
    });
    expect(other.got).toEqual([]);
    void a.temp.replies.publish(
      'host',
      services[0]!.got[1]!.headers['reply-to']!,
      ['x', 'y'],
      Buffer.from('by the application'),
    );
    await settled();
    expect(other.got).toMatchObject([{ body: 'by the application', headers: { x: 'y' } }]);
  });

  it('is opened once, and goes with its session, also for those who still know its address', async () => {
    const [a, b] = start(2);
    const [asker, service] = [new FanoutClient(a), new FanoutClient(b)];
    service.subscribe('/topic/q');
    for (let i = 0; i < 5; i++) asker.send('/topic/q', '?', [['reply-to', '/temp-queue/x']]);
    await settled();
    expect(new Set(service.got.map(({ headers }) => headers['reply-to'])).size).toBe(1);
    expect([a.temp.size, a.subscriptions]).toEqual([1, 1]);
    asker.end();
    expect([a.temp.size, a.subscriptions, a.fanout.size]).toEqual([0, 0, 0]);
    service.send(service.got[0]!.headers['reply-to']!, 'too late');
    await settled();
    expect(asker.got).toEqual([]);
    asker.end();
  });

  it('leaves other addresses as they are', async () => {
    const [a] = start(1);
    const client = new FanoutClient(a);
    client.subscribe('/topic/q');
    client.send('/topic/q', '1', [['reply-to', '/queue/answers']]);
    client.send('/topic/q', '2');
    await settled();
    expect(client.got.map(({ headers }) => headers['reply-to'])).toEqual(['/queue/answers', undefined]);
    expect(a.temp.size).toBe(0);
  });

  it('cannot be sent to, subscribed to or guessed', () => {
    const [a] = start(1);
    const client = new FanoutClient(a);
    const refused = [
      () => client.subscribe('/temp-queue/x'),
      () => {
        client.send('/temp-queue/x', 'x');
      },
      () => client.subscribe('/reply-queue/x/y'),
      () => {
        a.temp.publish();
      },
    ];
    for (const attempt of refused) expect(attempt).toThrow('temporary queues are opened by reply-to');
    expect(() => {
      client.send('/reply-queue/x', 'x');
    }).toThrow('no such destination');
    expect(() => {
      client.send('/topic/q', 'x', [['reply-to', '/temp-queue/']]);
    }).toThrow('needs a name');
    client.end();
    expect([a.fanout.size, a.subscriptions, a.temp.size]).toEqual([0, 0, 0]);
  });

  it('is refused beyond the limit', () => {
    const [a] = start(1);
    const client = new FanoutClient(a);
    for (const name of ['1', '2', '3', '3', '1'])
      client.send('/topic/q', 'x', [['reply-to', `/temp-queue/${name}`]]);
    expect(() => {
      client.send('/topic/q', 'x', [['reply-to', '/temp-queue/4']]);
    }).toThrow('more than 3 temporary queues');
    client.end();
    expect(a.subscriptions).toBe(0);
  });
});
