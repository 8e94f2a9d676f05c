import { randomBytes } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Counter, THREAD_SLOTS } from '../../../src/metrics/counter.ts';
import { ZlibDeflatePort } from '../../../src/net/zlib-deflater.ts';
import { deflateForMany, InflateError, MessageDeflate } from '../../../src/protocol/message-deflate.ts';
import type { DeflateParams } from '../../../src/protocol/permessage-deflate.ts';
import { ALONE, HISTORY } from '../../support/protocol/deflate.ts';
import { deflated, HELLO } from '../../support/protocol/deflated.ts';
import { LedgerPool } from '../../support/protocol/endpoint.ts';
import { concat, hex } from '../../support/protocol/frame-bytes.ts';
import { inflateSlowly } from '../../support/protocol/inflate-reference.ts';

const MAX = 1024 * 1024;

/** One end of a connection, with memory that is watched. */
class End {
  readonly port = new ZlibDeflatePort(new Float64Array(THREAD_SLOTS));
  readonly pool = new LedgerPool();
  readonly deflate: MessageDeflate;

  constructor(params: DeflateParams, role: 'server' | 'client' = 'server', memLevel = 8) {
    this.deflate = new MessageDeflate(params, role, memLevel, this.port);
  }

  /** The message, or an InflateError. `behind`: bytes of memory behind the payload. */
  inflate(payload: Uint8Array, behind = 32, max = MAX): Uint8Array | number {
    const bytes = new Uint8Array(7 + payload.length + behind).fill(0x5a);
    bytes.set(payload, 7);
    const before = new Uint8Array(bytes);
    const length = this.deflate.inflate(bytes, 7, payload.length, max, this.pool);
    expect(bytes).toEqual(before);
    if (length < 0) {
      expect(this.pool.lentBytes).toBe(0);
      return length;
    }
    const inflated = this.deflate.takeInflated();
    expect(this.deflate.takeInflated()).toHaveLength(0);
    const message = new Uint8Array(inflated.subarray(0, length));
    this.pool.give(inflated);
    return message;
  }
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

/** Text that repeats itself at every distance up to its length. */
function prose(length: number, seed = 1): Uint8Array {
  let text = '';
  for (let i = seed; text.length < length; i++) text += `${(i * 7919) % 1000} `;
  return bytes(text.slice(0, length));
}

describe('The examples of RFC 7692 §7.2.3', () => {
  it.each([
    ['§7.2.3.1, one block', ['f2 48 cd c9 c9 07 00'], ['Hello']],
    ['§7.2.3.2, a shared window', ['f2 48 cd c9 c9 07 00', 'f2 00 11 00 00'], ['Hello', 'Hello']],
    ['§7.2.3.3, a block without compression', ['00 05 00 fa ff 48 65 6c 6c 6f 00'], ['Hello']],
    ['§7.2.3.4, a final block', ['f3 48 cd c9 c9 07 00 00'], ['Hello']],
    ['§7.2.3.5, two blocks', ['f2 48 05 00 00 00 ff ff ca c9 c9 07 00'], ['Hello']],
    ['§7.2.3.6, an empty message', ['00'], ['']],
  ])('%s', (_name, payloads, messages) => {
    for (const behind of [0, 1, 5, 6, 40]) {
      const end = new End(HISTORY);
      expect(
        payloads.map((each) => Buffer.from(end.inflate(hex(each), behind) as Uint8Array).toString()),
      ).toEqual(messages);
    }
  });

  it('are also what we send', () => {
    const end = new End(HISTORY);
    expect(end.deflate.deflate(bytes('Hello'))).toEqual(Buffer.from(HELLO));
    expect(Buffer.from(end.deflate.deflate(bytes('Hello'))!).toString('hex')).toBe('f200110000');
  });
});

describe.each([
  ['without history', ALONE],
  ['with history', HISTORY],
])('MessageDeflate %s', (_name, params) => {
  it.each([
    ['nothing at all', new Uint8Array(0), ''],
    ['an empty block', hex('00'), ''],
    ['a final block without anything behind it', hex('f3 48 cd c9 c9 07 00'), 'Hello'],
    [
      'final blocks one behind the other',
      concat(hex('03 00'), hex('f3 48 cd c9 c9 07 00'), hex('03 00 00')),
      'Hello',
    ],
  ])('takes %s', (_case, payload, message) => {
    for (const behind of [0, 3, 6, 100]) {
      const end = new End(params);
      expect(end.inflate(payload, behind)).toEqual(bytes(message));
      expect(end.inflate(HELLO, behind)).toEqual(bytes('Hello'));
    }
  });

  it.each([
    ['garbage', 'ff'],
    ['a reserved block type', '06 00'],
    ['a stored block whose lengths do not match', '00 05 00 00 00 48 65 6c 6c 6f 00'],
    ['a distance behind the beginning', 'f2 00 11 00 00'],
    ['a stored block that is cut', '00 05 00 fa ff 48 65'],
    ['a Huffman block that is cut', 'f2 48 cd'],
    ['a message with its tail', 'f2 48 cd c9 c9 07 00 00 00 ff ff'],
    ['final blocks without end', '03 00 '.repeat(200)],
  ])('refuses %s', (_case, payload) => {
    for (const behind of [0, 6, 100]) {
      const end = new End(params);
      expect(end.inflate(hex(payload), behind)).toBe(InflateError.DAMAGED);
      // The context of the thread is fit for the next.
      end.deflate.release();
      expect(end.inflate(HELLO, behind)).toEqual(bytes('Hello'));
    }
  });

  it('stops at the limit, wherever it is', () => {
    const message = new Uint8Array(100_000);
    const payload = deflated(message);
    for (const max of [1, 10, 4095, 4096, 4097, 65_536, 99_999]) {
      const end = new End(params);
      expect(end.inflate(payload, 100, max)).toBe(InflateError.TOO_BIG);
      expect(end.pool.mostLent).toBeLessThanOrEqual(4 * Math.max(max, 4096) + 8192);
      end.deflate.release();
      expect(end.inflate(HELLO)).toEqual(bytes('Hello'));
    }
    expect(new End(params).inflate(payload, 0, 100_000)).toEqual(message);
    expect(new End(params).inflate(payload, 100, 100_000)).toEqual(message);
  });

  it('gives up a bomb after as much as the limit', () => {
    const bomb = deflated(new Uint8Array(16 * 1024 * 1024));
    const end = new End(params);
    expect(end.inflate(bomb, 100, 16_384)).toBe(InflateError.TOO_BIG);
    expect(end.port.counters[Counter.INFLATE_BYTES_OUT]).toBeLessThanOrEqual(16_385);
    expect(end.pool.mostLent).toBeLessThanOrEqual(32_768);
  });

  it('makes of what it inflates what zlib does, for any data', () => {
    const blocks = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 5 }), fc.nat(3000)).map(([unit, times]) => {
          return Uint8Array.from({ length: unit.length * times }, (_, i) => unit[i % unit.length]!);
        }),
      ),
      { maxLength: 5 },
    );
    const end = new End(params);
    const peer = new End(params, 'client');
    fc.assert(
      fc.property(blocks, fc.nat(8), (parts, behind) => {
        const message = concat(...parts);
        const payload = peer.deflate.deflate(message) ?? deflated(message);
        const result = end.inflate(payload, behind);
        expect(Buffer.compare(result as Uint8Array, message)).toBe(0);
      }),
      { numRuns: 300 },
    );
    expect(end.pool.lentBytes).toBe(0);
  });

  it('never throws, and comes to a message or an error, for any bytes', () => {
    const end = new End(params);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(8), (payload, behind) => {
        const result = end.inflate(payload, behind, 5000);
        expect(typeof result !== 'number' || result === -1007 || result === -1009).toBe(true);
        end.deflate.release();
      }),
      { numRuns: 2000 },
    );
    expect(end.inflate(HELLO)).toEqual(bytes('Hello'));
  });

  it('tells a message that was cut off somewhere nearly always', () => {
    const whole = deflated(prose(2000));
    const end = new End(params);
    let missed = 0;
    for (let length = 1; length < whole.length; length++) {
      const result = end.inflate(whole.subarray(0, length));
      if (result !== InflateError.DAMAGED) missed++;
      end.deflate.release();
    }
    expect(missed).toBeLessThan(whole.length / 10);
  });
});

