import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MAX_PART_HEAD_SIZE,
  MAX_PART_HEADERS,
  MAX_PARTS,
  type MultipartField,
  parseMultipart,
} from '../../../src/http/multipart.ts';
import { latin1, textOf } from './feed-head.ts';

const TYPE = 'multipart/form-data; boundary=b';

interface Plain {
  name?: string;
  data: string;
  type?: string;
  filename?: string;
}

const plain = (fields: MultipartField[] | undefined): Plain[] | undefined =>
  fields?.map(({ data, ...rest }) => ({ ...rest, data: textOf(new Uint8Array(data)) }));

/** Parses a body that lies within other bytes. */
function parse(body: string, contentType = TYPE): Plain[] | undefined {
  const bytes = latin1(`\r\n--b${body}\r\n--b--`);
  return plain(parseMultipart(bytes.subarray(5, 5 + body.length), contentType));
}

const part = (name: string, data: string, more = '') =>
  `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${data}\r\n`;
const whole = (...parts: string[]) => `${parts.join('')}--b--\r\n`;

describe('the parts of a form', () => {
  it('are its fields and files in their order', () => {
    const body = whole(
      part('a', '1'),
      part('f', '\x00\xff\r\n', '; filename="x y.txt"\r\nContent-Type:  image/png \t'),
      part('a', ''),
    );
    expect(parse(body)).toEqual([
      { name: 'a', data: '1' },
      { name: 'f', data: '\x00\xff\r\n', filename: 'x y.txt', type: 'image/png' },
      { name: 'a', data: '' },
    ]);
  });

  it('may be none', () => {
    expect(parse('--b--')).toEqual([]);
    expect(parse('--b--\r\n')).toEqual([]);
    expect(parse('before\r\n--b-- \t\r\nbehind\r\n--b\r\n')).toEqual([]);
  });

  it('have memory of their own', () => {
    const bytes = latin1(whole(part('a', 'xyz')));
    const [field] = parseMultipart(bytes, TYPE)!;
    bytes.fill(0);
    expect(textOf(new Uint8Array(field!.data))).toBe('xyz');
    expect(field!.data).toBeInstanceOf(ArrayBuffer);
    expect(field!.data.byteLength).toBe(3);
  });

  it('may lie in shared memory', () => {
    const bytes = latin1(whole(part('a', 'xyz')));
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    expect(plain(parseMultipart(shared, TYPE))).toEqual([{ name: 'a', data: 'xyz' }]);
  });

  it.each<[string, string]>([
    ['--', '--'],
    ['\r\n--', '\r\n--'],
    ['\r\n--bb\r\n', '\r\n--bb\r\n'],
    ['\r\n--b-', '\r\n--b-'],
    ['\r\n--b--x', '\r\n--b--x'],
    ['\r\n--b x\r\n', '\r\n--b x\r\n'],
    ['\n--b\r\n', '\n--b\r\n'],
    ['\r--b\r\n', '\r--b\r\n'],
    ['\r\r\n-b', '\r\r\n-b'],
    ['\r\n', '\r\n'],
    ['\r', '\r'],
  ])('may hold %j, which is no delimiter', (data, expected) => {
    expect(parse(whole(part('a', data)))).toEqual([{ name: 'a', data: expected }]);
  });

  it('end at the first line that is a delimiter, with space behind it or not', () => {
    const expected = [
      { name: 'a', data: '1' },
      { name: 'b', data: '2' },
    ];
    const second = part('b', '2');
    expect(parse(whole(part('a', '1'), second.replace('--b', '--b \t')))).toEqual(expected);
    expect(parse(`${part('a', '1')}${second}--b--`)).toEqual(expected);
    expect(parse(`${part('a', '1')}${second}--b-- \t`)).toEqual(expected);
    expect(parse(`${part('a', '1')}${second}--b--\r\n${part('c', '3')}`)).toEqual(expected);
    expect(parse(`\r\n${part('a', '1')}${second}--b--`)).toEqual(expected);
  });

  it('may have no data and no empty line of their own', () => {
    expect(parse('--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--')).toEqual([
      { name: 'a', data: '' },
    ]);
    expect(parse('--b\r\nContent-Disposition: form-data; name=a\r\n--b--')).toBeUndefined();
  });

  it.each([
    ['a half', part('a', '1').slice(0, -2)],
    ['no end', part('a', '1')],
    ['half an end', `${part('a', '1')}--b-`],
    ['another boundary', whole(part('a', '1')).replaceAll('--b', '--c')],
    ['nothing', ''],
    ['a name that does not end', whole(part('a', '1').replace('"a"', '"a'))],
    ['two names', whole(part('a', '1', '; name="b"'))],
    ['two dispositions', whole(part('a', '1', '\r\nContent-Disposition: form-data; name="b"'))],
    ['two types', whole(part('a', '1', '\r\nContent-Type: a/b\r\nContent-Type: a/b'))],
    ['text behind a name', whole(part('a', '1', 'x'))],
    ['a bare LF', whole(part('a', '1', '\nX: y'))],
    ['a bare CR', whole(part('a', '1', '\rX: y'))],
    ['NUL in a header', whole(part('a', '1', '\r\nX: \0'))],
    ['a folded header', whole(part('a', '1', ';\r\n filename="x"'))],
    ['a header without a colon', whole(part('a', '1', '\r\nX'))],
    ['a header without a name', whole(part('a', '1', '\r\n: x'))],
    ['a space before a colon', whole(part('a', '1', '\r\nX : y'))],
  ])('are undefined for %s', (_, body) => {
    expect(parse(body)).toBeUndefined();
  });

  it('may be without a name, of another disposition, or without any', () => {
    const named = part('a', '1');
    expect(parse(`--b\r\n\r\nx\r\n${whole(named)}`)).toEqual([{ data: 'x' }, { name: 'a', data: '1' }]);
    expect(parse('--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--')).toEqual([
      { type: 'text/plain', data: 'x' },
    ]);
    expect(parse(whole(named.replace('; name="a"', '')))).toEqual([{ data: '1' }]);
    expect(parse(whole(named.replace('name="a"', 'filename="f"')))).toEqual([{ filename: 'f', data: '1' }]);
    expect(parse(whole(named.replace('form-data', 'attachment')))).toEqual([{ name: 'a', data: '1' }]);
    const field = parseMultipart(latin1(whole(named.replace('; name="a"', ''))), TYPE);
    expect(Object.keys(field![0]!)).toEqual(['data']);
  });

  it('have limits', () => {
    const headers = (count: number) => whole(part('a', '1', '\r\nX: y'.repeat(count - 1)));
    expect(parse(headers(MAX_PART_HEADERS))).toHaveLength(1);
    expect(parse(headers(MAX_PART_HEADERS + 1))).toBeUndefined();
    const lines = 'Content-Disposition: form-data; name="a"\r\nX: \r\n';
    const sized = (size: number) => whole(part('a', '1', `\r\nX: ${'y'.repeat(size - lines.length)}`));
    expect(parse(sized(MAX_PART_HEAD_SIZE))).toHaveLength(1);
    expect(parse(sized(MAX_PART_HEAD_SIZE + 1))).toBeUndefined();
    expect(parse(whole(part('a', '1').repeat(MAX_PARTS)))).toHaveLength(MAX_PARTS);
    expect(parse(whole(part('a', '1').repeat(MAX_PARTS + 1)))).toBeUndefined();
  });
});

