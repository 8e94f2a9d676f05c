import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeadMemo } from '../../../src/http/head-memo.ts';
import { RequestHead } from '../../../src/http/request-head.ts';
import { ParseStatus, RequestParser } from '../../../src/http/request-parser.ts';
import { feedPiecesTo, feedWhole, latin1 } from './feed-head.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const HEADS = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /path?query HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: close\r\n\r\n',
  'GET /Path?query HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: close\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n',
  'PUT http://a/b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
  '\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n',
  'GET / HTTP/1.0\r\nHost: a\r\n\r\n',
  `GET /${'long/'.repeat(300)} HTTP/1.1\r\nHost: a\r\n\r\n`,
];

/** Lays a text into memory of its own, `offset` bytes from its start, and more bytes behind it. */
function laid(text: string, offset: number): Uint8Array {
  return latin1(`${'#'.repeat(offset)}${text}${'#'.repeat(3)}`);
}

function remember(memo: HeadMemo, text: string): boolean {
  const head = new RequestHead();
  head.lieIn(laid(text, 5), 5, text.length);
  return memo.keep(head);
}

function matches(memo: HeadMemo, text: string, offset = 0): number {
  return memo.match(laid(text, offset), offset, offset + text.length);
}

describe('the memo of a head', () => {
  const text = HEADS[1]!;

  it('knows nothing at first', () => {
    expect(matches(new HeadMemo(), text)).toBe(0);
    expect(new HeadMemo().head).toBeNull();
  });

  it('finds its head wherever it lies, and whatever follows it', () => {
    const memo = new HeadMemo();
    expect(remember(memo, text)).toBe(true);
    for (let offset = 0; offset < 9; offset++) expect(matches(memo, text, offset)).toBe(text.length);
    expect(matches(memo, `${text}GET /`)).toBe(text.length);
  });

  it('does not find a part of it, even when the rest lies behind the chunk', () => {
    const memo = new HeadMemo();
    remember(memo, text);
    const bytes = laid(text, 2);
    for (let end = 0; end < text.length; end++) expect(memo.match(bytes, 2, 2 + end)).toBe(0);
    expect(memo.match(bytes, 3, bytes.length)).toBe(0);
  });

  it.each([0, 1, 2, 3])('sees a single bit that differs, at any place, in a head %i bytes longer', (more) => {
    const memo = new HeadMemo();
    const longer = `GET /${'x'.repeat(more)}${text.slice(5)}`;
    remember(memo, longer);
    for (let offset = 0; offset < 4; offset++) {
      for (let i = 0; i < longer.length; i++) {
        const bytes = laid(longer, offset);
        bytes[offset + i]! ^= 1 << (i % 8);
        expect(memo.match(bytes, offset, offset + longer.length)).toBe(0);
      }
    }
  });

  it('sees bytes that changed in a buffer it has seen before', () => {
    const memo = new HeadMemo();
    remember(memo, text);
    const bytes = laid(text, 0);
    expect(memo.match(bytes, 0, text.length)).toBe(text.length);
    bytes[6]! ^= 0x20;
    expect(memo.match(bytes, 0, text.length)).toBe(0);
    bytes[6]! ^= 0x20;
    expect(memo.match(bytes, 0, text.length)).toBe(text.length);
  });

  it('has one head only, in a copy', () => {
    const memo = new HeadMemo();
    for (const text of [HEADS[1]!, HEADS[0]!, HEADS[3]!]) {
      const bytes = latin1(text);
      const head = new RequestHead();
      head.lieIn(bytes, 0, bytes.length);
      expect(memo.keep(head)).toBe(true);
      bytes.fill(0);
      expect(memo.head).toBe(head);
    }
    expect(HEADS.map((text) => matches(memo, text) > 0)).toEqual(HEADS.map((_, i) => i === 3));
  });

  it('does not remember what is longer than 1 KiB, and keeps what it has', () => {
    const memo = new HeadMemo();
    const longest = `${'x'.repeat(1020)}\r\n\r\n`;
    expect(remember(memo, `x${longest}`)).toBe(false);
    remember(memo, text);
    expect(remember(memo, `x${longest}`)).toBe(false);
    expect(matches(memo, text)).toBe(text.length);
    const another = new HeadMemo();
    expect(remember(another, longest)).toBe(true);
    expect(matches(another, longest)).toBe(1024);
  });

  it('keeps what comes every third time', () => {
    const memo = new HeadMemo();
    remember(memo, text);
    for (let i = 0; i < 9; i++) {
      expect(matches(memo, text)).toBe(text.length);
      expect(remember(memo, HEADS[0]!)).toBe(false);
      expect(remember(memo, HEADS[3]!)).toBe(false);
    }
  });

  it('turns to another head when its own comes no more', () => {
    const memo = new HeadMemo();
    remember(memo, text);
    expect(matches(memo, text)).toBe(text.length);
    expect([1, 2, 3].map(() => remember(memo, HEADS[0]!))).toEqual([false, false, true]);
    expect(matches(memo, HEADS[0]!)).toBe(HEADS[0]!.length);
  });

  it('seldom copies while all heads differ', () => {
    const memo = new HeadMemo();
    const kept = Array.from({ length: 66 }, (_, i) => remember(memo, `GET /${1000 + i} HTTP/1.1\r\n\r\n`));
    expect(kept.flatMap((isKept, i) => (isKept ? [i] : []))).toEqual([0, 1, 2, 3, 14, 30, 46, 62]);
  });
});

