import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tryWriteBytes, writeBytes, writeText } from '../../../src/net/write-bytes.ts';
import { SLAB_SIZE } from '../../../src/net/write-memory.ts';
import { ConnectedTransport } from './connected-transport.ts';

let pair: ConnectedTransport;
beforeEach(async () => {
  pair = await ConnectedTransport.open();
});
afterEach(() => {
  pair.close();
});

describe('writeBytes', () => {
  it.each([0, 1, SLAB_SIZE - 2, SLAB_SIZE - 1, SLAB_SIZE, SLAB_SIZE + 1, 5 * SLAB_SIZE + 3])(
    'sends %d bytes behind what is corked, and not corked',
    async (size) => {
      const { transport } = pair;
      const bytes = randomBytes(size);
      transport.beginCork();
      writeBytes(transport, Buffer.from('<'));
      writeBytes(transport, bytes);
      writeBytes(transport, Buffer.from('>'));
      transport.endCork();
      writeBytes(transport, bytes);
      const expected = Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>'), bytes]);
      expect((await pair.received(expected.length)).equals(expected)).toBe(true);
    },
  );

  it('copies: what becomes of the memory afterwards is not sent', async () => {
    const bytes = Buffer.alloc(2 * SLAB_SIZE, 'a');
    writeBytes(pair.transport, bytes);
    bytes.fill('b');
    expect((await pair.received(bytes.length)).equals(Buffer.alloc(bytes.length, 'a'))).toBe(true);
  });
});

describe('tryWriteBytes', () => {
  it('takes no more than the limit', async () => {
    const bytes = randomBytes(3 * SLAB_SIZE);
    const limit = SLAB_SIZE + 5;
    pair.transport.beginCork();
    expect(tryWriteBytes(pair.transport, bytes, limit)).toBe(limit);
    expect(tryWriteBytes(pair.transport, bytes.subarray(limit, limit + 1), limit)).toBe(1);
    pair.transport.endCork();
    expect((await pair.received(limit + 1)).equals(bytes.subarray(0, limit + 1))).toBe(true);
  });

  it('takes none when the kernel takes no more, and what it took is what arrives', async () => {
    const { transport, client } = pair;
    client.pause();
    const bytes = randomBytes(32 * 1024 * 1024);
    transport.beginCork();
    const taken = tryWriteBytes(transport, bytes, bytes.length);
    transport.endCork();
    expect(taken).toBeLessThan(bytes.length);
    expect(transport.blocked).toBe(true);
    expect(tryWriteBytes(transport, bytes, bytes.length)).toBe(0);
    client.resume();
    expect((await pair.received(taken)).equals(bytes.subarray(0, taken))).toBe(true);
  });
});

describe('writeText', () => {
  const long = 17 * 1024;
  it.each([
    ['ASCII', 'plain'],
    ['long ASCII', 'a'.repeat(long)],
    ['what Latin-1 has', 'é'],
    ['short text', 'aé€𝄞z'],
    ['long text', 'aé€𝄞z'.repeat(long)],
    ['the longest short text', 'é'.repeat(8 * 1024)],
    ['the shortest long text', `${'é'.repeat(8 * 1024)}a`],
    ['lone surrogates', 'a\ud800b\udc00'],
    ['nothing', ''],
  ])('sends %s as UTF-8', async (_, text) => {
    const expected = Buffer.from(text);
    pair.transport.beginCork();
    writeText(pair.transport, text, expected.length);
    pair.transport.endCork();
    writeText(pair.transport, text, expected.length);
    const both = Buffer.concat([expected, expected]);
    expect((await pair.received(both.length)).equals(both)).toBe(true);
  });
});
