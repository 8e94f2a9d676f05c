import { describe, expect, it } from 'vitest';
import { fragmented, wordsOf } from '../../support/cases/hostile-frames.ts';
import { type Alive, watch } from '../../support/clients/alive.ts';
import { HostileClient, inParallel, openMany } from '../../support/clients/hostile-client.ts';
import { byteByByte, chunksOf } from '../../support/protocol/chunked.ts';
import {
  asciiPattern,
  binary,
  concat,
  frameBytes,
  last,
  more,
  pattern,
  ping,
  pong,
  SAMPLE_KEY,
  text,
  textStart,
  ZERO_KEY,
} from '../../support/protocol/frame-bytes.ts';
import { framesBytes } from '../../support/protocol/frame-reader.ts';
import { startApp, TARGETS, Tally, type Target } from '../../support/servers/hostile-server.ts';
import { arrayBuffersInUse } from '../../support/tools/array-buffers.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

const KIB = 1024;
const MIB = KIB * KIB;

const send = (client: HostileClient, ...frames: Parameters<typeof framesBytes>[0]): void => {
  client.write(framesBytes(frames, SAMPLE_KEY));
};

/** Bytes of `count` copies of a frame. */
function repeated(frame: Uint8Array, count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => frame));
}

describe.each(TARGETS)('%s under floods of frames', (_name, start) => {
  let target: Target;
  let alive: Alive;
  watch(start, (...watched) => {
    [target, alive] = watched;
  });

  it('gives each handler memory of its own that later messages leave alone (F19)', async () => {
    const clients = await openMany(target.port, 2, '/keep');
    const payloads = Array.from({ length: 20 }, (_, i) => pattern(1 + 53 * i, i + 1));
    // Both sockets in turns, two messages in one write.
    for (let i = 0; i < payloads.length; i += 2) {
      for (const client of clients) send(client, binary(payloads[i]), binary(payloads[i + 1]));
    }
    for (const client of clients) {
      const frames = await client.untilFrames(payloads.length - 1);
      expect(frames.map(({ payload }) => Buffer.from(payload).toString('hex'))).toEqual(
        payloads.slice(0, -1).map((payload) => Buffer.from(payload).toString('hex')),
      );
      client.destroy();
    }
    await alive.check();
  });

  it('joins 65,536 fragments of 16 bytes into one message (F23)', async () => {
    const client = await HostileClient.upgrade(target.port, '/fragments');
    const frames = fragmented(MIB, 65_536);
    client.write(framesBytes(frames, ZERO_KEY));
    await client.until(() => client.isOver || client.body.length >= MIB + 10, 'the echo');
    expect(client.frames.map(wordsOf)).toEqual([wordsOf(textFrame(asciiPattern(MIB)))]);
    client.destroy();
    await alive.check();
  });

  it('takes a message of 48 KiB that comes one byte a segment (F24)', async () => {
    const client = await HostileClient.upgrade(target.port, '/echo');
    const body = asciiPattern(48 * KIB);
    const bytes = frameBytes(text(body), SAMPLE_KEY);
    await client.writePieces(chunksOf(bytes, byteByByte(bytes.length)));
    await client.until(() => client.isOver || client.body.length >= body.length + 4, 'the echo');
    expect(client.frames.map(wordsOf)).toEqual([wordsOf(textFrame(body))]);
    client.destroy();
    await alive.check();
  });

  it('echoes 200,000 tiny messages of one burst in order while others go on (F25)', async () => {
    const client = await HostileClient.upgrade(target.port, '/echo');
    const count = 200_000;
    const messages = Buffer.alloc(count * 10);
    for (let i = 0; i < count; i++) {
      // A binary message of 4 bytes with its number, masked with 0.
      messages.set([0x82, 0x84, 0, 0, 0, 0], i * 10);
      messages.writeUInt32BE(i, i * 10 + 6);
    }
    const end = client.received + count * 6;
    client.write(messages);
    await alive.check(1);
    await client.until(() => client.isOver || client.received >= end, 'all echoes');
    const echoes = client.body;
    let wrong = 0;
    for (let i = 0; i < count; i++) if (echoes.readUInt32BE(i * 6 + 2) !== i) wrong++;
    expect([echoes.length, wrong]).toEqual([count * 6, 0]);
    client.destroy();
    await alive.check();
  });

  it('closes with 1008 when there are too many pings a second (F26)', async () => {
    const client = await HostileClient.upgrade(target.port, '/pings');
    client.write(repeated(frameBytes(ping('x'), SAMPLE_KEY), 200));
    await client.untilOver();
    const words = client.frames.map(wordsOf);
    expect(words.at(-1)).toBe('close 1008');
    // The clock's second may have turned in the middle.
    expect(words.slice(0, -1).every((word) => word === 'pong x')).toBe(true);
    expect([words.length - 1 >= 20, words.length - 1 <= 40]).toEqual([true, true]);
    client.destroy();
    await alive.check();
  });

  it('answers pings that are within the limit, each with its payload (F26)', async () => {
    const client = await HostileClient.upgrade(target.port, '/pings-unlimited');
    const count = 20_000;
    const frames = Array.from({ length: count }, (_, i) => ping(String(i).padStart(8, '0')));
    client.write(framesBytes(frames, SAMPLE_KEY));
    await client.until(() => client.isOver || client.body.length >= count * 10, 'all pongs');
    const words = client.frames.map(wordsOf);
    expect(words).toEqual(frames.map(({ payload }) => `pong ${Buffer.from(payload).toString()}`));
    client.destroy();
    await alive.check();
  });

  it('keeps one pong, the newest, for a peer that pings and does not read (F26)', async () => {
    const client = await HostileClient.upgrade(target.port, '/pings-unlimited');
    client.socket.pause();
    const size = 125;
    const count = 160_000;
    const before = process.memoryUsage.rss();
    const burst = repeated(frameBytes(ping('a'.repeat(size)), SAMPLE_KEY), 1000);
    for (let i = 0; i < count / 1000; i++) {
      client.write(burst);
      if (client.socket.writableNeedDrain)
        await new Promise((resolve) => client.socket.once('drain', resolve));
    }
    send(client, ping('the newest'), text('and a message'));
    await until(() => target.count(Tally.MESSAGES) > 0 && client.socket.writableLength === 0, 'all is sent');
    // 20 MB of pongs were due; what the server keeps of them is a few KiB. The rest is this process's own growth.
    expect(process.memoryUsage.rss() - before).toBeLessThan(96 * MIB);
    client.socket.resume();
    const isThere = (words: string): boolean => client.bytes.includes(words);
    const areThere = (): boolean => isThere('and a message') && isThere('the newest');
    await client.until(() => client.isOver || areThere(), 'the message and the newest pong');
    const words = client.frames.map(wordsOf);
    // The pong waits for room, the message for nothing but its turn.
    expect(words.slice(-2).toSorted()).toEqual(['pong the newest', 'text and a message']);
    expect(words.length).toBeLessThan(count);
    client.destroy();
    await alive.check();
  });

  it('ignores a flood of pongs (F27)', async () => {
    const client = await HostileClient.upgrade(target.port, '/echo');
    client.write(repeated(frameBytes(pong('x'.repeat(100)), SAMPLE_KEY), 50_000));
    send(client, text('behind them'));
    expect((await client.untilFrames(1)).map(wordsOf)).toEqual(['text behind them']);
    client.destroy();
    await alive.check();
  });

  it('has one close event with one code when both sides close at once (C08)', async () => {
    const codes = new Map<string, number>();
    await inParallel(Array.from({ length: 300 }), 32, async (_, i) => {
      const id = `both ${i}`;
      const client = await HostileClient.upgrade(target.port, `/ending?id=${encodeURIComponent(id)}`);
      // The message makes the server close with 4001; our own Close with 4002 crosses it.
      send(client, text('4001'));
      if (i % 3 === 1) await sleep(0);
      if (i % 3 === 2) await client.untilFrames(1);
      send(client, { opcode: 8, payload: Uint8Array.of(0x0f, 0xa2) });
      await client.untilOver();
      const closes = client.frames.filter(({ opcode }) => opcode === 8);
      expect(closes.map(wordsOf)).toEqual(['close 4001 as told']);
      client.destroy();
      await until(() => target.closesOf(id).length > 0, 'the close handler is called');
      codes.set(id, target.closesOf(id)[0]!.code);
    });
    await alive.check();
    expect([...codes.values()].every((code) => code === 4001)).toBe(true);
    for (const id of codes.keys()) expect(target.closesOf(id)).toHaveLength(1);
  });

  const states: Record<string, (client: HostileClient) => void | Promise<void>> = {
    'right after the 101': () => {},
    'inside a header': (client) => client.write(Uint8Array.of(0x81)),
    'inside a payload': (client) => client.write(frameBytes(text('hello'), SAMPLE_KEY).subarray(0, 8)),
    'inside a message': (client) => send(client, textStart('a'), more('b')),
    'behind a message': (client) => send(client, text('hello')),
    'with 64 KiB on the way back': (client) => {
      client.socket.pause();
      send(client, text('x'.repeat(65_000)));
    },
  };
  it.each(Object.keys(states))(
    'has one close event with 1006 when the peer resets %s (C09)',
    async (state) => {
      const ids = Array.from({ length: 40 }, (_, i) => `${state} ${i}`);
      await inParallel(ids, 20, async (id) => {
        const client = await HostileClient.upgrade(target.port, `/echo?id=${encodeURIComponent(id)}`);
        await states[state]!(client);
        client.reset();
      });
      await until(() => ids.every((id) => target.closesOf(id).length > 0), 'all close handlers are called');
      await alive.check();
      expect(new Set(ids.flatMap((id) => target.closesOf(id).map(({ code }) => code)))).toEqual(
        new Set([1006]),
      );
      expect(ids.filter((id) => target.closesOf(id).length !== 1)).toEqual([]);
    },
  );

  it('has one close event with the code it sent when the peer resets instead of answering (C09)', async () => {
    const ids = Array.from({ length: 40 }, (_, i) => `closing ${i}`);
    await inParallel(ids, 20, async (id) => {
      const client = await HostileClient.upgrade(target.port, `/ending?id=${encodeURIComponent(id)}`);
      send(client, text('4003'));
      await client.untilFrames(1);
      client.reset();
    });
    await until(() => ids.every((id) => target.closesOf(id).length > 0), 'all close handlers are called');
    await alive.check();
    expect(
      ids.filter((id) => JSON.stringify(target.closesOf(id).map(({ code }) => code)) !== '[4003]'),
    ).toEqual([]);
  });
});

