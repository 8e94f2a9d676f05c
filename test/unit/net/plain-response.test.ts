import { afterEach, beforeEach, expect, it } from 'vitest';
import { MAX_PLAIN_BODY, writePlainBytes, writePlainText } from '../../../src/net/plain-response.ts';
import { ConnectedTransport } from './connected-transport.ts';

let pair: ConnectedTransport;
beforeEach(async () => {
  pair = await ConnectedTransport.open();
});
afterEach(() => {
  pair.close();
});

/** Checks that what came are the responses with these bodies, and nothing else. */
async function expectBodies(...bodies: readonly Buffer[]): Promise<void> {
  const date = 'Thu, 01 Jan 1970 00:00:00 GMT';
  const expected = bodies.map((body) =>
    Buffer.concat([
      Buffer.from(`HTTP/1.1 200 OK\r\nDate: ${date}\r\nContent-Length: ${body.length}\r\n\r\n`),
      body,
    ]),
  );
  const all = Buffer.concat(expected);
  const received = await pair.received(all.length);
  for (let at = 0; at < received.length; at += expected.shift()?.length ?? received.length) {
    const head = received.toString('latin1', at, at + 60);
    const sent = /^HTTP\/1\.1 200 OK\r\nDate: (.{29})\r\n/.exec(head)?.[1] ?? '';
    expect(Math.abs(Date.parse(sent) - Date.now())).toBeLessThan(60_000);
    received.write(date, at + head.indexOf(sent), 'latin1');
  }
  expect(received.equals(all)).toBe(true);
}

it.each([0, 1, 9, 10, 63, 64, 65, 99, 100, 101, 999, 1000, 1001, 4095, MAX_PLAIN_BODY])(
  'a body of %d bytes has its length in the head',
  async (size) => {
    const text = 'abcdefghijklmnop'.repeat(512).slice(0, size);
    writePlainText(pair.transport, text);
    writePlainBytes(pair.transport, Buffer.from(text));
    await expectBodies(Buffer.from(text), Buffer.from(text));
  },
);

it.each(['é', 'aé€𝄞', 'ä'.repeat(64), `${'a'.repeat(63)}\u0080`, '\ud800'])(
  'a text that is not ASCII is sent as UTF-8: %j',
  async (text) => {
    writePlainText(pair.transport, text);
    writePlainText(pair.transport, text);
    await expectBodies(Buffer.from(text), Buffer.from(text));
  },
);

it('a text that comes again, with others between, is the right one each time', async () => {
  const texts = [
    'one',
    'one',
    'two',
    'one',
    'one',
    'é',
    'one',
    ...'a b c d e f g h i j k l m n o p q r s t u v w x y z'.split(' '),
    'z',
    'y',
    'z',
    'one',
    'one',
  ];
  pair.transport.beginCork();
  for (const text of texts) writePlainText(pair.transport, text);
  pair.transport.endCork();
  await expectBodies(...texts.map((text) => Buffer.from(text)));
});