describe('the content type of a form', () => {
  const body = (boundary: string) => whole(part('a', '1')).replaceAll('--b', `--${boundary}`);

  it.each<[string, string]>([
    ['multipart/form-data;boundary=b', 'b'],
    ['Multipart/Form-Data ; charset=utf-8;;BOUNDARY="b" ;', 'b'],
    ['multipart/form-data; boundary="a b"', 'a b'],
    ["multipart/form-data; boundary=----=_'()+,-./:=?0", "----=_'()+,-./:=?0"],
    [`multipart/form-data; boundary=${'x'.repeat(70)}`, 'x'.repeat(70)],
    ['multipart/form-data; boundary=--', '--'],
  ])('may be %j', (type, boundary) => {
    // A comma cannot stand without quotes.
    const quoted = type.includes(',') ? type.replace(/=(-.*)$/, '="$1"') : type;
    expect(parse(body(boundary), quoted)).toEqual([{ name: 'a', data: '1' }]);
  });

  it.each([
    '',
    'multipart/form-data',
    'multipart/form-data;',
    'multipart/form-data; boundary',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary=""',
    'multipart/form-data; boundary="b',
    'multipart/form-data; boundary="b "',
    'multipart/form-data; boundary=b; boundary=b',
    'multipart/form-data; boundary=b x',
    'multipart/form-data; boundary=é',
    'multipart/form-data; boundary=b\0',
    `multipart/form-data; boundary=${'x'.repeat(71)}`,
    'multipart/mixed; boundary=b',
    'multipart/form-datax; boundary=b',
    'application/x-www-form-urlencoded; boundary=b',
  ])('must not be %j', (type) => {
    expect(parse(body('b'), type)).toBeUndefined();
  });
});