describe('Messages out', () => {
  const windows = [8, 9, 10, 11, 12, 13, 14, 15];

  it.each(windows)('never refer back further than a window of %i bits, with history', (bits) => {
    const end = new End({ ...HISTORY, serverMaxWindowBits: bits }, 'server', 1 + (bits % 8));
    let history: number[] = [];
    for (let i = 0; i < 6; i++) {
      const message = i === 3 ? randomBytes(1500) : prose(i === 0 ? 34_000 : 700, i * 3);
      const { bytes: inflated, farthest } = inflateSlowly(withTail(end.deflate.deflate(message)!), history);
      expect(Buffer.compare(Uint8Array.from(inflated), message)).toBe(0);
      expect(farthest).toBeLessThanOrEqual(2 ** bits);
      history = history.concat(inflated);
    }
  });

  it.each(windows)('refer to nothing outside a message and a window of %i bits, without history', (bits) => {
    const end = new End({ ...ALONE, serverMaxWindowBits: bits });
    for (const length of [100, 2 ** bits - 1, 2 ** bits, 2 ** bits + 1]) {
      for (const payload of [
        end.deflate.deflate(prose(length))!,
        deflateForMany(end.port, bits, prose(length))!,
      ]) {
        const { bytes: inflated, farthest } = inflateSlowly(withTail(payload));
        expect(Buffer.compare(Uint8Array.from(inflated), prose(length))).toBe(0);
        expect(farthest).toBeLessThanOrEqual(2 ** bits);
      }
    }
  });

  it('are sent as they are when compression makes them no shorter, unless they are history', () => {
    const noise = randomBytes(500);
    expect(new End(ALONE).deflate.deflate(noise)).toBeNull();
    expect(deflateForMany(new End(ALONE).port, 15, noise)).toBeNull();
    expect(new End(ALONE).deflate.deflate(new Uint8Array(0))).toBeNull();
    const end = new End(HISTORY);
    expect(inflateRawSync(withTail(end.deflate.deflate(noise)!), { finishFlush: 2 })).toEqual(noise);
  });

  it('may be fragments, of which the last ends like a message', () => {
    for (const params of [ALONE, HISTORY]) {
      const end = new End(params);
      const peer = new End(params, 'client');
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { minLength: 1, maxLength: 6 }), (parts) => {
          const payloads = parts.map((part, i) => {
            return new Uint8Array(end.deflate.deflateFragment(part, i === parts.length - 1));
          });
          const result = peer.inflate(concat(...payloads));
          expect(Buffer.compare(result as Uint8Array, concat(...parts))).toBe(0);
        }),
        { numRuns: 200 },
      );
    }
  });

  it('do not refer back behind a message that was made elsewhere', () => {
    const end = new End(HISTORY);
    const peer = new End(HISTORY, 'client');
    const messages = [prose(600), prose(700), prose(700), prose(650), prose(650)];
    const payloads = messages.map((message, i) => {
      if (i === 1 || i === 3) {
        end.deflate.noteForeign();
        return new Uint8Array(deflateForMany(end.port, 15, message)!);
      }
      return new Uint8Array(end.deflate.deflate(message)!);
    });
    expect(payloads.map((payload) => peer.inflate(payload))).toEqual(messages);
  });

  it('may be so long that the output grows', () => {
    for (const params of [ALONE, HISTORY]) {
      const end = new End(params, 'server', 1);
      const message = concat(randomBytes(3_000_000), prose(100_000));
      expect(
        inflateRawSync(withTail(end.deflate.deflate(message)!), { finishFlush: 2 }).equals(message),
      ).toBe(true);
    }
  });
});

