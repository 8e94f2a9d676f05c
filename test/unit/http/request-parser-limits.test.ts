import { describe, expect, it } from 'vitest';
import {
  MAX_METHOD_SIZE,
  ParseStatus,
  RequestParser,
  type RequestParserOptions,
} from '../../../src/http/request-parser.ts';
import { feedByteByByte, feedSplitAt, feedWhole, latin1 } from './feed-head.ts';

const { INCOMPLETE, COMPLETE } = ParseStatus;
const LINE = 'GET / HTTP/1.1\r\nHost: a\r\n';

/** A valid head of exactly `size` bytes. */
function headOfSize(size: number): string {
  const frame = `${LINE}X: \r\n\r\n`;
  return frame.replace('X: ', `X: ${'v'.repeat(size - frame.length)}`);
}

function statusOf(text: string, options?: RequestParserOptions): number {
  const whole = feedWhole(text, options);
  expect(feedByteByByte(text, options)).toEqual(whole);
  for (let cut = 0; cut < text.length; cut += Math.ceil(text.length / 50)) {
    expect(feedSplitAt(text, cut, options)).toEqual(whole);
  }
  return whole.status;
}

describe('the size of a head', () => {
  it.each([undefined, 64, 100, 1023, 1024, 1025, 16_384])('is at most maxHeadSize: %s', (maxHeadSize) => {
    const options = maxHeadSize === undefined ? {} : { maxHeadSize };
    const limit = maxHeadSize ?? 4096;
    expect(statusOf(headOfSize(limit - 1), options)).toBe(COMPLETE);
    expect(statusOf(headOfSize(limit), options)).toBe(COMPLETE);
    expect(statusOf(headOfSize(limit + 1), options)).toBe(431);
    expect(statusOf(headOfSize(limit * 3), options)).toBe(431);
  });

  it('counts the head alone, not what follows it in the same chunk', () => {
    const outcome = feedWhole(headOfSize(64) + 'x'.repeat(10_000), { maxHeadSize: 64 });
    expect(outcome.status).toBe(COMPLETE);
    expect(outcome.head?.consumed).toBe(64);
  });

  it('counts the empty line before it', () => {
    expect(statusOf(`\r\n${headOfSize(62)}`, { maxHeadSize: 64 })).toBe(COMPLETE);
    expect(statusOf(`\r\n${headOfSize(63)}`, { maxHeadSize: 64 })).toBe(431);
  });

  it('is answered as soon as it cannot be kept any more', () => {
    const text = headOfSize(65);
    expect(statusOf(text.slice(0, 63), { maxHeadSize: 64 })).toBe(INCOMPLETE);
    expect(statusOf(text.slice(0, 64), { maxHeadSize: 64 })).toBe(431);
  });

  it.each([
    ['a name', `${LINE}${'n'.repeat(100)}`],
    ['a value', `${LINE}n: ${'v'.repeat(100)}`],
    ['the space before a value', `${LINE}n:${' '.repeat(100)}`],
    ['the version', 'GET /1234567890 HTTP/1.1\r\n'],
  ])('is answered 431 when it is crossed in %s', (name, text) => {
    expect(statusOf(text, { maxHeadSize: name === 'the version' ? 20 : 64 })).toBe(431);
  });

  it('has a bad byte beyond the limit answered as too long, as if it came alone', () => {
    expect(statusOf(`${LINE}n: ${'v'.repeat(100)}\0`, { maxHeadSize: 64 })).toBe(431);
    expect(statusOf(`GET /${'a'.repeat(100)}\0`, { maxHeadSize: 64 })).toBe(414);
  });
});

describe('the size of a target', () => {
  const withTarget = (size: number, filler = 'a') =>
    `GET /${filler.repeat(size - 1)} HTTP/1.1\r\nHost: a\r\n\r\n`;

  it('is answered 414 when the head crosses maxHeadSize within the target', () => {
    expect(statusOf(withTarget(5000))).toBe(414);
    expect(statusOf(withTarget(4096))).toBe(414);
    expect(statusOf(withTarget(60), { maxHeadSize: 64 })).toBe(414);
    expect(statusOf(withTarget(59), { maxHeadSize: 64 })).toBe(431);
  });

  it.each(['a', '?', '/', '\xff'])('is at most maxTargetSize, filled with %j', (filler) => {
    const options = { maxHeadSize: 16_384, maxTargetSize: 8192 };
    expect(statusOf(withTarget(8191, filler), options)).toBe(COMPLETE);
    expect(statusOf(withTarget(8192, filler), options)).toBe(COMPLETE);
    expect(statusOf(withTarget(8193, filler), options)).toBe(414);
    expect(statusOf(withTarget(12_000, filler), options)).toBe(414);
  });

  it('counts the whole absolute URL', () => {
    const text = 'GET http://a/bc HTTP/1.1\r\nHost: a\r\n\r\n';
    expect(statusOf(text, { maxTargetSize: 10 })).toBe(414);
    expect(statusOf(text, { maxTargetSize: 11 })).toBe(COMPLETE);
    expect(statusOf(text, { maxTargetSize: 12 })).toBe(COMPLETE);
  });

  it('has a bad byte beyond the limit answered as too long, and one at the limit as bad', () => {
    expect(statusOf('GET /aaaaaa\0', { maxTargetSize: 6 })).toBe(414);
    expect(statusOf('GET /aaaaa\0', { maxTargetSize: 6 })).toBe(400);
  });
});

