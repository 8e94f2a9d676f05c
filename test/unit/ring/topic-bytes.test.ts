import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TopicReader, topicByteLength, writeTopic } from '../../../src/ring/topic-bytes.ts';

/** Any UTF-16, lone surrogates included. */
const anyString = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc
    .array(fc.constantFrom('a', 'é', '€', '😀', '\ud83d', '\ude00', '\ufeff', '\0'))
    .map((parts) => parts.join('')),
);

const LISTED = [
  '',
  'a',
  'room/1',
  'é',
  '€',
  '😀',
  '\ud83d',
  '\ude00\ud83d',
  '\ufeffbom',
  '__proto__',
  '#',
  '+/#',
  '\u07ff\u0800\uffff',
];

function checkBytes(topic: string): void {
  const expected = new TextEncoder().encode(topic);
  const bytes = new Uint8Array(expected.length + 4).fill(0xee);
  expect(topicByteLength(topic)).toBe(expected.length);
  expect(writeTopic(topic, bytes, 2)).toBe(expected.length + 2);
  expect(bytes.subarray(2, -2)).toEqual(expected);
  expect([bytes[0], bytes[1], bytes.at(-2), bytes.at(-1)]).toEqual([0xee, 0xee, 0xee, 0xee]);
}

describe('topic bytes', () => {
  test('are the UTF-8 of the topic', () => {
    for (const topic of LISTED) checkBytes(topic);
    fc.assert(fc.property(anyString, checkBytes), { numRuns: 2000 });
  });
});

describe('a topic reader', () => {
  test('gives back what was written, the first time and from its cache', () => {
    const topics = new TopicReader();
    const property = fc.property(anyString, fc.integer(), (text, hash) => {
      const topic = text.replace(/\p{Surrogate}/gu, '?');
      const bytes = new Uint8Array(new SharedArrayBuffer(topicByteLength(topic) + 3));
      writeTopic(topic, bytes, 3);
      for (let i = 0; i < 2; i++) expect(topics.read(bytes, 3, bytes.length - 3, hash)).toBe(topic);
    });
    fc.assert(property, { numRuns: 1000 });
  });

  test('tells topics of the same hash and length apart', () => {
    const topics = new TopicReader();
    const encoder = new TextEncoder();
    for (const topic of ['aa', 'ab', 'aa', 'a', 'abc', '', 'ab', 'x'.repeat(300), 'y'.repeat(300)]) {
      const bytes = encoder.encode(topic);
      expect(topics.read(bytes, 0, bytes.length, 7)).toBe(topic);
    }
  });

  test('does not keep the memory it read from', () => {
    const topics = new TopicReader();
    const bytes = new TextEncoder().encode('news');
    expect(topics.read(bytes, 0, 4, 1)).toBe('news');
    bytes.set(new TextEncoder().encode('olds'));
    expect(topics.read(bytes, 0, 4, 1)).toBe('olds');
  });
});
