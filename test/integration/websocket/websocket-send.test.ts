import { SendStatus } from 'millrace';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { asciiPattern, pattern, pong } from '../../support/protocol/frame-bytes.ts';
import { Route } from '../../support/protocol/route.ts';

const NOT_SENDABLE = 'Text and data can only be passed by String, ArrayBuffer or TypedArray.';
/** Sixteen bytes that no typed array changes. */
const BYTES = Uint8Array.from({ length: 16 }, (_, i) => (i * 17) & 0x7f);

let route: Route;
const pongs: string[] = [];
beforeAll(() => {
  route = new Route({
    pong: (_ws, message) => {
      pongs.push(Buffer.from(message).toString());
    },
  });
});
afterAll(() => route.stop());

const inMiddle = (): ArrayBuffer => {
  const memory = new ArrayBuffer(64);
  new Uint8Array(memory).fill(0xff).set(BYTES, 24);
  return memory;
};
const shared = (): SharedArrayBuffer => {
  const memory = new SharedArrayBuffer(16);
  new Uint8Array(memory).set(BYTES);
  return memory;
};

describe('send', () => {
  test.each([
    ['ArrayBuffer', BYTES.buffer],
    ['SharedArrayBuffer', shared()],
    ['Uint8Array', BYTES],
    ['Uint8Array in the middle of its memory', new Uint8Array(inMiddle(), 24, 16)],
    ['Uint8Array over shared memory', new Uint8Array(shared())],
    ['Uint8ClampedArray', new Uint8ClampedArray(inMiddle(), 24, 16)],
    ['Int8Array', new Int8Array(inMiddle(), 24, 16)],
    ['Int16Array', new Int16Array(inMiddle(), 24, 8)],
    ['Uint16Array', new Uint16Array(inMiddle(), 24, 8)],
    ['Int32Array', new Int32Array(inMiddle(), 24, 4)],
    ['Uint32Array', new Uint32Array(inMiddle(), 24, 4)],
    ['Float32Array', new Float32Array(inMiddle(), 24, 4)],
    ['Float64Array', new Float64Array(inMiddle(), 24, 2)],
    ['BigInt64Array', new BigInt64Array(inMiddle(), 24, 2)],
    ['BigUint64Array', new BigUint64Array(inMiddle(), 24, 2)],
    ['DataView', new DataView(inMiddle(), 24, 16)],
    ['Buffer', Buffer.from(BYTES)],
    ['slice of a pooled Buffer', Buffer.from([9, ...BYTES, 9]).subarray(1, 17)],
  ])('takes the bytes of a %s as they are', async (_name, message) => {
    const { ws, client } = await route.pair();
    expect(ws.send(message, true)).toBe(SendStatus.SUCCESS);
    const frame = await client.frame();
    expect([frame.opcode, frame.fin]).toEqual([2, true]);
    expect([...frame.payload]).toEqual([...BYTES]);
    client.destroy();
  });

  test('sends text by default and binary when told so, whatever the type', async () => {
    const { ws, client } = await route.pair();
    ws.send('text');
    ws.send('binary', true);
    ws.send(Buffer.from('text of bytes'), false);
    ws.send('');
    ws.send(new ArrayBuffer(0), true);
    const frames = await client.frames(5);
    expect(frames.map(({ opcode, payload }) => `${opcode} ${payload.toString()}`)).toEqual([
      '1 text',
      '2 binary',
      '1 text of bytes',
      '1 ',
      '2 ',
    ]);
    client.destroy();
  });

  test.each([
    ['a number', 1],
    ['null', null],
    ['a boolean', true],
    ['an object', { length: 1 }],
    ['an array', [1, 2]],
    ['a symbol', Symbol('message')],
    ['a bigint', 1n],
    ['a function', () => 'message'],
  ])('throws a TypeError for %s, and the connection goes on', async (_name, message) => {
    const { ws, client } = await route.pair();
    for (const act of [
      () => ws.send(message as never),
      () => ws.sendFirstFragment(message as never),
      // It has no subscription, and so publishes nothing.
      () => ws.publish('topic', message as never),
      () => ws.publish(message as never, 'message'),
    ]) {
      expect(act).toThrow(TypeError);
      expect(act).toThrow(NOT_SENDABLE);
    }
    ws.send('goes on');
    expect(await client.text()).toBe('goes on');
    client.destroy();
  });

  test('undefined is an empty message, as in uWebSockets.js', async () => {
    const { ws, client } = await route.pair();
    expect(ws.send(undefined as never)).toBe(1);
    expect(await client.text()).toBe('');
    client.destroy();
  });

  test('encodes text of every kind; a lone surrogate becomes U+FFFD', async () => {
    const { ws, client } = await route.pair();
    const texts = ['ascii', 'ü', '€', '😀', 'ü'.repeat(70), `${'x'.repeat(40)}ü`, `${'x'.repeat(41)}€`];
    for (const text of texts) ws.send(text);
    ws.send('\ud800 and \udc00');
    for (const text of texts) expect(await client.text()).toBe(text);
    expect(await client.text()).toBe('\ufffd and \ufffd');
    client.destroy();
  });

  test('encodes text of every length around the limits of headers and memory', async () => {
    const { ws, client } = await route.pair();
    const sizes = [125, 126, 127, 1023, 4096, 65_525, 65_526, 65_535, 65_536, 65_537, 200_000];
    for (const size of sizes) {
      ws.send(asciiPattern(size));
      ws.send('€'.repeat(Math.floor(size / 3)));
    }
    for (const size of sizes) {
      expect((await client.text()) === asciiPattern(size), `${size} characters`).toBe(true);
      expect((await client.text()) === '€'.repeat(Math.floor(size / 3)), `${size} bytes`).toBe(true);
    }
    client.destroy();
  });

  test('copies: what is done to the bytes afterwards does not matter', async () => {
    const { ws, client } = await route.pair();
    const small = pattern(1000);
    const large = pattern(300_000);
    const expected = [small.slice(), large.slice()];
    ws.send(small, true);
    ws.send(large, true);
    small.fill(0);
    large.fill(0);
    expect(Buffer.compare((await client.frame()).payload, expected[0]!)).toBe(0);
    expect(Buffer.compare((await client.frame()).payload, expected[1]!)).toBe(0);
    client.destroy();
  });
});

