import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodyDecoder, type BodyLimits, BodyStatus } from '../../../src/http/body-decoder.ts';
import { type BodyOutcome, type Framing, feedBody, feedBodyTo } from './feed-body.ts';
import { latin1 } from './feed-head.ts';
import { FORBIDDEN_TRAILERS, referenceBody } from './reference-body.ts';

const { INCOMPLETE, COMPLETE } = BodyStatus;

/** The outcome, which is the same at every split and byte by byte. */
function read(framing: Framing, text: string, limits?: BodyLimits): BodyOutcome {
  const whole = feedBody(framing, [text], limits);
  expect(feedBody(framing, text.split(''), limits)).toEqual(whole);
  const step = Math.ceil(text.length / 300);
  for (let cut = 0; cut < text.length; cut += Math.max(1, step)) {
    expect(feedBody(framing, [text.slice(0, cut), text.slice(cut)], limits)).toEqual(whole);
  }
  return whole;
}

const chunk = (data: string, extension = '') =>
  `${data.length.toString(16)}${extension}\r\n${data}${data === '' ? '' : '\r\n'}`;

describe('a body with a Content-Length', () => {
  it('is the bytes announced, and what follows is left', () => {
    expect(read(5, 'helloGET / HTTP/1.1\r\n')).toEqual({
      status: COMPLETE,
      reason: '',
      data: 'hello',
      consumed: 5,
      remaining: 0,
    });
  });

  it('is incomplete until the last byte came', () => {
    expect(read(5, 'hell')).toMatchObject({ data: 'hell', consumed: 4, remaining: 1 });
    expect(read(2 ** 53 - 1, 'x')).toMatchObject({ data: 'x', remaining: 2 ** 53 - 2 });
  });

  it('of no bytes is complete at once', () => {
    const decoder = new BodyDecoder();
    for (const length of [0, -1]) {
      expect(decoder.start(length, false)).toBe(0);
      expect(decoder.isComplete).toBe(true);
      expect(decoder.remaining).toBe(0);
      expect(decoder.feed(latin1('GET'), 0, 3)).toBe(COMPLETE);
      expect([decoder.dataStart, decoder.dataEnd, decoder.consumed]).toEqual([0, 0, 0]);
    }
  });

  it('over the limit is refused before a byte of it is read', () => {
    const decoder = new BodyDecoder({ maxBodySize: 10 });
    expect(decoder.start(10, false)).toBe(0);
    expect(decoder.start(11, false)).toBe(413);
    expect(decoder.feed(latin1('x'), 0, 1)).toBe(413);
    expect(decoder.received).toBe(0);
    expect(decoder.reason).toBe('the body is too long');
  });

  it('gives the slices where they lie', () => {
    const decoder = new BodyDecoder();
    decoder.start(6, false);
    const bytes = latin1('..abc..');
    expect(decoder.feed(bytes, 2, 5)).toBe(BodyStatus.DATA);
    expect([decoder.dataStart, decoder.dataEnd, decoder.consumed, decoder.remaining]).toEqual([2, 5, 5, 3]);
    expect(decoder.feed(bytes, 3, 3)).toBe(INCOMPLETE);
    expect(decoder.feed(bytes, 1, 7)).toBe(COMPLETE);
    expect([decoder.dataStart, decoder.dataEnd, decoder.consumed, decoder.remaining]).toEqual([1, 4, 4, 0]);
  });
});

