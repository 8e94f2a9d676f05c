import { expect, it } from 'vitest';
import { getParts } from '../../../src/app/get-parts.ts';

const BODY = Buffer.from(
  '--b\r\nContent-Disposition: form-data; name="f"; filename="é.txt"\r\nContent-Type: text/plain\r\n\r\ndata\r\n--b--\r\n',
);
const TYPE = 'multipart/form-data; boundary=b';

/** The body in the middle of other memory, as collectBody() never gives it, but a view may. */
function view(): Uint8Array {
  const memory = Buffer.concat([Buffer.from('--x'), BODY, Buffer.from('--x')]);
  return new Uint8Array(memory.buffer, memory.byteOffset + 3, BODY.length);
}

it.each([
  ['text', BODY.toString(), TYPE],
  ['an ArrayBuffer', new Uint8Array(BODY).buffer, TYPE],
  ['a view, and a type in bytes', view(), Buffer.from(TYPE)],
])('takes a body that is %s', (_, body, type) => {
  const parts = getParts(body, type);
  expect(parts).toMatchObject([{ name: 'f', filename: 'é.txt', type: 'text/plain' }]);
  expect(Buffer.from(parts![0]!.data).toString()).toBe('data');
});

it('gives copies of the data', () => {
  const body = view();
  const parts = getParts(body, TYPE)!;
  body.fill(0);
  expect(Buffer.from(parts[0]!.data).toString()).toBe('data');
});

it.each([
  ['another type', BODY, 'application/json'],
  ['no boundary', BODY, 'multipart/form-data'],
  ['another boundary', BODY, 'multipart/form-data; boundary=c'],
  ['a cut body', BODY.subarray(0, -6), TYPE],
  ['nothing', new ArrayBuffer(0), TYPE],
])('is undefined with %s', (_, body, type) => {
  expect(getParts(body, type)).toBeUndefined();
});

it('throws for what is neither text nor bytes', () => {
  const message = 'Text and data can only be passed by String, ArrayBuffer or TypedArray. Got 7.';
  expect(() => getParts(7 as never, TYPE)).toThrow(new TypeError(message));
  expect(() => getParts(BODY, 7 as never)).toThrow(new TypeError(message));
});
