import { SendStatus } from 'millrace';
import { describe, expect, test } from 'vitest';
import { openDescriptors } from '../../support/clients/alive.ts';
import { closeCodeOf, type RawClient, type ServerFrame } from '../../support/clients/raw-client.ts';
import { binary, pattern, ping, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { framesBytes } from '../../support/protocol/frame-reader.ts';
import { Route } from '../../support/protocol/route.ts';
import { tlsMode } from '../../support/tls/tls-mode.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

const LIMIT = 256 * 1024;
const SIZE = 16_000;

/** A message with its number in front. */
function numbered(number: number, size = SIZE): Buffer {
  const message = Buffer.alloc(size, number);
  message.writeUInt32BE(number);
  return message;
}

function numbersOf(frames: readonly ServerFrame[]): number[] {
  return frames.filter(({ opcode }) => opcode === 2).map(({ payload }) => payload.readUInt32BE());
}

/** Reads all frames up to the text 'end'. */
async function framesUntilEnd(client: RawClient): Promise<ServerFrame[]> {
  const frames: ServerFrame[] = [];
  for (;;) {
    const frame = await client.frame();
    if (frame.opcode === 1 && frame.payload.toString() === 'end') return frames;
    frames.push(frame);
  }
}

describe('a client that does not read', () => {
  test('makes send return 1, then 0, then 2, and gets exactly what was not dropped when it reads', async () => {
    const dropped: number[] = [];
    let drains = 0;
    using route = new Route({
      maxBackpressure: LIMIT,
      dropped: (_ws, message, isBinary) => {
        expect([isBinary, message.byteLength]).toEqual([true, SIZE]);
        dropped.push(Buffer.from(message).readUInt32BE());
      },
      drain: () => void drains++,
    });
    const { ws, client } = await route.pair();
    client.pause();
    const statuses: number[] = [];
    const accepted: number[] = [];
    for (let i = 0; dropped.length < 5; i++) {
      const status = ws.send(numbered(i), true);
      statuses.push(status);
      if (status !== SendStatus.DROPPED) accepted.push(i);
      expect(ws.getBufferedAmount()).toBeLessThanOrEqual(LIMIT + SIZE + 4);
      if (i % 50 === 0) await sleep(1);
    }
    expect(statuses.join('')).toMatch(/^1+0+2+$/);
    expect(dropped).toEqual(statuses.flatMap((status, i) => (status === SendStatus.DROPPED ? [i] : [])));
    expect(ws.getBufferedAmount()).toBeGreaterThan(LIMIT);
    expect(drains).toBe(0);

    client.resume();
    await until(() => ws.getBufferedAmount() === 0, 'all is written');
    expect(drains).toBeGreaterThan(0);
    expect(ws.send('end')).toBe(SendStatus.SUCCESS);
    const frames = await framesUntilEnd(client);
    expect(numbersOf(frames)).toEqual(accepted);
    expect(frames.every(({ payload }, i) => payload.equals(numbered(accepted[i]!)))).toBe(true);
    await client.close();
  });

  test('may have everything waiting without a limit', async () => {
    using route = new Route({ maxBackpressure: 0 });
    const { ws, client } = await route.pair();
    client.pause();
    for (let i = 0; i < 2000; i++) expect(ws.send(numbered(i), true)).not.toBe(SendStatus.DROPPED);
    expect(ws.getBufferedAmount()).toBeGreaterThan(16_000_000);
    ws.send('end');
    client.resume();
    expect(numbersOf(await framesUntilEnd(client))).toEqual(Array.from({ length: 2000 }, (_, i) => i));
    client.destroy();
  });

  test('overshoots the limit by one message at most, however large', async () => {
    using route = new Route({ maxBackpressure: 1000 });
    const { ws, client } = await route.pair();
    client.pause();
    const large = pattern(30_000_000);
    expect(ws.send(large, true)).toBe(SendStatus.BACKPRESSURE);
    expect(ws.getBufferedAmount()).toBeLessThanOrEqual(large.length + 10);
    expect(ws.send('no more')).toBe(SendStatus.DROPPED);
    expect(ws.ping()).toBe(SendStatus.DROPPED);
    client.resume();
    expect(Buffer.compare((await client.frame()).payload, large)).toBe(0);
    client.destroy();
  });

  test('sees a prefix of what was sent, and no more, with closeOnBackpressureLimit', async () => {
    const closes: number[] = [];
    let drops = 0;
    using route = new Route({
      maxBackpressure: LIMIT,
      closeOnBackpressureLimit: true,
      dropped: () => void drops++,
      close: (_ws, code) => void closes.push(code),
    });
    const { ws, client } = await route.pair();
    client.pause();
    let sent = 0;
    while (ws.send(numbered(sent), true) !== SendStatus.DROPPED) sent++;
    // As in uWebSockets.js: who sends to many in a loop need not expect that one of them is gone meanwhile.
    expect([ws.send(numbered(sent + 1), true), closes, drops]).toEqual([SendStatus.DROPPED, [], 1]);
    await until(() => closes.length === 1, 'it is closed with the turn');
    expect(() => ws.send(numbered(sent + 1), true)).toThrow('Invalid access');
    client.resume();
    const numbers = numbersOf((await client.framesToEnd()).frames);
    expect(numbers.length).toBeLessThanOrEqual(sent);
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i));
    expect([closes, drops]).toEqual([[1006], 1]);
  });

  test('is answered its newest ping alone', async () => {
    using route = new Route({ maxBackpressure: 0, maxPingsPerSecond: 1_000_000 });
    const { ws, client } = await route.pair();
    client.pause();
    // Over TLS some of it is in user space before the kernel has seen it.
    do {
      while (ws.send(numbered(0), true) === SendStatus.SUCCESS);
      await sleep(5);
    } while (ws.getBufferedAmount() === 0);
    const before = ws.getBufferedAmount();
    const pings = Array.from({ length: 1000 }, (_, i) => ping(`${i}`.padStart(125, '.')));
    client.send(...pings);
    client.send(text('seen'));
    await sleep(50);
    expect(ws.getBufferedAmount()).toBeLessThanOrEqual(before + 127);
    client.resume();
    const pongs: string[] = [];
    while (pongs.length === 0) {
      const frame = await client.frame();
      if (frame.opcode === 10) pongs.push(frame.payload.toString().replaceAll('.', ''));
    }
    expect(pongs).toEqual(['999']);
    client.send(ping('read again'));
    expect((await client.frame()).payload.toString()).toBe('read again');
    client.destroy();
  });

  test('that pings while it reads slowly is answered, however much is sent to it', async () => {
    using route = new Route({
      maxBackpressure: 8_000_000,
      drain: (ws) => {
        while (ws.send(numbered(0), true) !== SendStatus.DROPPED);
      },
    });
    const { ws, client } = await route.pair();
    client.pause();
    while (ws.send(numbered(0), true) !== SendStatus.DROPPED);
    client.send(ping('still there?'));
    client.readSlowly(0);
    let received = 0;
    for (;;) {
      const { opcode, payload } = await client.frame();
      received += payload.length;
      if (opcode === 10) {
        expect(payload.toString()).toBe('still there?');
        break;
      }
      // Several times what can wait on the way.
      expect(received).toBeLessThan(100_000_000);
    }
    client.destroy();
  });

  test('gets what waits, then Close, when it is ended', async () => {
    const closes: number[] = [];
    using route = new Route({ maxBackpressure: 0, close: (_ws, code) => void closes.push(code) });
    const { ws, client } = await route.pair();
    client.pause();
    for (let i = 0; ws.getBufferedAmount() < 10 * 1024 * 1024; i++) ws.send(numbered(i), true);
    ws.end(1000, 'enough');
    expect(closes).toEqual([1000]);
    await sleep(20);
    client.resume();
    const numbers: number[] = [];
    for (;;) {
      const frame = await client.frame();
      if (frame.opcode === 8) {
        expect(closeCodeOf(frame)).toBe(1000);
        break;
      }
      numbers.push(frame.payload.readUInt32BE());
    }
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i));
    client.send({ opcode: 8, payload: Uint8Array.of(3, 232) });
    expect(await client.framesToEnd()).toEqual({ frames: [], rest: 0 });
    await client.closed();
  });

  test('is cut off when it does not read on within closeTimeout', async () => {
    using route = new Route({ maxBackpressure: 0, closeTimeout: 1 });
    const { ws, client } = await route.pair();
    client.pause();
    for (let i = 0; ws.getBufferedAmount() < 10 * 1024 * 1024; i++) ws.send(numbered(i), true);
    const descriptors = openDescriptors();
    ws.end(1000);
    await until(() => openDescriptors() < descriptors, 'the server has closed its end');
    client.resume();
    const { frames } = await client.framesToEnd();
    expect(frames.some(({ opcode }) => opcode === 8)).toBe(false);
    const numbers = numbersOf(frames);
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i));
  });

  test('that floods an echo costs no more than the limit', async () => {
    // Over TLS what was sent in this turn may wait beside it.
    const slack = tlsMode.isOn ? 256 * 1024 : 0;
    let echoed = 0;
    let drops = 0;
    using route = new Route({
      message: (ws, message, isBinary) => {
        if (ws.send(message, isBinary) !== SendStatus.DROPPED) echoed++;
        expect(ws.getBufferedAmount()).toBeLessThanOrEqual(64 * 1024 + 1100 + slack);
      },
      dropped: () => void drops++,
    });
    const { client } = await route.pair();
    client.pause();
    const burst = framesBytes(
      Array.from({ length: 1000 }, (_, i) => binary(numbered(i, 1024))),
      SAMPLE_KEY,
    );
    for (let i = 0; i < 24; i++) {
      await new Promise((resolve) => client.socket.write(burst, resolve));
    }
    await until(() => echoed + drops === 24_000, 'all messages were handled');
    expect(drops).toBeGreaterThan(0);
    client.resume();
    await client.frames(echoed);
    client.send(text('end'));
    expect(await client.text()).toBe('end');
    client.destroy();
  });

  test('loses nothing of what waits to what others are sent', async () => {
    const answer = pattern(20_000, 1);
    let isSlow = true;
    using route = new Route({
      maxBackpressure: 0,
      message: (ws) => {
        for (let i = 0; i < 6; i++) ws.send(isSlow ? answer : numbered(i, 20_000), true);
      },
    });
    const [slow, ...others] = await route.pairs(4);
    slow!.client.pause();
    let requests = 0;
    for (; slow!.ws.getBufferedAmount() === 0; requests++) {
      slow!.client.send(text());
      await sleep(1);
    }
    isSlow = false;
    for (let round = 0; round < 5; round++) {
      for (const { client } of others) {
        client.send(text());
        expect(numbersOf(await client.frames(6))).toEqual([0, 1, 2, 3, 4, 5]);
      }
    }
    slow!.client.resume();
    for (let i = 0; i < requests * 6; i++) {
      expect(Buffer.compare((await slow!.client.frame()).payload, answer), `message ${i}`).toBe(0);
    }
    for (const { client } of [slow!, ...others]) client.destroy();
  });

  test('of a topic does not keep the others from it, and costs no more than the limit', async () => {
    const dropped: number[] = [];
    using route = new Route({
      maxBackpressure: LIMIT,
      dropped: (_ws, message) => void dropped.push(Buffer.from(message).readUInt32BE()),
    });
    const pairs = await route.pairs(4);
    const [slow, ...others] = pairs;
    for (const { ws } of pairs) ws.subscribe('news');
    slow!.client.pause();
    const total = 16_000;
    for (let i = 0; i < total; i++) {
      route.app.publish('news', numbered(i, 1024), true);
      if (i % 50 === 0) await sleep(0);
      expect(slow!.ws.getBufferedAmount()).toBeLessThanOrEqual(LIMIT + 1028);
    }
    await sleep(5);
    expect(dropped.length).toBeGreaterThan(0);
    for (const { client } of others) {
      expect(numbersOf(await client.frames(total))).toEqual(Array.from({ length: total }, (_, i) => i));
    }
    slow!.client.resume();
    await until(() => slow!.ws.getBufferedAmount() === 0, 'all is written');
    slow!.ws.send('end');
    const missed = new Set(dropped);
    const expected = Array.from({ length: total }, (_, i) => i).filter((i) => !missed.has(i));
    expect(numbersOf(await framesUntilEnd(slow!.client))).toEqual(expected);
    for (const { client } of pairs) client.destroy();
  });
});

describe('a client that reads in small pieces', () => {
  test('gets every byte of messages of all sizes', async () => {
    using route = new Route({ maxBackpressure: 0 });
    const { ws, client } = await route.pair();
    client.pause();
    const sizes = [0, 1, 3, 124, 125, 126, 127, 1000, 4095, 65_535, 65_536, 65_537, 100_003];
    let count = 0;
    for (; ws.getBufferedAmount() < 8_000_000; count++) {
      ws.send(pattern(sizes[count % sizes.length]!, count), true);
      // Some together in one write, some alone.
      if (count % 5 === 0) await sleep(0);
    }
    client.readSlowly(0);
    for (let i = 0; i < count; i++) {
      const { payload } = await client.frame();
      const expected = pattern(sizes[i % sizes.length]!, i);
      expect(Buffer.compare(payload, expected), `message ${i}`).toBe(0);
    }
    client.destroy();
  });
});