describe('a chunked body', () => {
  it.each([
    ['0\r\n\r\n', ''],
    ['c\r\nHellO world1\r\n0\r\n\r\n', 'HellO world1'],
    ['C\r\nHellO world1\r\n000\r\n\r\n', 'HellO world1'],
    ['1\r\na\r\n02\r\nbc\r\n0\r\n\r\n', 'abc'],
    [`${'0'.repeat(63)}1\r\na\r\n0\r\n\r\n`, 'a'],
    ['1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n', 'abcdefghijklmnopqrstuvwxyz'],
    ['4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n'],
    ['5;a\r\nhello\r\n0;b=c\r\n\r\n', 'hello'],
    ['5;a="b;c\\""\r\nhello\r\n0\r\n\r\n', 'hello'],
    ['5;a="\x80 \t";b;c=d\r\nhello\r\n0\r\n\r\n', 'hello'],
    ['0\r\nX: y\r\n\r\n', ''],
    ['0\r\nX-A:\r\n__proto__: \t\xff y \r\nContent-Lengt: 1\r\nContent-Lengths: 1\r\n\r\n', ''],
  ])('%j is %j', (text, data) => {
    const outcome = { status: COMPLETE, reason: '', data, consumed: text.length, remaining: 0 };
    expect(read('chunked', text)).toEqual(outcome);
    expect(read('chunked', `${text}GET / HTTP/1.1\r\n`)).toEqual(outcome);
    expect(referenceBody(text)).toEqual({ data, consumed: text.length });
  });

  const SIZES =
    'g|0x5|+5|-1|5 | 5|5\t|5_0||FFFFFFFFFFFFFFFFF|20000000000000|5h|10000000000000000|5,5|5.0|5\0|\xb5|5\x0b|/|:|@|G|`';
  const ENDS = '5\n|5\r|5\rX|\n|\r\n5|5;a\n|5;a\rX|5;a\r\r|5;a\0';
  const EXTENSIONS =
    '5;|5;;a|5;a;|5;=b|5;a=|5;a="b|5;a="b\\"|5;a="b"c|5; a|5 ;a|5;a =b|5;a=b c|5;a="\n"|5;a="\\\n"|5;a="\x7f"|5;\xe9|5;a=\xe9';
  const AFTER_LAST =
    'XX\r\n|\n|\rX|\r\r\n|X\r\n\r\n|X : y\r\n\r\n|: y\r\n\r\n| X: y\r\n\r\n|X: y\n\r\n|X: y\r\n z\r\n\r\n|X: \0\r\n\r\n|X: a\rb\r\n\r\n|X\t: y\r\n\r\n|\xe9: y\r\n\r\n';

  it.each(`${SIZES}|${ENDS}|${EXTENSIONS}`.split('|'))('is refused when its size line is %j', (line) => {
    const text = `${line}\r\nhello\r\n0\r\n\r\n`;
    expect(read('chunked', text)).toMatchObject({ status: 400, data: '' });
    expect(read('chunked', `1\r\na\r\n${text}`)).toMatchObject({ status: 400, data: 'a' });
    expect(referenceBody(text)).toBe('bad');
  });

  it.each([
    'helloXX0\r\n\r\n',
    'hello\rX0\r\n\r\n',
    'helloX\n0\r\n\r\n',
    'hello\n0\r\n\r\n',
    'hello!\r\n0\r\n\r\n',
  ])('is refused when the data of five bytes goes on with %j', (rest) => {
    expect(read('chunked', `5\r\n${rest}`)).toMatchObject({ status: 400, data: 'hello' });
  });

  const forbidden = FORBIDDEN_TRAILERS.flatMap((name) => [
    `${name}: 5\r\n\r\n`,
    `A: b\r\n${name.toUpperCase()}:5\r\n\r\n`,
  ]);
  it.each([...AFTER_LAST.split('|'), ...forbidden])(
    'is refused when the last chunk is followed by %j',
    (rest) => {
      expect(read('chunked', `0\r\n${rest}`)).toMatchObject({ status: 400, data: '' });
    },
  );

  it('takes in nothing behind its fault', () => {
    const decoder = new BodyDecoder();
    decoder.start(-1, true);
    expect(decoder.feed(latin1('5\r\nhelloXX'), 0, 10)).toBe(BodyStatus.DATA);
    expect(decoder.feed(latin1('5\r\nhelloXX'), 8, 10)).toBe(400);
    expect(decoder.consumed).toBe(8);
    expect(decoder.feed(latin1('\r\n0\r\n\r\n'), 0, 7)).toBe(400);
    expect([decoder.consumed, decoder.isComplete, decoder.reason]).toEqual([
      0,
      false,
      'the data of a chunk is longer than its size',
    ]);
  });

  it('says that what remains is not known', () => {
    expect(read('chunked', '5\r\nhel')).toEqual({
      status: INCOMPLETE,
      reason: '',
      data: 'hel',
      consumed: 6,
      remaining: -1,
    });
  });
});

