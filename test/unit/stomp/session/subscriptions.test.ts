import { describe, expect, it } from 'vitest';
import { AckMode, Subscription, Subscriptions } from '../../../../src/stomp/session/subscriptions.ts';

function subscribed(ack: AckMode, id: string | undefined = 'a') {
  const subscriptions = new Subscriptions<string>('s1', 3);
  const subscription = new Subscription<string>(id, '/queue/x', ack, 100);
  subscriptions.add(subscription);
  return { subscriptions, subscription };
}
const tokens = (list: readonly { token: string }[]): string[] => list.map(({ token }) => token);

describe('subscriptions', () => {
  it('are found by id, and those of 1.0 without one by destination', () => {
    const { subscriptions, subscription } = subscribed(AckMode.AUTO);
    const nameless = new Subscription<string>(undefined, 'a', AckMode.AUTO, 100);
    subscriptions.add(nameless);
    expect(subscriptions.find('a', undefined)).toBe(subscription);
    expect(subscriptions.find(undefined, 'a')).toBe(nameless);
    expect(subscriptions.find(undefined, '/queue/x')).toBeUndefined();
    expect([...subscriptions.all()]).toEqual([subscription, nameless]);
    expect(subscriptions.find('__proto__', undefined)).toBeUndefined();
  });

  it('refuse an id that is taken, and more than there may be', () => {
    const { subscriptions } = subscribed(AckMode.AUTO);
    const add = (id: string) => () => subscriptions.add(new Subscription(id, '/queue/y', AckMode.CLIENT, 1));
    expect(add('a')).toThrow('a subscription with this id is there already');
    add('b')();
    add('c')();
    expect(add('d')).toThrow('more than 3 subscriptions');
    expect(subscriptions.size).toBe(3);
  });

  it('can have an id again that has ended, with another ack mode', () => {
    const { subscriptions, subscription } = subscribed(AckMode.CLIENT);
    const old = subscriptions.deliver(subscription, 'old');
    expect(tokens(subscriptions.remove(subscription))).toEqual(['old']);
    const next = new Subscription<string>('a', '/queue/x', AckMode.CLIENT_INDIVIDUAL, 100);
    subscriptions.add(next);
    const delivered = subscriptions.deliver(next, 'new');
    expect(subscriptions.settle(old)).toEqual([]);
    expect(tokens(subscriptions.settle(delivered))).toEqual(['new']);
  });
});

describe('an acknowledgement', () => {
  it('of the mode client counts for all before it in its subscription, and no other', () => {
    const { subscriptions, subscription } = subscribed(AckMode.CLIENT);
    const other = new Subscription<string>('b', '/queue/y', AckMode.CLIENT, 100);
    subscriptions.add(other);
    const ids = ['1', '2', '3'].map((token) => subscriptions.deliver(subscription, token));
    subscriptions.deliver(other, 'other');
    const last = subscriptions.deliver(subscription, '4');
    expect(tokens(subscriptions.settle(ids[1]!))).toEqual(['1', '2']);
    expect(subscriptions.unacknowledged).toBe(3);
    expect(tokens(subscriptions.settle(last))).toEqual(['3', '4']);
    expect(tokens([...other.unacknowledged.values()])).toEqual(['other']);
  });

  it('of the mode client-individual counts for one', () => {
    const { subscriptions, subscription } = subscribed(AckMode.CLIENT_INDIVIDUAL);
    const ids = ['1', '2', '3'].map((token) => subscriptions.deliver(subscription, token));
    expect(tokens(subscriptions.settle(ids[1]!))).toEqual(['2']);
    expect(tokens([...subscription.unacknowledged.values()])).toEqual(['1', '3']);
  });

  it('may name its subscription, and no other', () => {
    const { subscriptions, subscription } = subscribed(AckMode.CLIENT);
    subscriptions.add(new Subscription('b', '/queue/y', AckMode.CLIENT, 100));
    const id = subscriptions.deliver(subscription, '1');
    subscriptions.check(id, 'a');
    subscriptions.check(id, undefined);
    expect(() => subscriptions.check(id, 'b')).toThrow('this subscription was sent no message of this id');
    expect(() => subscriptions.check('s1-2', 'a')).toThrow('this session was sent no message of this id');
    subscriptions.remove(subscription);
    // Nobody knows any more whose it was.
    subscriptions.check(id, 'b');
  });

  it('is ignored when it is settled already or its subscription has ended, and refused when it never was here', () => {
    const { subscriptions, subscription } = subscribed(AckMode.CLIENT_INDIVIDUAL);
    const [first, second] = ['1', '2'].map((token) => subscriptions.deliver(subscription, token));
    subscriptions.settle(first!);
    expect(subscriptions.settle(first!)).toEqual([]);
    subscriptions.remove(subscription);
    expect(subscriptions.settle(second!)).toEqual([]);
    for (const id of [
      's1-3',
      's1-0',
      's1-',
      's1--1',
      's1-1.0',
      's1-01x',
      's2-1',
      '1',
      '',
      `s1-${'9'.repeat(400)}`,
    ]) {
      expect(() => subscriptions.settle(id), id).toThrow('this session was sent no message of this id');
    }
  });
});
