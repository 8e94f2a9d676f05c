import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParseStatus } from '../../../src/http/request-parser.ts';
import { feedByteByByte, feedPieces, feedWhole, type Outcome } from './feed-head.ts';
import { type ReferenceHead, referenceHead } from './reference-head.ts';

const TOKEN = "!#$%&'*+-.^_`|~0123456789abcxyzABCXYZ".split('');
const TARGET = '/?&=%:@!$~.-_abcABC019"<>{}\x80\xff'.split('').concat('\xc3\xa9');
const VALUE = ' \t!",:;=?abcABC019\x7e\x80\xff'.split('').concat('\xe2\x98\x83');
const NAMES = [
  'Accept',
  'X-A',
  'x-a',
  '__proto__',
  'constructor',
  'Content_Length',
  'Upgrade',
  'Expecting',
  'Hos',
];

const text = (characters: string[], minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });
const space = text([' ', '\t'], 0, 3);

const host = fc.constantFrom(
  'a',
  'localhost:9001',
  '[::1]:80',
  'EXAMPLE.com',
  '127.0.0.1',
  "a%20b.!$&'()*+;=c",
);
const field = fc
  .tuple(fc.oneof(fc.constantFrom(...NAMES), text(TOKEN, 1, 12)), space, text(VALUE, 0, 30), space)
  .map((parts) => `${parts[0]}:${parts[1]}${parts[2]}${parts[3]}`);
const framing = fc.constantFrom(
  '',
  '',
  'Content-Length: 0',
  'CONTENT-LENGTH:\t123 ',
  'Transfer-Encoding: Chunked',
);
const options = fc.constantFrom(
  '',
  '',
  'Connection: close',
  'connection:keep-alive , CLOSE',
  'Connection: Keep-Alive',
  'Expect: ,',
  'Expect: 100-Continue',
);
const target = (authority: string) =>
  fc.oneof(
    text(TARGET, 0, 40).map((rest) => `/${rest}`),
    fc
      .tuple(fc.constantFrom('http://', 'HTTPS://'), fc.constantFrom('', '/', '?'), text(TARGET, 0, 20))
      .map(([scheme, separator, rest]) => scheme + authority + separator + (separator === '' ? '' : rest)),
  );

const request = host.chain((authority) =>
  fc
    .record({
      emptyLine: fc.constantFrom('', '\r\n'),
      version: fc.constantFrom('1.1', '1.1', '1.0', '1.7'),
      method: fc.oneof(fc.constantFrom('GET', 'POST', 'OPTIONS', 'get'), text(TOKEN, 1, 32)),
      target: target(authority),
      before: fc.array(field, { maxLength: 4 }),
      after: fc.array(field, { maxLength: 4 }),
      framing,
      options,
      body: text(VALUE, 0, 20),
    })
    .map((r) => {
      const lines = [...r.before, `hOsT: ${authority}`, r.framing, ...r.after, r.options].filter(
        (line) => line !== '',
      );
      const version = /^transfer/i.test(r.framing) ? '1.1' : r.version;
      return `${r.emptyLine}${r.method} ${r.target} HTTP/${version}\r\n${lines.join('\r\n')}\r\n\r\n${r.body}`;
    }),
);

const cuts = fc.array(fc.nat(400), { maxLength: 8 });

function piecesOf(whole: string, at: readonly number[]): string[] {
  const sorted = [0, ...at.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
  return sorted.slice(1).map((end, i) => whole.slice(sorted[i], end));
}

function expected(head: ReferenceHead): Outcome {
  return {
    status: ParseStatus.COMPLETE,
    reason: '',
    head: { ...head, hasBody: head.chunked || head.contentLength > 0 },
  };
}

describe('random heads', () => {
  it('that are valid are read as the reference reads them, however they are cut', () => {
    fc.assert(
      fc.property(request, cuts, (whole, at) => {
        const head = referenceHead(whole);
        if (head === undefined) throw new Error('the reference refused a valid head');
        expect(feedPieces(piecesOf(whole, at))).toEqual(expected(head));
        expect(feedByteByByte(whole)).toEqual(expected(head));
      }),
      { numRuns: 1500 },
    );
  });

  it('that are mutated are accepted exactly when the reference accepts them, and never throw', () => {
    const bytes = fc.constantFrom(
      ...'\r\n\0\t :,;#\\?/*[]@%0159chunkedHTTP/.\x7f\x80\xff'.split(''),
      '\r\n',
      '\r\n\r\n',
      '\r\n ',
    );
    const mutation = fc.record({
      at: fc.nat(400),
      remove: fc.nat(3),
      insert: fc.oneof(bytes, fc.constant('')),
    });
    let accepted = 0;
    let refused = 0;
    fc.assert(
      fc.property(
        request,
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        cuts,
        (valid, mutations, at) => {
          let whole = valid;
          for (const { at: position, remove, insert } of mutations) {
            const i = position % (whole.length + 1);
            whole = whole.slice(0, i) + insert + whole.slice(i + remove);
          }
          const outcome = feedWhole(whole);
          expect(feedPieces(piecesOf(whole, at))).toEqual(outcome);
          expect(feedByteByByte(whole)).toEqual(outcome);
          const head = referenceHead(whole);
          if (head !== undefined) {
            accepted++;
            expect(outcome).toEqual(expected(head));
          } else {
            refused++;
            expect([ParseStatus.INCOMPLETE, 400, 417, 501, 505]).toContain(outcome.status);
          }
        },
      ),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  });

  it('of any bytes at all get a verdict', () => {
    const noise = fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
      maxLength: 60,
    });
    const start = fc.constantFrom(
      '',
      'GET ',
      'GET / HTTP/1.1\r\n',
      'GET / HTTP/1.1\r\nHost: ',
      'GET / HTTP/1.1\r\nHost: a\r\nX:',
    );
    fc.assert(
      fc.property(start, noise, (prefix, rest) => {
        const outcome = feedWhole(prefix + rest);
        expect(feedByteByByte(prefix + rest)).toEqual(outcome);
        expect([ParseStatus.INCOMPLETE, ParseStatus.COMPLETE, 400, 501, 505]).toContain(outcome.status);
      }),
      { numRuns: 2000 },
    );
  });
});