describe('a limit of a chunked body', () => {
  it('is 64 bytes for a size line', () => {
    const line = (size: number) => `1;${'a'.repeat(size - 2)}\r\na\r\n0\r\n\r\n`;
    expect(read('chunked', line(63)).status).toBe(COMPLETE);
    expect(read('chunked', line(64)).status).toBe(COMPLETE);
    expect(read('chunked', line(65))).toMatchObject({
      status: 400,
      reason: 'the line of a chunk size is too long',
    });
    expect(read('chunked', `${'0'.repeat(64)}1\r\na`).status).toBe(400);
    expect(read('chunked', line(70), { maxChunkLineSize: 70 }).status).toBe(COMPLETE);
  });

  it('is 1024 bytes for the extensions of a body', () => {
    const body = (bytes: number) =>
      `${chunk('a', `;${'e'.repeat(31)}`).repeat(31)}${chunk('a', `;${'e'.repeat(31 - 1024 + bytes)}`)}0\r\n\r\n`;
    expect(read('chunked', body(1023)).status).toBe(COMPLETE);
    expect(read('chunked', body(1024)).status).toBe(COMPLETE);
    expect(read('chunked', body(1025))).toMatchObject({
      status: 400,
      data: 'a'.repeat(31),
      reason: 'the chunk extensions are too long',
    });
    expect(read('chunked', body(1024), { maxExtensionsSize: 1000 }).status).toBe(400);
  });

  it('stands for each body anew', () => {
    const decoder = new BodyDecoder();
    const body = [`${chunk('a', `;${'e'.repeat(59)}`).repeat(17)}0\r\nX: ${'t'.repeat(4090)}\r\n\r\n`];
    for (let i = 0; i < 3; i++) {
      expect(feedBodyTo(decoder, 'chunked', body)).toMatchObject({ status: COMPLETE, data: 'a'.repeat(17) });
    }
  });

  it('is maxBodySize for the data, and a chunk over it is refused before its data is read', () => {
    const limits = { maxBodySize: 10 };
    expect(read('chunked', `${chunk('12345')}${chunk('67890')}0\r\n\r\n`, limits).status).toBe(COMPLETE);
    expect(read('chunked', `${chunk('12345')}${chunk('678901')}0\r\n\r\n`, limits)).toMatchObject({
      status: 413,
      data: '12345',
      reason: 'the body is too long',
    });
    expect(read('chunked', '1fffffffffffff\r\nx', limits).status).toBe(413);
    expect(read('chunked', '1fffffffffffff\r\nx')).toMatchObject({ status: INCOMPLETE, data: 'x' });
    expect(read('chunked', '20000000000000\r\nx').status).toBe(400);
    expect(read('chunked', '1fffffffffffff\r\n', { maxBodySize: 0 }).status).toBe(413);
  });

  it('is 4096 bytes for the trailers', () => {
    const body = (size: number) => `0\r\nX:${'y'.repeat(size - 2)}\r\n\r\n`;
    expect(read('chunked', body(4096)).status).toBe(COMPLETE);
    expect(read('chunked', body(4097))).toMatchObject({ status: 431, reason: 'the trailers are too long' });
    expect(read('chunked', `0\r\n${'x'.repeat(4097)}`).status).toBe(431);
    expect(read('chunked', `0\r\n${'X:y\r\n'.repeat(10_000)}\r\n`).status).toBe(431);
    expect(read('chunked', body(10), { maxTrailersSize: 9 }).status).toBe(431);
  });
});

describe('random chunked bodies', () => {
  const data = fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', ';', '\xff'), maxLength: 40 });
  const extension = fc.constantFrom('', '', ';a', ';a=b', ';a="b;\\"c"', ';a;b');
  const body = fc
    .record({
      chunks: fc.array(fc.tuple(data, extension), { maxLength: 5 }),
      trailer: fc.constantFrom('', '', 'X: y\r\n', 'A:\r\nB: c\r\n'),
      zeros: fc.constantFrom('0', '00'),
      rest: fc.constantFrom('', 'GET / HTTP/1.1\r\n', '0\r\n\r\n'),
    })
    .map(({ chunks, trailer, zeros, rest }) => {
      const parts = chunks.filter(([text]) => text !== '').map(([text, ext]) => chunk(text, ext));
      return `${parts.join('')}${zeros}\r\n${trailer}\r\n${rest}`;
    });
  const cuts = fc.array(fc.nat(300), { maxLength: 8 });

  const piecesOf = (whole: string, at: readonly number[]) => {
    const sorted = [0, ...at.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
    return sorted.slice(1).map((end, i) => whole.slice(sorted[i], end));
  };

  it('are read as the reference reads them, however they are cut', () => {
    fc.assert(
      fc.property(body, cuts, (whole, at) => {
        const expected = referenceBody(whole);
        if (typeof expected === 'string') throw new Error(`the reference says ${expected}`);
        const outcome = { status: COMPLETE, reason: '', remaining: 0, ...expected };
        expect(feedBody('chunked', piecesOf(whole, at))).toEqual(outcome);
        expect(feedBody('chunked', whole.split(''))).toEqual(outcome);
      }),
      { numRuns: 2000 },
    );
  });

  it('that are mutated are accepted exactly when the reference accepts them', () => {
    const insert = fc.constantFrom(
      ...'\r\n\0 \t;="\\x0159afF:+-,.\x7f\xff'.split(''),
      '\r\n',
      '0\r\n\r\n',
      'Host:a\r\n',
    );
    const mutation = fc.record({
      at: fc.nat(300),
      remove: fc.nat(2),
      insert: fc.option(insert, { nil: '' }),
    });
    let accepted = 0;
    let refused = 0;
    fc.assert(
      fc.property(body, fc.array(mutation, { minLength: 1, maxLength: 3 }), cuts, (valid, mutations, at) => {
        let text = valid;
        for (const { at: place, remove, insert: added } of mutations) {
          const position = place % (text.length + 1);
          text = text.slice(0, position) + added + text.slice(position + remove);
        }
        const whole = feedBody('chunked', [text]);
        expect(feedBody('chunked', piecesOf(text, at))).toEqual(whole);
        const expected = referenceBody(text);
        if (typeof expected === 'object') {
          accepted++;
          expect(whole).toMatchObject({ status: COMPLETE, ...expected });
        } else if (expected === 'bad') {
          refused++;
          expect(whole.status).not.toBe(COMPLETE);
        } else {
          expect(whole.status).not.toBe(COMPLETE);
        }
      }),
      { numRuns: 5000 },
    );
    expect(Math.min(accepted, refused)).toBeGreaterThan(300);
  });
});
