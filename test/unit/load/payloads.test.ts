import { describe, expect, it } from 'vitest';
import { type PayloadKind, payloadsOf } from '../../../src/load/payloads.ts';

describe.each<PayloadKind>(['bytes', 'text', 'records'])('payloads of %s', (kind) => {
  it.each([0, 1, 16, 1000, 4096, 100_000, 1_000_000])(
    'of %d bytes have that size, two at least, 64 at most',
    (size) => {
      const payloads = payloadsOf(size, kind);
      expect(new Set(payloads.map(({ length }) => length))).toEqual(new Set([size]));
      expect(payloads.length).toBeGreaterThanOrEqual(2);
      expect(payloads.length).toBeLessThanOrEqual(64);
      if (payloads.length > 2) expect(payloads.length * size).toBeLessThanOrEqual(256 * 1024);
    },
  );

  it('differ from each other, and are the same in every run', () => {
    const payloads = payloadsOf(64, kind).map((payload) => Buffer.from(payload).toString('hex'));
    expect(new Set(payloads).size).toBe(payloads.length);
    expect(payloadsOf(64, kind).map((payload) => Buffer.from(payload).toString('hex'))).toEqual(payloads);
  });

  it('are text where text is sent', () => {
    const isAscii = payloadsOf(1000, kind).every((payload) =>
      payload.every((byte) => byte >= 32 && byte < 127),
    );
    expect(isAscii).toBe(kind !== 'bytes');
  });
});