describe('Contexts', () => {
  it('are shared by connections without history, and counted', () => {
    const { port, deflate } = new End(ALONE);
    const other = new MessageDeflate(ALONE, 'server', 8, port);
    expect([deflate.isShared, other.isShared, new End(HISTORY).deflate.isShared]).toEqual([
      true,
      true,
      false,
    ]);
    expect(port.sharedDeflater(15)).toBe(port.sharedDeflater(15));
    expect(port.sharedInflater()).toBe(port.sharedInflater());
    const [first, second] = [deflate, other].map((each) => new Uint8Array(each.deflate(prose(400))!));
    expect(first).toEqual(second);
    expect(port.counters[Counter.DEFLATED]).toBe(2);
    expect(port.counters[Counter.DEFLATE_BYTES_IN]).toBe(800);
    expect(port.counters[Counter.DEFLATE_BYTES_OUT]).toBe(2 * (first!.length + 4));
    expect(port.counters[Counter.DEFLATE_TIME]).toBeGreaterThan(0);
  });

  it('of connections that are over have no history for the next', () => {
    const port = new ZlibDeflatePort(new Float64Array(THREAD_SLOTS));
    const taken: unknown[] = [];
    const lengths = Array.from({ length: 5 }, () => {
      const deflate = new MessageDeflate(HISTORY, 'server', 8, port);
      const { length } = deflate.deflate(prose(400))!;
      taken.push(deflate.deflate(prose(400))!.length < length);
      deflate.release();
      return length;
    });
    expect(new Set(lengths).size).toBe(1);
    expect(taken).toEqual([true, true, true, true, true]);
    const deflater = port.takeDeflater(15, 8);
    port.giveDeflater(deflater);
    expect(port.takeDeflater(15, 8)).toBe(deflater);
    expect(port.takeDeflater(15, 8)).not.toBe(deflater);
    expect(port.takeDeflater(14, 8)).not.toBe(deflater);
  });

  it('are closed when too many are spare', () => {
    const port = new ZlibDeflatePort(new Float64Array(THREAD_SLOTS));
    const taken = Array.from({ length: 100 }, () => [port.takeDeflater(9, 1), port.takeInflater(9)] as const);
    for (const [deflater, inflater] of taken) {
      port.giveDeflater(deflater);
      port.giveInflater(inflater);
    }
    const again = Array.from({ length: 100 }, () => port.takeDeflater(9, 1));
    expect(again.filter((each) => taken.some(([deflater]) => deflater === each))).toHaveLength(64);
  });
});

function withTail(payload: Uint8Array): Uint8Array {
  return concat(payload, hex('00 00 ff ff'));
}
