import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../../src/errors.ts';
import {
  compileDeclarative,
  type DeclarativePart,
  DeclarativeResponse,
} from '../../../src/http/declarative-response.ts';

const utf8 = new TextEncoder();
const bytesOf = (text: string) => utf8.encode(text);
const compile = (code: ArrayBuffer) => compileDeclarative(new Uint8Array(code));
const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    expect((error as MillraceError).code).toBe('MILLRACE_INVALID_ARGUMENT');
    return (error as MillraceError).message;
  }
  throw new Error('it was accepted');
};

describe('a declarative response', () => {
  it('is byte code with the numbers of uWebSockets.js', () => {
    const code = new DeclarativeResponse()
      .writeStatus('404 No')
      .writeHeader('a', 'b')
      .writeBody()
      .writeQueryValue('q')
      .writeHeaderValue('h')
      .write('w')
      .writeParameterValue('p')
      .end('e');
    const text = (value: string) => [value.length, ...bytesOf(value)];
    const head = [7, ...text('404 No'), 1, ...text('a'), ...text('b'), 2, 3, ...text('q'), 4, ...text('h')];
    const body = [5, 1, 0, ...bytesOf('w'), 6, ...text('p'), 0, 1, 0, ...bytesOf('e')];
    expect(Array.from(new Uint8Array(code))).toEqual([...head, ...body]);
  });

  it('is read back as it was written', () => {
    const code = new DeclarativeResponse()
      .write('Hi ')
      .writeParameterValue('näme')
      .write('')
      .write(new Uint8Array([1, 255]))
      .write(new Uint8Array([2]).buffer)
      .writeQueryValue('q')
      .writeHeaders({ 'X-A': 'b', 'x-b': 'é' })
      .writeHeaderValue('host')
      .writeStatus('201')
      .end('!');
    expect(compile(code)).toEqual({
      status: '201',
      headers: [
        ['X-A', 'b'],
        ['x-b', 'é'],
      ],
      parts: [
        { kind: 'bytes', bytes: bytesOf('Hi ') },
        { kind: 'parameter', key: 'näme' },
        { kind: 'bytes', bytes: Uint8Array.of(1, 255, 2) },
        { kind: 'query', key: 'q' },
        { kind: 'header', key: 'host' },
        { kind: 'bytes', bytes: bytesOf('!') },
      ],
      needsBody: false,
    });
    expect(compile(new DeclarativeResponse().writeBody().end())).toEqual({
      status: '',
      headers: [],
      parts: [{ kind: 'body' }],
      needsBody: true,
    });
    expect(compile(new DeclarativeResponse().end()).parts).toEqual([]);
  });

  it('keeps what it was given, whatever becomes of the bytes', () => {
    const code = new Uint8Array(new DeclarativeResponse().end('abc'));
    const program = compileDeclarative(code);
    code.fill(0);
    expect(program.parts).toEqual([{ kind: 'bytes', bytes: bytesOf('abc') }]);
  });

  it('says what is too long or of a wrong type', () => {
    const response = new DeclarativeResponse();
    const { length } = new Uint8Array(
      response.write('x'.repeat(65_535)).writeStatus('200 '.padEnd(255, 'x')).end(),
    );
    expect(length).toBe(3 + 65_535 + 2 + 255 + 3);
    expect(refusal(() => response.write('x'.repeat(65_536)))).toContain(
      'write: at most 65535 bytes, not 65536',
    );
    expect(refusal(() => response.end('x'.repeat(65_536)))).toContain('end: at most 65535');
    expect(refusal(() => response.writeHeader('a', 'x'.repeat(256)))).toContain('writeHeader: at most 255');
    expect(refusal(() => response.writeQueryValue('é'.repeat(128)))).toContain(
      'writeQueryValue: at most 255',
    );
    expect(refusal(() => response.write(5 as unknown as string))).toContain('write: pass a string');
  });

  it.each<[string, (response: DeclarativeResponse) => DeclarativeResponse]>([
    ['a line break in a header', (response) => response.writeHeader('a', 'b\r\nc: d')],
    ['a header name that is no token', (response) => response.writeHeader('a b', 'c')],
    ['a Content-Length', (response) => response.writeHeader('Content-Length', '5')],
    ['a Transfer-Encoding', (response) => response.writeHeader('Transfer-Encoding', 'gzip')],
    ['a status that is none', (response) => response.writeStatus('OK')],
    ['a line break in the status', (response) => response.writeStatus('200 OK\r\na: b')],
  ])('with %s is refused when it is routed', (_, write) => {
    const code = write(new DeclarativeResponse()).end();
    refusal(() => compile(code));
  });

  it('may be any bytes: they are read, or refused with the reason', () => {
    for (const list of [[], [8], [0], [0, 0], [0, 1, 0], [0, 0, 0, 0], [1, 1, 97], [5, 255, 255, 0], [3]]) {
      expect(refusal(() => compileDeclarative(Uint8Array.from(list)))).toContain('DeclarativeResponse.end()');
    }
    fc.assert(
      fc.property(fc.uint8Array({ max: 9, maxLength: 40 }), (code) => {
        try {
          compileDeclarative(code);
        } catch (error) {
          expect(error).toBeInstanceOf(MillraceError);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('is the list of its parts, whatever they are', () => {
    const text = fc.string({ maxLength: 5 });
    const part = fc.oneof(
      text.map((value): DeclarativePart => ({ kind: 'bytes', bytes: bytesOf(value) })),
      fc.constant<DeclarativePart>({ kind: 'body' }),
      fc.record({ kind: fc.constantFrom('query' as const, 'parameter' as const), key: text }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), text, (parts, last) => {
        const response = new DeclarativeResponse();
        for (const item of parts) {
          if (item.kind === 'bytes') response.write(item.bytes);
          else if (item.kind === 'body') response.writeBody();
          else if (item.kind === 'query') response.writeQueryValue(item.key);
          else response.writeParameterValue(item.key);
        }
        const plain = (list: readonly DeclarativePart[]) =>
          list.flatMap((item): (string | number)[] => {
            if (item.kind === 'bytes') return Array.from(item.bytes);
            return item.kind === 'body' ? ['body'] : [item.kind, item.key];
          });
        const expected = [...plain(parts), ...bytesOf(last)];
        expect(plain(compile(response.end(last)).parts)).toEqual(expected);
      }),
    );
  });
});
