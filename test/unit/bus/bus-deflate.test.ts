import { inflateRawSync, constants as zlib } from 'node:zlib';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { createLinkMemory } from '../../../src/bus/link-memory.ts';
import { Links } from '../../../src/bus/links.ts';
import { Counter } from '../../../src/metrics/counter.ts';
import { Shard } from '../../../src/shard/shard.ts';
import { payloadOf } from '../../support/protocol/deflate-payloads.ts';
import { concat, hex } from '../../support/protocol/frame-bytes.ts';
import { inflateSlowly } from '../../support/protocol/inflate-reference.ts';
import { BusReader } from './bus-reader.ts';
import { quiet } from './link-threads.ts';

let shard: Shard;
beforeEach(() => {
  shard = new Shard();
  shard.bus.variants!.isEnabled = true;
});

/** A subscriber of 't' that takes compressed messages with a window of 2^bits bytes; 0: it does not. */
function reader(bits: number, on = shard): BusReader {
  const made = new BusReader(on);
  made.deflateBits = bits;
  if (bits !== 0) on.bus.variants!.add(bits);
  return made.subscribe('t');
}

function endTurn(on = shard): void {
  on.bus.onTurnEnd();
  on.io.flushDirty();
}

/** What a reader got: each message, and whether it was compressed. */
function messagesOf(from: BusReader): [text: string, isCompressed: boolean][] {
  return from.frames().map(({ payload, rsv, fin }) => {
    expect(fin).toBe(true);
    if (rsv !== 4) return [Buffer.from(payload).toString(), false];
    const whole = concat(payload, hex('00 00 ff ff'));
    if (payload.length < 3000) {
      expect(inflateSlowly(whole).farthest).toBeLessThanOrEqual(2 ** from.deflateBits);
    }
    return [inflateRawSync(whole, { finishFlush: zlib.Z_SYNC_FLUSH }).toString(), true];
  });
}

const prose = (size: number, seed = 1): string => payloadOf('prose', size, seed) as string;