describe('a name', () => {
  const named = (parameters: string) =>
    parse(`--b\r\nContent-Disposition: form-data; ${parameters}\r\n\r\n1\r\n--b--`)?.map(
      ({ data, ...rest }) => (data === '1' ? rest : data),
    );

  it.each<[string, Omit<Plain, 'data'>[] | undefined]>([
    ['name=a', [{ name: 'a' }]],
    ['NAME="a"; FileName=b', [{ name: 'a', filename: 'b' }]],
    ['name=""; filename=""', [{ name: '', filename: '' }]],
    ['name="a;b=c"', [{ name: 'a;b=c' }]],
    ['name="\xc3\xa9\xff"', [{ name: 'é\ufffd' }]],
    ['name="a%22b"', [{ name: 'a%22b' }]],
    ['name="a\\"b"', [{ name: 'a"b' }]],
    ['name="\\"\\""', [{ name: '""' }]],
    ['name="a"; filename="C:\\dir\\x.txt"', [{ name: 'a', filename: 'C:\\dir\\x.txt' }]],
    ['name="a"; filename="C:\\"', [{ name: 'a', filename: 'C:\\' }]],
    ['name="a\\"; filename="b"', [{ name: 'a\\', filename: 'b' }]],
    ['name="__proto__"', [{ name: '__proto__' }]],
    ['name="a"; __proto__=x; constructor=y', [{ name: 'a' }]],
    ['name="a"; filename*=UTF-8\'\'x', [{ name: 'a' }]],
    ['name="a" x', undefined],
    ['name="a\\', undefined],
    ['name=', undefined],
    ['name', undefined],
    ['name="a"; =b', undefined],
  ])('from %j', (parameters, expected) => {
    expect(named(parameters)).toEqual(expected);
  });

  it('may be a long row of quotes and backslashes', () => {
    expect(named(`name="${'\\"'.repeat(3000)}"`)).toEqual([{ name: '"'.repeat(3000) }]);
    expect(named(`name="${'\\"'.repeat(3000)}`)).toBeUndefined();
  });
});

