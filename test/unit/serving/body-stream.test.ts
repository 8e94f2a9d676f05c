import { afterEach, beforeEach, expect, it } from 'vitest';
import { CHUNKED } from '../../../src/http/response-writer.ts';
import { BodyStream } from '../../../src/serving/body-stream.ts';
import { ConnectedTransport } from '../net/connected-transport.ts';

let pair: ConnectedTransport;
beforeEach(async () => {
  pair = await ConnectedTransport.open();
});
afterEach(() => {
  pair.close();
});

async function expectSent(text: string): Promise<void> {
  // Behind it comes a mark, so that nothing too much can come later.
  const { transport } = pair;
  const at = transport.reserve(1);
  transport.bytes[at] = 0x23;
  transport.commit(1);
  expect((await pair.received(Buffer.byteLength(text) + 1)).toString()).toBe(`${text}#`);
}

it('sends chunks with their size in bytes when no length was announced', async () => {
  const body = new BodyStream(pair.transport, CHUNKED, false, false);
  body.write('é', 2);
  body.write(Buffer.from('x'.repeat(16)), 16);
  body.end('last', 4);
  expect([body.offset, body.isChunked, body.hasTotal, body.isComplete]).toEqual([22, true, false, false]);
  await expectSent(`2\r\né\r\n10\r\n${'x'.repeat(16)}\r\n4\r\nlast\r\n0\r\n\r\n`);
});

it('sends the body as it is when its length was announced, and no more and no less of it', async () => {
  const body = new BodyStream(pair.transport, 5, false, false);
  body.write('ab', 2);
  expect(body.tryWrite(Buffer.from('c'))).toBe(1);
  const refused = expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }) as Error;
  expect(() => {
    body.write('too much', 8);
  }).toThrow(refused);
  expect(() => body.tryWrite(Buffer.from('def'))).toThrow(refused);
  expect(() => {
    body.end('d', 1);
  }).toThrow('4 bytes of a body were written, and 5 were announced');
  expect([body.offset, body.isComplete]).toEqual([3, false]);
  body.end('de', 2);
  expect([body.offset, body.isComplete]).toEqual([5, true]);
  await expectSent('abcde');
});

it.each([CHUNKED, 6])('counts, and sends nothing, where there is no body (%d)', async (total) => {
  const body = new BodyStream(pair.transport, total, true, false);
  body.write('abc', 3);
  if (body.hasTotal) expect(body.tryWrite(Buffer.from('d'))).toBe(1);
  else body.write('d', 1);
  body.end('ef', 2);
  expect([body.offset, body.isComplete]).toEqual([6, true]);
  await expectSent('');
});
