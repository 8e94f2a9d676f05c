import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pacer } from '../../../src/load/pacer.ts';
import { payloadsOf } from '../../../src/load/payloads.ts';
import { SentTimes } from '../../../src/load/sent-times.ts';
import { EchoTraffic } from '../../../src/load/traffic.ts';
import { concat, frameBytes } from '../../support/protocol/frame-bytes.ts';
import { referenceVerdict } from '../../support/protocol/frame-reader.ts';

const RULES = { expectMasked: true, maxPayloadLength: 2 ** 24, maxFragments: 10, maxPings: 0 };

describe('payloadsOf', () => {
  it.each([4, 20, 1000, 100_000])('of %d bytes differ, and are the same in every run', (size) => {
    const payloads = payloadsOf(size, 'bytes');
    expect(payloads.length).toBeGreaterThanOrEqual(2);
    expect(new Set(payloads.map((payload) => Buffer.from(payload).toString('hex'))).size).toBe(
      payloads.length,
    );
    expect(payloadsOf(size, 'bytes')).toEqual(payloads);
    for (const payload of payloads) expect(payload.length).toBe(size);
  });

  it('of text are printable ASCII', () => {
    for (const payload of payloadsOf(500, 'text'))
      expect(Buffer.from(payload).toString()).toMatch(/^[\w-]{500}$/);
  });
});

describe('EchoTraffic', () => {
  it('writes the messages in turn from any place, masked, as many as asked for', () => {
    for (const [size, inFlight] of [
      [0, 3],
      [20, 100],
      [200, 5],
      [70_000, 2],
    ] as const) {
      const payloads = payloadsOf(size, 'bytes').slice(0, 5);
      const traffic = new EchoTraffic(payloads, true, inFlight);
      expect(traffic.period).toBe(payloads.length);
      for (let first = 0; first < traffic.period; first++) {
        for (const count of [1, traffic.batch]) {
          const { replies } = referenceVerdict(traffic.requests(first, count), RULES);
          const expected = Array.from({ length: count }, (_, i) => payloads[(first + i) % payloads.length]!);
          expect(replies.map(({ opcode }) => opcode)).toEqual(expected.map(() => 2));
          expect(Buffer.from(concat(...replies.map(({ payload }) => payload)))).toEqual(
            Buffer.from(concat(...expected)),
          );
          expect(traffic.requests(first, count)).toBe(traffic.requests(first, count));
        }
      }
    }
  });

  it('writes at most 64 KiB at once, or one message', () => {
    expect(new EchoTraffic(payloadsOf(1000, 'bytes'), true, 65_536).batch).toBe(65);
    expect(new EchoTraffic(payloadsOf(100_000, 'bytes'), true, 65_536).batch).toBe(1);
    expect(new EchoTraffic(payloadsOf(10, 'bytes'), true, 7).batch).toBe(7);
  });

  it('knows the replies in chunks of any size from any place, and nothing else for them', () => {
    const payloads = [Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 4), Uint8Array.of(5, 2, 3)];
    const traffic = new EchoTraffic(payloads, true, 8);
    const stream = concat(
      ...Array.from({ length: 12 }, (_, i) => frameBytes({ opcode: 2, payload: payloads[i % 3]! })),
    );
    const place = fc.record({
      first: fc.integer({ min: 0, max: 2 }),
      offset: fc.integer({ min: 0, max: 4 }),
      length: fc.integer({ min: 1, max: 20 }),
      flip: fc.option(fc.nat()),
    });
    fc.assert(
      fc.property(place, ({ first, offset, length, flip }) => {
        const start = first * traffic.replyLength + offset;
        const chunk = new Uint8Array(stream.subarray(start, start + length));
        if (flip !== null) chunk[flip % length]! ^= 1 + (flip % 255);
        const memory = concat(new Uint8Array(9), chunk, new Uint8Array(5));
        expect(traffic.continuesReplies(first, offset, memory, 9, 9 + length)).toBe(flip === null);
      }),
    );
  });

  it('knows the payloads', () => {
    const traffic = new EchoTraffic(payloadsOf(300, 'text'), false, 1);
    const memory = concat(new Uint8Array(3), traffic.payloads[1]!);
    expect(traffic.isPayload(1, memory, 3, 300)).toBe(true);
    expect(traffic.isPayload(0, memory, 3, 300)).toBe(false);
    expect(traffic.isPayload(1, memory, 3, 299)).toBe(false);
  });
});

describe('SentTimes', () => {
  it('gives messages back oldest first, whatever was written together', () => {
    const step = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 4 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const CAPACITY = 8;
        const times = new SentTimes(CAPACITY);
        const expected: number[] = [];
        let now = 0;
        for (const [isPush, wanted] of steps) {
          now++;
          if (isPush) {
            const count = Math.min(wanted, CAPACITY - expected.length);
            if (count === 0) continue;
            times.push(now, count);
            for (let i = 0; i < count; i++) expected.push(now);
          } else if (expected.length > 0) {
            const count = Math.min(wanted, times.oldestCount);
            expect(times.oldest).toBe(expected[0]);
            expect(times.oldestCount).toBe(expected.filter((time) => time === expected[0]).length);
            times.remove(count);
            expected.splice(0, count);
          }
          expect(times.outstanding).toBe(expected.length);
        }
      }),
    );
  });
});

describe('Pacer', () => {
  it('asks for as many messages as the rate has made due, however often it is asked', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.array(fc.double({ min: 0, max: 50, noNaN: true })),
        (rate, waits) => {
          const pacer = new Pacer(rate, 1000);
          let now = 1000;
          let total = 0;
          for (const wait of waits) {
            now += wait;
            total += pacer.due(now);
          }
          expect(Math.abs(total - ((now - 1000) * rate) / 1000)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });
});
