import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../../src/protocol/buffer-pool.ts';

const MIB = 1024 * 1024;

/** A pool that writes down what it allocates, without the memory for it. */
function counted(maxKept?: number): { pool: BufferPool; allocated: number[] } {
  const allocated: number[] = [];
  const pool = new BufferPool(maxKept, (size) => {
    allocated.push(size);
    return size > 4 * MIB ? ({ length: size } as Uint8Array) : new Uint8Array(size);
  });
  return { pool, allocated };
}

describe('BufferPool', () => {
  it.each([
    [0, 256],
    [1, 256],
    [255, 256],
    [256, 256],
    [257, 512],
    [512, 512],
    [513, 1024],
    [1024, 1024],
    [1025, 2048],
    [65536, 65536],
    [65537, 131072],
    [MIB, MIB],
    [MIB + 1, 2 * MIB],
    [32 * MIB + 1, 64 * MIB],
    [64 * MIB, 64 * MIB],
    [64 * MIB + 1, 64 * MIB + 1],
    [2 ** 31, 2 ** 31],
    [2 ** 32 + 5, 2 ** 32 + 5],
  ])('lends for %d bytes memory of %d', (size, wanted) => {
    const { pool, allocated } = counted();
    expect(pool.take(size).length).toBe(wanted);
    expect(allocated).toEqual([wanted]);
  });

  it('lends what was given back again, to requests of the same class only', () => {
    const { pool, allocated } = counted();
    const small = pool.take(200);
    const large = pool.take(2000);
    pool.give(small);
    pool.give(large);
    expect(pool.take(513)).not.toBe(small);
    expect(pool.take(1025)).toBe(large);
    expect(pool.take(256)).toBe(small);
    expect(pool.take(1)).not.toBe(small);
    expect(allocated).toEqual([256, 2048, 1024, 256]);
  });

  it('counts what it keeps', () => {
    const { pool } = counted();
    const loans = [pool.take(256), pool.take(300), pool.take(MIB)];
    expect(pool.kept).toBe(0);
    for (const loan of loans) pool.give(loan);
    expect(pool.kept).toBe(256 + 512 + MIB);
    pool.take(MIB);
    expect(pool.kept).toBe(256 + 512);
  });

  it('keeps up to its bound and no byte more', () => {
    const { pool, allocated } = counted(1024);
    const loans = [pool.take(512), pool.take(512), pool.take(256)];
    for (const loan of loans) pool.give(loan);
    expect(pool.kept).toBe(1024);
    pool.take(256);
    expect(allocated).toEqual([512, 512, 256, 256]);
    pool.take(512);
    expect(pool.kept).toBe(512);
  });

  it('keeps 16 MiB by default', () => {
    const { pool } = counted();
    for (const loan of Array.from({ length: 17 }, () => pool.take(MIB))) pool.give(loan);
    expect(pool.kept).toBe(16 * MIB);
  });

  it('keeps nothing when told so', () => {
    const { pool } = counted(0);
    pool.give(pool.take(256));
    expect(pool.kept).toBe(0);
  });

  it('does not keep memory above its largest class, or of a length that is no class', () => {
    const { pool } = counted(Number.MAX_SAFE_INTEGER);
    for (const length of [64 * MIB + 1, 128 * MIB, 2 ** 32]) pool.give({ length } as Uint8Array);
    for (const length of [0, 1, 128, 255, 257, 300, 1023]) pool.give(new Uint8Array(length));
    expect(pool.kept).toBe(0);
    pool.give({ length: 64 * MIB } as Uint8Array);
    expect(pool.kept).toBe(64 * MIB);
    expect(pool.take(33 * MIB).length).toBe(64 * MIB);
    expect(pool.kept).toBe(0);
  });

  it('makes zeroed memory unless it is given an allocator', () => {
    expect(new BufferPool().take(300)).toEqual(new Uint8Array(512));
  });
});
