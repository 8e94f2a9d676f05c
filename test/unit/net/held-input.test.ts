import { describe, expect, it } from 'vitest';
import { HeldInput } from '../../../src/net/held-input.ts';
import type { Transport } from '../../../src/net/transport.ts';
import { FRAME_HEADROOM } from '../../../src/protocol/frame-parser.ts';
import { concat, pattern } from '../../support/protocol/frame-bytes.ts';

/** Only asked for its identity. */
function socket(): Transport {
  return {} as Transport;
}

describe('HeldInput', () => {
  it('gives back what it was given, in order, with room for the cut start of a frame in front', () => {
    const held = new HeldInput();
    const [one, other] = [socket(), socket()];
    const parts = [pattern(10, 1), pattern(300, 2), pattern(70_000, 3), pattern(5, 4)];
    const memory = new Uint8Array(100_000);
    for (const part of parts) {
      memory.set(part, 100);
      held.add(one, memory, 100, 100 + part.length);
      memory.fill(0x77);
    }
    held.add(other, pattern(3, 9), 1, 3);
    const { bytes, start, end, error } = held.of(one)!;
    expect(Buffer.compare(bytes.subarray(start, end), concat(...parts))).toBe(0);
    expect([start >= FRAME_HEADROOM, error]).toEqual([true, 0]);
    held.drop(one);
    expect(held.of(one)).toBeUndefined();
    expect(held.of(other)!.end - held.of(other)!.start).toBe(2);
  });

  it('goes on behind what was handled meanwhile', () => {
    const held = new HeldInput();
    const one = socket();
    held.add(one, pattern(1000, 1), 0, 1000);
    held.of(one)!.start += 990;
    held.add(one, pattern(5000, 2), 0, 5000);
    const { bytes, start, end } = held.of(one)!;
    const wanted = concat(pattern(1000, 1).subarray(990), pattern(5000, 2));
    expect(Buffer.compare(bytes.subarray(start, end), wanted)).toBe(0);
  });

  it('takes what came before in front', () => {
    const held = new HeldInput();
    const one = socket();
    held.add(one, pattern(3000, 2), 0, 3000);
    held.of(one)!.start += 10;
    held.of(one)!.error = -1;
    held.addInFront(one, pattern(1000, 1), 10, 1000);
    const { bytes, start, end, error } = held.of(one)!;
    const wanted = concat(pattern(1000, 1).subarray(10), pattern(3000, 2).subarray(10));
    expect(Buffer.compare(bytes.subarray(start, end), wanted)).toBe(0);
    expect([start >= FRAME_HEADROOM, error]).toEqual([true, -1]);
  });

  it('has room for 64 MiB, and again when some is given back', () => {
    const held = new HeldInput();
    const bytes = new Uint8Array(256 * 1024 - FRAME_HEADROOM);
    const sockets: Transport[] = [];
    while (held.hasRoom && sockets.length < 1000) {
      const one = socket();
      sockets.push(one);
      held.add(one, bytes, 0, bytes.length);
    }
    // The memory is in powers of two, with the room in front.
    expect(sockets.length).toBe(256);
    held.drop(sockets[0]!);
    expect(held.hasRoom).toBe(true);
  });
});