describe('memory behind announced messages', () => {
  let target: Target;
  let alive: Alive;
  // In this thread, where the memory of its buffers can be seen.
  watch(startApp, (...watched) => {
    [target, alive] = watched;
  });

  const COUNT = 1000;
  /** Bytes in buffers that `COUNT` connections pin by what `attack` sends. */
  async function pinnedBy(path: string, attack: Uint8Array): Promise<number> {
    const clients = await openMany(target.port, COUNT, path);
    await sleep(50);
    const before = await arrayBuffersInUse();
    const received = target.count(Tally.MESSAGES);
    for (const client of clients) client.write(attack);
    // A message behind the attack tells that it was read.
    const probe = await HostileClient.upgrade(target.port, '/echo');
    await sleep(300);
    send(probe, text('probe'));
    await probe.untilFrames(1);
    expect(target.count(Tally.MESSAGES)).toBe(received + 1);
    const after = await arrayBuffersInUse();
    expect(clients.filter(({ isOver }) => isOver)).toEqual([]);
    probe.destroy();
    for (const client of clients) client.destroy();
    await alive.check();
    return after - before;
  }

  it('is that of what came, not of what was announced: 1,000 stalled frames of 16 MiB (F13)', async () => {
    const first = concat(Uint8Array.of(0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0), Uint8Array.of(1));
    expect(await pinnedBy('/big', first)).toBeLessThan(COUNT * 2 * KIB + 4 * MIB);
  });

  it('does not grow with the number of fragments: 1,000 messages of 1,000 fragments without an end (F21)', async () => {
    const frames = concat(
      frameBytes(textStart('a'), ZERO_KEY),
      repeated(frameBytes(more('b'), ZERO_KEY), 998),
    );
    expect(await pinnedBy('/fragments', frames)).toBeLessThan(COUNT * 8 * KIB + 4 * MIB);
  });

  it('ends with the message: connections that are idle keep nothing of what they sent', async () => {
    const clients = await openMany(target.port, 24, '/big');
    const before = await arrayBuffersInUse();
    for (const client of clients) {
      send(client, { ...binary(pattern(MIB)), fin: false }, last());
      await client.until(() => client.isOver || client.body.length > MIB, 'the echo');
      client.forget();
    }
    // One buffer may be waiting for the next message of that size; 24 may not.
    expect((await arrayBuffersInUse()) - before).toBeLessThan(12 * MIB);
    for (const client of clients) client.destroy();
    await alive.check();
  });
});

function textFrame(body: string): Parameters<typeof wordsOf>[0] {
  return { fin: true, rsv: 0, opcode: 1, key: null, payload: Buffer.from(body) };
}