describe('a parser that remembers a head', () => {
  it('reads every sequence of heads as parsers do that have seen nothing before', () => {
    const cuts = fc.array(fc.nat(60), { maxLength: 2 });
    const step = fc.record({ text: fc.constantFrom(...HEADS), cuts, body: fc.constantFrom('', 'hello') });
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 12 }), (steps) => {
        const parser = new RequestParser();
        for (const { text, cuts: at, body } of steps) {
          const whole = text + body;
          const sorted = [0, ...at.sort((a, b) => a - b), whole.length];
          const pieces = sorted.slice(1).map((end, i) => whole.slice(sorted[i], end));
          expect(feedPiecesTo(parser, pieces)).toEqual(feedWhole(whole));
          parser.reset();
          expect([parser.head.size, parser.head.method, parser.consumed]).toEqual([0, '', 0]);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('reads pipelined heads that are the same', () => {
    const text = HEADS[1]!;
    const bytes = latin1(text.repeat(5));
    const parser = new RequestParser();
    for (let i = 0; i < 5; i++) {
      expect(parser.feed(bytes, i * text.length, bytes.length)).toBe(ParseStatus.COMPLETE);
      expect(parser.consumed).toBe((i + 1) * text.length);
      expect(parser.head.headStart).toBe(i * text.length);
      expect(parser.head.header('x-a')).toBe('1');
      expect(parser.feed(bytes, 0, bytes.length)).toBe(ParseStatus.COMPLETE);
      expect(parser.consumed).toBe(0);
      parser.reset();
    }
    expect(parser.pending).toBe(false);
  });

  it('lets go of the bytes when it is reset', () => {
    const parser = new RequestParser();
    const bytes = latin1(HEADS[0]!);
    for (let i = 0; i < 3; i++) {
      parser.feed(bytes, 0, bytes.length);
      const { head } = parser;
      expect(head.bytes).toBe(bytes);
      parser.reset();
      expect(head.bytes).toHaveLength(0);
    }
  });
});

it('keeps nothing alive of what it has compared, but for what was compared last of all', async () => {
  const head = HEADS[0]!;
  const parsers = Array.from({ length: 8 }, () => new RequestParser());
  const chunks = parsers.map((parser) => {
    const chunk = laid(head, 0);
    for (let i = 0; i < 3; i++) {
      expect(parser.feed(chunk, 0, chunk.length)).toBe(ParseStatus.COMPLETE);
      parser.reset();
    }
    return new WeakRef(chunk);
  });
  // What a WeakRef was asked for lives until the turn is over.
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  expect(chunks.filter((chunk) => chunk.deref() !== undefined).length).toBeLessThanOrEqual(1);
  expect(parsers).toHaveLength(8);
});
