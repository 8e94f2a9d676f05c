import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeldBytes } from '../../../../src/stomp/session/held-bytes.ts';

describe('held bytes', () => {
  it('come out as they came in, however they are appended and dropped', () => {
    const action = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 60 }));
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const held = new HeldBytes();
        let expected: number[] = [];
        for (const one of actions) {
          if (typeof one === 'number') {
            const count = Math.min(one, expected.length);
            held.drop(count);
            expected = expected.slice(count);
          } else {
            const bytes = one.slice();
            held.append(bytes);
            bytes.fill(0xee);
            expected.push(...one);
          }
          expect([...held.bytes]).toEqual(expected);
          expect(held.size).toBe(expected.length);
        }
      }),
    );
  });

  it('take at most twice their size in memory, in however small pieces they came', () => {
    const held = new HeldBytes();
    for (let i = 0; i < 5000; i++) held.append(Uint8Array.of(i));
    for (let i = 0; i < 5000; i++) held.append(new Uint8Array(0));
    expect(held.bytes.buffer.byteLength).toBeLessThanOrEqual(10_000);
    held.drop(5000);
    expect([held.size, held.bytes.buffer.byteLength]).toEqual([0, 0]);
  });
});
