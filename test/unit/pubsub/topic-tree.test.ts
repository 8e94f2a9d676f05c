import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Subscriber, type Topic, TopicTree } from '../../../src/pubsub/topic-tree.ts';

class Reader implements Subscriber {
  subscriptions: Set<Topic<Subscriber>> | null = null;
}

/** Names that are easily mistaken for each other, or for something of JavaScript. */
const NAMES = [
  '',
  'a',
  'A',
  'a/b',
  'a/#',
  'a/+',
  '#',
  '*',
  '__proto__',
  'constructor',
  '\ud83d\ude00',
  'é',
  'e\u0301',
];

type Step = readonly ['subscribe' | 'unsubscribe' | 'leave', reader: number, name: string];

describe('a topic tree', () => {
  test('says who is subscribed after any order of changes, as a Map of Sets does', () => {
    const step: fc.Arbitrary<Step> = fc.tuple(
      fc.constantFrom('subscribe', 'subscribe', 'unsubscribe', 'leave'),
      fc.nat(5),
      fc.constantFrom(...NAMES),
    );
    const property = fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const tree = new TopicTree<Reader>();
      const readers = Array.from({ length: 6 }, () => new Reader());
      const model = new Map<string, Set<number>>();
      const order = readers.map((): string[] => []);
      const forget = (number: number, name: string): boolean => {
        const was = model.get(name)?.delete(number) ?? false;
        if (model.get(name)?.size === 0) model.delete(name);
        order[number] = order[number]!.filter((other) => other !== name);
        return was;
      };
      for (const [kind, number, name] of steps) {
        const reader = readers[number]!;
        if (kind === 'subscribe') {
          const isNew = model.get(name)?.has(number) !== true;
          model.set(name, (model.get(name) ?? new Set()).add(number));
          if (isNew) order[number]!.push(name);
          expect(tree.subscribe(reader, name)?.subscribers.size).toBe(
            isNew ? model.get(name)!.size : undefined,
          );
        } else if (kind === 'unsubscribe') {
          const was = forget(number, name);
          const left = tree.unsubscribe(reader, name)?.subscribers.size;
          expect(left).toBe(was ? (model.get(name)?.size ?? 0) : undefined);
        } else {
          for (const own of tree.topicsOf(reader)) expect(tree.unsubscribe(reader, own)?.name).toBe(own);
          for (const own of order[number]!) forget(number, own);
          expect(reader.subscriptions).toBeNull();
        }
      }
      expect(tree.size).toBe(model.size);
      for (const name of NAMES) {
        const topic = tree.get(name);
        expect(
          topic === undefined ? [] : [...topic.subscribers].map((r) => readers.indexOf(r)).sort(),
        ).toEqual([...(model.get(name) ?? [])].sort());
        expect(tree.subscriberCount(name)).toBe(model.get(name)?.size ?? 0);
        readers.forEach((reader, number) => {
          expect(tree.isSubscribed(reader, name)).toBe(model.get(name)?.has(number) ?? false);
        });
      }
      readers.forEach((reader, number) => {
        expect(tree.topicsOf(reader)).toEqual(order[number]);
        expect(reader.subscriptions?.size ?? 0).toBe(order[number]!.length);
      });
    });
    fc.assert(property, { numRuns: 300 });
  });

  test('gives each new topic its hash, once', () => {
    const asked: string[] = [];
    const tree = new TopicTree<Reader>((name) => asked.push(name));
    const [a, b] = [new Reader(), new Reader()];
    expect(tree.subscribe(a, 'x')?.hash).toBe(1);
    expect(tree.subscribe(b, 'x')?.hash).toBe(1);
    expect(tree.subscribe(a, 'y')?.hash).toBe(2);
    expect(asked).toEqual(['x', 'y']);
    expect(new TopicTree<Reader>().subscribe(a, 'z')?.hash).toBe(0);
  });

  test('forgets a topic with its last subscriber, and begins it anew with the next', () => {
    const tree = new TopicTree<Reader>();
    const reader = new Reader();
    const first = tree.subscribe(reader, 'x')!;
    first.pending.push(7);
    expect(tree.unsubscribe(reader, 'x')).toBe(first);
    expect([tree.size, tree.get('x')]).toEqual([0, undefined]);
    const second = tree.subscribe(reader, 'x')!;
    expect(second).not.toBe(first);
    expect(second.pending).toEqual([]);
  });

  test('does not take one tree’s topic for the topic of another', () => {
    const [one, other] = [new TopicTree<Reader>(), new TopicTree<Reader>()];
    const reader = new Reader();
    one.subscribe(reader, 'x');
    expect(other.isSubscribed(reader, 'x')).toBe(false);
    expect(other.unsubscribe(reader, 'x')).toBeUndefined();
    expect(one.isSubscribed(reader, 'x')).toBe(true);
  });

  test('leaves 100,000 topics of one subscriber in linear time', () => {
    const tree = new TopicTree<Reader>();
    const reader = new Reader();
    const count = 100_000;
    for (let i = 0; i < count; i++) tree.subscribe(reader, `room/${i}`);
    expect([tree.size, reader.subscriptions!.size]).toEqual([count, count]);
    for (const name of tree.topicsOf(reader)) tree.unsubscribe(reader, name);
    expect([tree.size, reader.subscriptions]).toEqual([0, null]);
  });
});