describe('random forms', () => {
  const data = fc.string({
    unit: fc.constantFrom('-', 'b', '\r', '\n', ' ', '\xff', '\r\n--b'),
    maxLength: 20,
  });

  it('made by FormData are read as they were made', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 8 }).map((value) => value.replace(/[\r\n]/g, ''));
    // An empty one is not sent.
    const fileName = text.map((name) => `${name}.x`);
    const entry = fc.record({ name: text, data, file: fc.option(fileName, { nil: undefined }) });
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 5 }), async (entries) => {
        const form = new FormData();
        for (const { name, data, file } of entries) {
          if (file === undefined) form.append(name, data.replace(/\r\n|\r|\n/g, ''));
          else form.append(name, new Blob([new Uint8Array(latin1(data))], { type: 'a/b' }), file);
        }
        const response = new Response(form);
        const body = new Uint8Array(await response.arrayBuffer());
        const escape = (value: string) => value.replaceAll('"', '%22');
        const expected = entries.map(({ name, data, file }): Plain => {
          if (file !== undefined) return { name: escape(name), data, filename: escape(file), type: 'a/b' };
          const utf8 = new TextEncoder().encode(data.replace(/\r\n|\r|\n/g, ''));
          return { name: escape(name), data: textOf(utf8) };
        });
        expect(plain(parseMultipart(body, response.headers.get('content-type')!))).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('that are mutated are read as the reference reads them, without a throw', () => {
    const field = fc.record({
      name: fc.constantFrom('a', 'b', ''),
      data,
      more: fc.constantFrom('', '; filename=x'),
    });
    const insert = fc.constantFrom(
      '',
      '\r\n',
      '\r',
      '\n',
      '--',
      '--b',
      '\r\n--b\r\n',
      '\r\n--b--',
      ' ',
      ':',
      '"',
      ';',
      '\0',
    );
    const mutation = fc.record({ at: fc.nat(300), remove: fc.nat(2), insert });
    let read = 0;
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(field, { maxLength: 3 }),
        fc.array(mutation, { maxLength: 2 }),
        (fields, mutations) => {
          let text = whole(...fields.map(({ name, data, more }) => part(name, data, more)));
          for (const { at, remove, insert: added } of mutations) {
            const position = at % (text.length + 1);
            text = text.slice(0, position) + added + text.slice(position + remove);
          }
          const expected = reference(text);
          if (expected === undefined) refused++;
          else read++;
          expect(parse(text)).toEqual(expected);
        },
      ),
      { numRuns: 5000 },
    );
    expect(Math.min(read, refused)).toBeGreaterThan(500);
  });
});

/** A slow and obvious reader with regular expressions for the forms above. */
function reference(text: string): Plain[] | undefined {
  const first = /^(?:[^]*?\r\n)??--b(--[ \t]*(?:\r\n|$)|[ \t]*\r\n)/.exec(text);
  if (first === null) return undefined;
  let isLast = first[1]!.startsWith('--');
  let rest = text.slice(first[0].length);
  const fields: Plain[] = [];
  while (!isLast) {
    const head = /^((?:[^\r\n\0]+\r\n)*?)(?=\r\n)/.exec(rest);
    if (head === null) return undefined;
    const tail = rest.slice(head[0].length);
    const end = /\r\n--b(--[ \t]*(?:\r\n|$)|[ \t]*\r\n)/.exec(tail);
    const lines = head[1]!.split('\r\n').slice(0, -1);
    if (end === null || lines.some((line) => !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:/.test(line))) return undefined;
    const field = nameOf(lines);
    if (field === undefined) return undefined;
    fields.push({ ...field, data: end.index === 0 ? '' : tail.slice(2, end.index) });
    isLast = end[1]!.startsWith('--');
    rest = tail.slice(end.index + end[0].length);
  }
  return fields;
}

function nameOf(lines: string[]): Omit<Plain, 'data'> | undefined {
  const dispositions = lines.filter((line) => /^content-disposition:/i.test(line));
  const value = dispositions[0]?.replace(/^[^:]+:[ \t]*/, '').replace(/[ \t]+$/, '');
  if (dispositions.length > 1) return undefined;
  const parameters = /;.*$/i.exec(value ?? '')?.[0] ?? '';
  const found = new Map<string, string>();
  let rest = parameters;
  while (rest !== '') {
    const match = /^[ \t]*;[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:"([^"]*)"|([^ \t;",]+)))?[ \t]*/.exec(
      rest,
    );
    if (match === null || match[0] === '') return undefined;
    rest = rest.slice(match[0].length);
    if (match[1] === undefined) continue;
    if (found.has(match[1].toLowerCase())) return undefined;
    found.set(match[1].toLowerCase(), match[2] ?? match[3]!);
  }
  const name = found.get('name');
  const filename = found.get('filename');
  return { ...(name === undefined ? {} : { name }), ...(filename === undefined ? {} : { filename }) };
}