describe('fragments', () => {
  test('are frames of one message', async () => {
    const { ws, client } = await route.pair();
    expect(ws.sendFirstFragment('Hel')).toBe(SendStatus.SUCCESS);
    expect(ws.sendFragment('lo, ')).toBe(SendStatus.SUCCESS);
    expect(ws.sendFragment('')).toBe(SendStatus.SUCCESS);
    expect(ws.sendLastFragment('World')).toBe(SendStatus.SUCCESS);
    const frames = await client.frames(4);
    expect(frames.map(({ fin, opcode, payload }) => `${fin} ${opcode} ${payload.toString()}`)).toEqual([
      'false 1 Hel',
      'false 0 lo, ',
      'false 0 ',
      'true 0 World',
    ]);
    client.destroy();
  });

  test('are joined by a client, with a ping in between', async () => {
    const client = await Client.connect(route.running.ws());
    const ws = await route.opened();
    ws.sendFirstFragment(Uint8Array.of(1, 2), true);
    ws.ping('in between');
    ws.sendFragment(pattern(70_000));
    ws.sendLastFragment(Uint8Array.of(3));
    const message = (await client.next()) as Uint8Array;
    expect(Buffer.compare(message, Buffer.concat([Buffer.of(1, 2), pattern(70_000), Buffer.of(3)]))).toBe(0);
    await client.close();
  });
});

describe('ping', () => {
  test('is sent with its payload, and pong is told the answer', async () => {
    const { ws, client } = await route.pair();
    expect(ws.ping()).toBe(SendStatus.SUCCESS);
    expect(ws.ping('are you there?')).toBe(SendStatus.SUCCESS);
    expect(ws.ping(pattern(125))).toBe(SendStatus.SUCCESS);
    const frames = await client.frames(3);
    expect(frames.map(({ opcode, payload }) => [opcode, payload.length])).toEqual([
      [9, 0],
      [9, 14],
      [9, 125],
    ]);
    pongs.length = 0;
    client.send(pong('I am'), pong());
    ws.send('sync');
    await client.close();
    expect(pongs).toEqual(['I am', '']);
  });

  test('is answered by the client of ws', async () => {
    const client = await Client.connect(route.running.ws());
    const ws = await route.opened();
    pongs.length = 0;
    ws.ping('hello');
    ws.send('behind it');
    await client.next();
    await client.close();
    expect(pongs).toEqual(['hello']);
  });

  test('has at most 125 bytes', async () => {
    const { ws, client } = await route.pair();
    expect(() => ws.ping(pattern(126))).toThrow(
      expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT', message: expect.stringContaining('125') }),
    );
    expect(() => ws.ping('€'.repeat(42))).toThrow('125');
    client.destroy();
  });
});