describe('a compressed publish', () => {
  test('is compressed once for all sockets whose window it fits', () => {
    const message = prose(3000);
    const all = [0, 15, 15, 12, 12, 0, 15].map((bits) => reader(bits));
    shard.publish('t', message, false, null, true);
    endTurn();
    for (const each of all) {
      expect(messagesOf(each)).toEqual([[message, each.deflateBits !== 0]]);
      expect(each.foreign > 0).toBe(each.deflateBits !== 0);
      expect(each.writes).toBe(1);
    }
    expect(shard.counters[Counter.DEFLATED]).toBe(1);
  });

  test('is compressed once more for each window that it is longer than', () => {
    const message = prose(3000);
    const all = [15, 9, 9, 11, 8].map((bits) => reader(bits));
    shard.publish('t', message, false, null, true);
    endTurn();
    for (const each of all) expect(messagesOf(each)).toEqual([[message, true]]);
    expect(shard.counters[Counter.DEFLATED]).toBe(4);
  });

  test('that is too long for the batch is shared as well', () => {
    const message = prose(40_000);
    const all = [0, 15, 15, 13].map((bits) => reader(bits));
    shard.publish('t', message, false, null, true);
    endTurn();
    for (const each of all) expect(messagesOf(each)).toEqual([[message, each.deflateBits !== 0]]);
    expect(shard.counters[Counter.DEFLATED]).toBe(2);
    expect(all[1]!.memories[0]).toBe(all[2]!.memories[0]);
  });

  test('goes as it is when it is short, or becomes no shorter, or nobody takes it', () => {
    const noise = payloadOf('noise', 300, 1) as Uint8Array;
    const plain = reader(0);
    shard.publish('t', prose(500), false, null, true);
    expect(shard.counters[Counter.DEFLATED]).toBe(0);
    endTurn();
    plain.frames();
    const compressing = reader(15);
    shard.publish('t', 'a'.repeat(63), false, null, true);
    expect(shard.counters[Counter.DEFLATED]).toBe(0);
    shard.publish('t', noise, true, null, true);
    shard.publish('t', prose(500), false, null, false);
    shard.publish('t', '', false, null, true);
    endTurn();
    expect(compressing.frames().map(({ rsv }) => rsv)).toEqual([0, 0, 0, 0]);
    expect(compressing.foreign).toBe(0);
  });

  test('keeps its place among plain ones, for those that take part of a turn too', () => {
    const [a, b, late] = [reader(15), reader(15), reader(15)] as [BusReader, BusReader, BusReader];
    const plain = reader(0);
    const sent: string[] = [];
    for (let i = 0; i < 12; i++) {
      const message = `${i} ${prose(100 + i * 40, i)}`;
      sent.push(message);
      // What it publishes itself is not for `a`.
      shard.publish('t', message, false, i === 5 ? a : null, i % 3 !== 0);
      if (i === 4) late.send('direct');
      if (i === 8) b.send('direct');
    }
    endTurn();
    const flags = sent.map((text, i): [string, boolean] => [text, i % 3 !== 0]);
    expect(messagesOf(a)).toEqual(flags.filter((_, i) => i !== 5));
    expect(messagesOf(plain)).toEqual(sent.map((text) => [text, false]));
    expect(messagesOf(late)).toEqual([...flags.slice(0, 5), ['direct', false], ...flags.slice(5)]);
    expect(messagesOf(b)).toEqual([...flags.slice(0, 9), ['direct', false], ...flags.slice(9)]);
  });

  test('that is dropped is told as it was', () => {
    const [slow, large] = [reader(15), reader(15)] as [BusReader, BusReader];
    for (const each of [slow, large]) {
      each.block();
      each.send('x'.repeat(5000));
    }
    endTurn();
    shard.publish('t', prose(500), false, null, true);
    endTurn();
    shard.publish('t', prose(20_000), false, null, true);
    endTurn();
    for (const each of [slow, large]) {
      const texts = each.dropped.map((payload) => Buffer.from(payload).toString());
      expect(texts.map(({ length }) => length)).toEqual([500, 20_000]);
      expect(texts.every((text) => prose(text.length) === text)).toBe(true);
    }
  });

  test('whose sockets have left is no longer compressed', () => {
    const first = reader(15);
    shard.bus.variants!.remove(first.deflateBits);
    first.deflateBits = 0;
    shard.publish('t', prose(500), false, null, true);
    endTurn();
    expect(shard.counters[Counter.DEFLATED]).toBe(0);
    expect(messagesOf(first)).toEqual([[prose(500), false]]);
  });

  test('comes to every socket as it was, whatever is published and wherever turns end', () => {
    const step = fc.record({
      size: fc.constantFrom(0, 10, 64, 200, 700, 3000, 17_000),
      compress: fc.boolean(),
      endsTurn: fc.boolean(),
      direct: fc.nat(5),
      from: fc.nat(6),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        shard = new Shard();
        shard.bus.variants!.isEnabled = true;
        const all = [0, 15, 15, 9, 12, 0].map((bits) => reader(bits));
        const expected: string[][] = all.map(() => []);
        for (const [i, { size, compress, endsTurn, direct, from }] of steps.entries()) {
          const message = prose(size, i);
          shard.publish('t', message, false, all[from] ?? null, compress);
          for (const [j, list] of expected.entries()) if (j !== from) list.push(message);
          if (i % 4 === 3) {
            all[direct]!.send(`direct ${i}`);
            expected[direct]!.push(`direct ${i}`);
          }
          if (endsTurn) endTurn();
        }
        endTurn();
        for (const [i, each] of all.entries()) {
          expect(messagesOf(each).map(([text]) => text)).toEqual(expected[i]);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('a compressed publish of another thread', () => {
  test('comes in both variants, and is compressed again only for smaller windows', async () => {
    const memory = createLinkMemory(2, 5);
    const [here, there] = [0, 1].map((i) => {
      const made = new Shard(i, null, new Links(memory, i, () => undefined));
      made.bus.variants!.isEnabled = true;
      return made;
    }) as [Shard, Shard];
    const all = [0, 15, 12, 9].map((bits) => reader(bits, there));
    const messages = [prose(300, 1), prose(3000, 2), prose(60, 3), prose(20_000, 4), prose(100_000, 5)];
    for (const message of messages) here.publish('t', message, false, null, true);
    endTurn(here);
    await quiet(memory);
    endTurn(there);
    for (const each of all) {
      expect(messagesOf(each)).toEqual(
        messages.map((text) => [text, each.deflateBits !== 0 && text.length >= 64]),
      );
    }
    // 512 bytes are fewer than three of the messages, 4 KiB fewer than two; 32 KiB are all there are to refer to.
    expect([here, there].map(({ counters }) => counters[Counter.DEFLATED])).toEqual([4, 5]);
  });
});
