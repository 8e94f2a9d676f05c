import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TurnBatch } from '../../../src/bus/turn-batch.ts';
import { textPort } from '../../../src/net/native-ports.ts';
import { SLAB_SIZE, SlabPool } from '../../../src/net/write-memory.ts';
import { Sender } from '../../../src/protocol/sender.ts';
import { pattern } from '../../support/protocol/frame-bytes.ts';
import { framesBytes, readFrames } from '../../support/protocol/frame-reader.ts';

const sender = new Sender('server', textPort);

/** Puts a binary message into the batch. */
function put(batch: TurnBatch<string>, payload: Uint8Array, from: string | null = null): number {
  const message = batch.begin(from, true);
  sender.bytes(batch, 0x82, payload);
  return message;
}

function frameOf(payload: Uint8Array): Uint8Array {
  return framesBytes([{ opcode: 2, payload }], null);
}

describe('a turn batch', () => {
  test('holds every message where it says, whatever their lengths', () => {
    const length = fc.oneof(fc.nat(130), fc.nat(3000), fc.integer({ min: 60_000, max: 70_000 }));
    const property = fc.property(fc.array(length, { maxLength: 60 }), fc.boolean(), (lengths, isText) => {
      const batch = new TurnBatch<string>(new SlabPool());
      lengths.forEach((length, i) => {
        expect(batch.begin(i % 3 === 0 ? null : `sender ${i}`, !isText)).toBe(i);
        if (isText) sender.text(batch, 0x81, 'é'.repeat(length >> 1));
        else sender.bytes(batch, 0x82, pattern(length, i + 1));
      });
      expect(batch.count).toBe(lengths.length);
      let position = 0;
      lengths.forEach((length, i) => {
        expect(batch.start(i)).toBe(position);
        position = batch.end(i);
        const frames = readFrames(batch.view(batch.start(i), batch.end(i)));
        const payload = isText ? Buffer.from('é'.repeat(length >> 1)) : pattern(length, i + 1);
        expect(frames).toHaveLength(1);
        expect(Buffer.compare(frames[0]!.payload, payload)).toBe(0);
        expect(batch.isBinary(i)).toBe(!isText);
        expect(batch.senderOf(i)).toBe(i % 3 === 0 ? null : `sender ${i}`);
      });
      expect(batch.length).toBe(position);
    });
    fc.assert(property, { numRuns: 60 });
  });

  test('has room for exactly a slab, and grows beyond', () => {
    const batch = new TurnBatch<string>(new SlabPool());
    put(batch, new Uint8Array(100));
    const left = SLAB_SIZE - batch.length;
    expect([batch.hasRoom(left), batch.hasRoom(left + 1)]).toEqual([true, false]);
    const { slab } = batch;
    put(batch, pattern(left - 4));
    expect([batch.length, batch.slab]).toEqual([SLAB_SIZE, slab]);
    put(batch, pattern(1));
    expect(batch.slab).not.toBe(slab);
    expect(batch.slab.memory).toBe(batch.bytes.buffer);
    const frames = [new Uint8Array(100), pattern(left - 4), pattern(1)].map(frameOf);
    expect(Buffer.compare(batch.view(0, batch.length), Buffer.concat(frames))).toBe(0);
  });

  test('gives the same view to all who want the same bytes, and a true one after every change', () => {
    const batch = new TurnBatch<string>(new SlabPool());
    put(batch, pattern(10));
    put(batch, pattern(20));
    const view = batch.view(0, batch.length);
    expect(batch.view(0, batch.length)).toBe(view);
    const second = batch.view(batch.start(1), batch.end(1));
    expect(Buffer.compare(second, frameOf(pattern(20)))).toBe(0);
    put(batch, pattern(SLAB_SIZE));
    expect(Buffer.compare(batch.view(batch.start(1), batch.end(1)), frameOf(pattern(20)))).toBe(0);
    expect(batch.view(batch.start(1), batch.end(1)).buffer).toBe(batch.slab.memory);
    batch.reset();
    put(batch, pattern(10, 5));
    expect(Buffer.compare(batch.view(0, batch.length), frameOf(pattern(10, 5)))).toBe(0);
  });

  test('begins anew in the same memory when nothing of it is in flight', () => {
    const batch = new TurnBatch<string>(new SlabPool());
    const { slab } = batch;
    put(batch, pattern(10), 'somebody');
    batch.reset();
    expect([batch.count, batch.length, batch.slab]).toEqual([0, 0, slab]);
    // Nobody is remembered as the sender of what comes next.
    put(batch, pattern(10));
    expect(batch.senderOf(0)).toBeNull();
  });

  test('leaves memory that is in flight alone until it is written', () => {
    const slabs = new SlabPool();
    const batch = new TurnBatch<string>(slabs);
    const { slab } = batch;
    put(batch, pattern(1000));
    const inFlight = batch.view(0, batch.length);
    const before = Uint8Array.from(inFlight);
    slab.pins++;
    // More of the same turn goes behind it.
    put(batch, pattern(1000, 2));
    batch.reset();
    expect(batch.slab).not.toBe(slab);
    for (let i = 0; i < 50; i++) {
      put(batch, new Uint8Array(1000).fill(0xee));
      put(batch, new Uint8Array(SLAB_SIZE).fill(0xee));
      batch.reset();
    }
    expect(Buffer.compare(inFlight, before)).toBe(0);
    expect(slabs.take()).not.toBe(slab);
    slabs.unpin(slab);
    expect(slabs.take()).toBe(slab);
  });

  test('keeps no more memory than a slab after a turn of large messages', () => {
    const slabs = new SlabPool();
    const batch = new TurnBatch<string>(slabs);
    put(batch, new Uint8Array(10 * SLAB_SIZE));
    const large = batch.slab;
    large.pins++;
    batch.reset();
    expect(batch.bytes.length).toBe(SLAB_SIZE);
    put(batch, new Uint8Array(3 * SLAB_SIZE));
    batch.reset();
    expect(batch.bytes.length).toBe(SLAB_SIZE);
    slabs.unpin(large);
    for (let i = 0; i < 10; i++) expect(slabs.take().bytes.length).toBe(SLAB_SIZE);
  });
});
