import { describe, expect, it } from 'vitest';
import { BlockPool, Cork, SLAB_SIZE, SlabPool } from '../../../src/net/write-memory.ts';

/** Corks `size` bytes. Returns where. */
function put(cork: Cork, size: number): number {
  const at = cork.reserve(size);
  if (at >= 0) cork.length += size;
  return at;
}

describe('Cork', () => {
  it('puts bytes one behind the other, until the slab is full', () => {
    const cork = new Cork(new SlabPool());
    expect([put(cork, 10), put(cork, 20), cork.room]).toEqual([0, 10, SLAB_SIZE - 30]);
    expect(put(cork, SLAB_SIZE - 29)).toBe(-1);
    expect(put(cork, SLAB_SIZE - 30)).toBe(30);
    expect(cork.room).toBe(0);
    expect(cork.view()).toHaveLength(SLAB_SIZE);
    cork.written();
    expect(put(cork, SLAB_SIZE)).toBe(0);
    cork.written();
    expect(cork.reserve(SLAB_SIZE + 1)).toBe(-1);
  });

  it('leaves bytes in flight alone, behind which it goes on, and in another slab when there is no room', () => {
    const slabs = new SlabPool();
    const cork = new Cork(slabs);
    put(cork, 100);
    cork.bytes.fill(1, 0, 100);
    const pinned = cork.pin();
    expect(put(cork, 50)).toBe(100);
    cork.written();
    // The write in flight still needs its bytes.
    expect(put(cork, SLAB_SIZE)).toBe(0);
    expect(cork.bytes).not.toBe(pinned.bytes);
    cork.bytes.fill(2);
    expect(pinned.bytes.subarray(0, 100).every((byte) => byte === 1)).toBe(true);
    expect([pinned.pins, pinned.isOpen]).toEqual([1, false]);
    slabs.unpin(pinned);
    expect(slabs.take()).toBe(pinned);
  });

  it('does not rewind while something waits before it', () => {
    const cork = new Cork(new SlabPool());
    put(cork, 10);
    cork.keep(64);
    expect(put(cork, 5)).toBe(64);
    cork.written();
    expect(cork.start).toBe(64);
    cork.letGo();
    expect(cork.start).toBe(0);
  });
});

it('a slab is lent again only when it is closed and no write is in flight out of it', () => {
  const slabs = new SlabPool();
  const slab = slabs.take();
  slab.pins = 2;
  slabs.close(slab);
  slabs.unpin(slab);
  expect(slabs.take()).not.toBe(slab);
  slabs.unpin(slab);
  expect(slabs.take()).toBe(slab);
  expect([slab.isOpen, slab.pins]).toEqual([true, 0]);
});

it('a block has memory of its own unless it is shared, which the pool never lends to others', () => {
  const pool = new BlockPool();
  const shared = Buffer.alloc(2048);
  const block = pool.share(shared);
  expect([block.bytes, block.length, block.isShared]).toEqual([shared, 2048, true]);
  pool.give(block);
  const others = Array.from({ length: 10 }, () => pool.take(2048));
  for (const { bytes, length, isShared } of others) {
    expect(bytes.buffer).not.toBe(shared.buffer);
    expect(bytes.length).toBeGreaterThanOrEqual(2048);
    expect([length, isShared]).toEqual([0, false]);
  }
  expect(new Set(others.map(({ bytes }) => bytes)).size).toBe(10);
});
