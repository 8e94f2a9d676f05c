import { afterEach, describe, expect, it, test } from 'vitest';
import { FanoutClient, type FanoutThread, FanoutThreads, settled } from './fanout-threads.ts';

let threads: FanoutThreads;
afterEach(() => {
  threads.stop();
});

function start(count: number) {
  threads = new FanoutThreads(count);
  return threads.all as [FanoutThread, FanoutThread];
}

const BODY = Buffer.from('hello');

function expectNothingLeft(): void {
  for (const { fanout, subscriptions } of threads.all) expect([fanout.size, subscriptions]).toEqual([0, 0]);
}

describe('a destination of a user', () => {
  it('is that of all sessions of the user, on all threads, and of no other', async () => {
    const [a, b] = start(2);
    const ann = [a, b, b].map((thread) => new FanoutClient(thread, { user: 'ann' }));
    const others = [
      new FanoutClient(a, { user: 'bob' }),
      new FanoutClient(b, { user: 'ann', host: 'other' }),
      new FanoutClient(b),
    ];
    for (const client of [...ann, ...others]) client.subscribe('/user/queue/x', { id: 'mine' });
    a.users.sendToUser('host', 'ann', '/queue/x', ['content-type', 'text/plain', 'ack', 'no'], BODY);
    b.users.sendToUser('host', 'ann', '/queue/y', [], BODY);
    await settled();
    for (const client of ann) {
      expect(client.got).toHaveLength(1);
      expect(client.got[0]).toMatchObject({
        headers: { destination: '/user/queue/x', subscription: 'mine', 'content-type': 'text/plain' },
        body: 'hello',
      });
      expect(client.got[0]!.headers['ack']).toBe(undefined);
    }
    for (const client of others) expect(client.got).toEqual([]);
  });

  it('can be sent to by name', async () => {
    const [a, b] = start(2);
    const [ann, bob] = [new FanoutClient(a, { user: 'ann/ä@x' }), new FanoutClient(b, { user: 'bob' })];
    ann.subscribe('/user/queue/x');
    bob.send(`/user/${encodeURIComponent('ann/ä@x')}/queue/x`, 'from bob', [['from', 'bob']]);
    bob.send('/user/queue/x', 'to a user called queue');
    await settled();
    expect(ann.got).toMatchObject([
      { body: 'from bob', headers: { from: 'bob', destination: '/user/queue/x' } },
    ]);
    a.users.publish('host', '/user/ann%2F%C3%A4%40x/queue/x', ['a', 'b'], BODY);
    await settled();
    expect(ann.bodies).toEqual(['from bob', 'hello']);
  });

  it('of a session of nobody is its own, which a user of that name does not get', async () => {
    const [a, b] = start(2);
    const nobody = new FanoutClient(a);
    const thief = new FanoutClient(b, { user: nobody.id });
    for (const client of [nobody, thief]) client.subscribe('/user/queue/x');
    b.users.sendToSession(nobody, '/queue/x', [], BODY);
    await settled();
    expect([nobody.bodies, thief.bodies]).toEqual([['hello'], []]);
  });

  it('is never that of another whose name goes on where this one ends', async () => {
    const [a] = start(1);
    const names = ['a', 'a/queue', '1:a', 'a\n', '__proto__', ''];
    const clients = names.map((user) => new FanoutClient(a, { user }));
    for (const client of clients) {
      client.subscribe('/user/queue/x');
      client.subscribe('/user/x');
    }
    for (const user of names)
      a.users.sendToUser('host', user, '/queue/x', [], Buffer.from(`queue of ${user}`));
    await settled();
    expect(clients.map(({ bodies }) => bodies)).toEqual(names.map((user) => [`queue of ${user}`]));
  });

  test.each(['/user/', '/user/ann', '/user//queue/x', '/user/ann/', '/user/%E0%A4%A/x'])(
    'that is none, %s, is refused',
    (to) => {
      const [a] = start(1);
      const client = new FanoutClient(a, { user: 'ann' });
      expect(() => {
        client.send(to, 'x');
      }).toThrow(/user/);
      expect(() => {
        a.users.sendToUser('host', 'ann', 'queue', [], BODY);
      }).toThrow(/user/);
      expect(() => client.subscribe('/user/')).toThrow(/user/);
      client.end();
      expectNothingLeft();
    },
  );

  it('leaves nothing behind when its sessions have ended, many times over', async () => {
    const [a, b] = start(2);
    for (let i = 0; i < 200; i++) {
      const clients = [a, b].map((thread) => new FanoutClient(thread, { user: `user ${i}` }));
      for (const client of clients) client.subscribe('/user/queue/x');
      a.users.sendToUser('host', `user ${i}`, '/queue/x', [], BODY);
      if (i % 50 === 0) await settled();
      for (const client of clients) client.end();
    }
    await settled();
    expectNothingLeft();
    expect(a.shard.participant.isWanted(['host\n@6:user 1/queue/x'])).toBe(false);
  });

  it('waits for acknowledgements where they are wanted', async () => {
    const [a] = start(1);
    const ann = new FanoutClient(a, { user: 'ann' });
    ann.subscribe('/user/queue/x', { ack: 'client', window: 1 });
    for (let i = 0; i < 2; i++) a.users.sendToUser('host', 'ann', '/queue/x', [], Buffer.from(`${i}`));
    await settled();
    expect(ann.bodies).toEqual(['0']);
    ann.ack(ann.got[0]!.headers['ack']!);
    await settled();
    expect(ann.bodies).toEqual(['0', '1']);
  });
});