describe('the number of header lines', () => {
  const withHeaders = (count: number) => `${LINE}${'X: y\r\n'.repeat(count - 1)}\r\n`;

  it.each([undefined, 1, 2, 31, 32, 33, 64])('is at most maxHeaders: %s', (maxHeaders) => {
    const options = { maxHeadSize: 8192, ...(maxHeaders === undefined ? {} : { maxHeaders }) };
    const limit = maxHeaders ?? 100;
    if (limit > 1) expect(statusOf(withHeaders(limit - 1), options)).toBe(COMPLETE);
    expect(statusOf(withHeaders(limit), options)).toBe(COMPLETE);
    expect(statusOf(withHeaders(limit + 1), options)).toBe(431);
  });

  it('holds for thousands of lines before a handshake, which are refused and do not hide the rest', () => {
    const text = `${LINE}${'J: k\r\n'.repeat(2000)}Upgrade: websocket\r\n\r\n`;
    expect(feedWhole(text, { maxHeadSize: 65_536 }).status).toBe(431);
    expect(feedWhole(text, { maxHeadSize: 65_536, maxHeaders: 2002 }).head?.headers.at(-1)).toEqual([
      'upgrade',
      'websocket',
    ]);
  });

  it('keeps every line apart when there are many', () => {
    const lines = Array.from({ length: 99 }, (_, i) => `name-${i}: value-${i}`);
    const outcome = feedByteByByte(`${LINE}${lines.join('\r\n')}\r\n\r\n`);
    expect(outcome.head?.headers.slice(1)).toEqual(lines.map((line) => line.split(': ')));
  });
});

describe('the size of a method', () => {
  const withMethod = (size: number) => `${'M'.repeat(size)} / HTTP/1.1\r\nHost: a\r\n\r\n`;

  it('is at most MAX_METHOD_SIZE', () => {
    expect(statusOf(withMethod(MAX_METHOD_SIZE - 1))).toBe(COMPLETE);
    expect(statusOf(withMethod(MAX_METHOD_SIZE))).toBe(COMPLETE);
    expect(statusOf(withMethod(MAX_METHOD_SIZE + 1))).toBe(400);
    expect(statusOf(withMethod(10_000))).toBe(400);
  });
});

describe('a head in pieces', () => {
  it('counts its own bytes alone when the parser is used again', () => {
    const parser = new RequestParser({ maxHeadSize: 64 });
    const text = latin1(headOfSize(64));
    for (let i = 0; i < 5; i++) {
      expect(parser.feed(text, 0, 60)).toBe(INCOMPLETE);
      if (i % 2 === 0) expect(parser.feed(text, 60, 64)).toBe(COMPLETE);
      parser.reset();
    }
  });

  it('is looked at once: a megabyte, byte by byte, ends', () => {
    const parser = new RequestParser({ maxHeadSize: 2 ** 21, latin1: { latin1: () => '' } });
    const text = latin1(headOfSize(2 ** 20));
    for (let i = 0; i < text.length - 1; i++) {
      if (parser.feed(text, i, i + 1) !== INCOMPLETE)
        throw new Error(`verdict at byte ${i}: ${parser.reason}`);
    }
    expect(parser.feed(text, text.length - 1, text.length)).toBe(COMPLETE);
    expect(parser.head.headEnd - parser.head.headStart).toBe(text.length);
  });

  it('may come with empty pieces between', () => {
    const parser = new RequestParser();
    const text = latin1(headOfSize(64));
    expect(parser.feed(text, 0, 0)).toBe(INCOMPLETE);
    expect(parser.pending).toBe(false);
    expect(parser.feed(text, 0, 20)).toBe(INCOMPLETE);
    expect(parser.feed(text, 20, 20)).toBe(INCOMPLETE);
    expect(parser.feed(text, 20, 64)).toBe(COMPLETE);
    expect(parser.consumed).toBe(64);
  });
});
