import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { createRing } from '../../../dist/src/ring/byte-ring.js';
import { createDoorbells, Doorbell, DoorbellWaiter } from '../../../dist/src/ring/doorbell.js';
import { RingConsumer } from '../../../dist/src/ring/ring-consumer.js';
import { RingProducer } from '../../../dist/src/ring/ring-producer.js';
import { until } from '../../support/tools/deadline.ts';
import { Control, fill, verify } from '../fixtures/ring-pattern.js';
import { createControl, exitOf, SOAK_SECONDS, startWorker } from './ring-threads.ts';

/** Expects the numbers 0, 1, 2 … in whole records, and goes to sleep whenever the ring is empty. */
class Reader {
  next = 0;
  wrong = 0;
  readonly consumer: RingConsumer;
  readonly waiter: DoorbellWaiter;

  constructor(consumer: RingConsumer, bells: SharedArrayBuffer) {
    this.consumer = consumer;
    this.waiter = new DoorbellWaiter(bells, 0, this);
  }

  onRecord(bytes: Uint8Array, offset: number, length: number): void {
    if (verify(bytes, offset, length) !== this.next++) this.wrong++;
  }

  onProducerRestart(): void {
    this.wrong++;
  }

  onReset(): void {
    this.wrong++;
  }

  hasWork(): boolean {
    return this.consumer.hasRecords();
  }

  onWake(): void {
    // Some batches a turn, so that timers get theirs.
    for (let batches = 0; batches < 100; batches++) {
      if (this.consumer.read(this) === 0 && this.waiter.wait()) return;
    }
    setImmediate(() => this.onWake());
  }
}

/** Resolves when the reader has `count` records; with RING_SOAK_SECONDS, when that time is over, too. */
async function reads(reader: Reader, count: number, share: number): Promise<void> {
  const end = performance.now() + SOAK_SECONDS * 1000 * share;
  while (reader.next < count || performance.now() < end) {
    const before = reader.next;
    // A lost wake-up stops everything for good; a busy machine only delays.
    await until(() => reader.next > before, 'the reader gets another record');
  }
}

const SHAPES = [
  {
    name: 'the smallest ring and records',
    capacity: 64,
    maxLength: 4,
    maxBatch: 2,
    cursor: 2 ** 32 - 4096,
    records: 20_000,
  },
  {
    name: 'records up to half a small ring',
    capacity: 1024,
    maxLength: 504,
    maxBatch: 6,
    cursor: 2 ** 31 - 65_536,
    records: 20_000,
  },
  {
    name: 'big batches in a big ring',
    capacity: 262_144,
    maxLength: 200,
    maxBatch: 500,
    cursor: 2 ** 32 - 1_000_000,
    records: 200_000,
  },
  {
    name: 'records far longer than a cache line',
    capacity: 65_536,
    maxLength: 30_000,
    maxBatch: 3,
    cursor: 0,
    records: 5000,
  },
];

const timeout = (SOAK_SECONDS + 90) * 1000;

describe('two threads', () => {
  test.each(SHAPES)('lose, tear and reorder nothing: $name', { timeout }, async (shape) => {
    const region = createRing(shape.capacity, shape.cursor);
    const bells = createDoorbells(1);
    const control = createControl();
    const reader = new Reader(new RingConsumer(region), bells);
    const { maxLength, maxBatch } = shape;
    const seed = (Math.random() * 2 ** 31) | 0;
    const worker = startWorker('ring-producer.js', {
      region,
      bells,
      thread: 0,
      control: control.buffer,
      seed,
      maxLength,
      maxBatch,
    });
    // Both events may come in one turn, so both are listened for from the start.
    const exit = exitOf(worker);
    reader.onWake();
    const message = once(worker, 'message') as Promise<[{ written: number }]>;
    await reads(reader, shape.records, 1 / SHAPES.length);
    Atomics.store(control, Control.STOP, 1);
    const [{ written }] = await message;
    await exit;
    while (reader.consumer.read(reader) > 0);
    reader.waiter.cancel();
    expect({ seed, wrong: reader.wrong, read: reader.next }).toEqual({ seed, wrong: 0, read: written });
    expect(reader.consumer.resets).toBe(0);
  });

  test('miss no wake-up, one message at a time', { timeout }, async () => {
    const [forth, back, bells] = [createRing(256), createRing(256), createDoorbells(2)];
    const producer = new RingProducer(forth);
    const consumer = new RingConsumer(back);
    const bell = new Doorbell(bells, 1);
    const worker = startWorker('ring-echo.js', { forth, back, bells, seed: 5 });
    const send = (): void => {
      fill(producer.bytes, producer.claim(16), 16, reader.next);
      producer.commit();
      bell.ring();
    };
    const reader = new Reader(consumer, bells);
    const check = reader.onRecord.bind(reader);
    reader.onRecord = (bytes, offset, length) => {
      check(bytes, offset, length);
      send();
    };
    await once(worker, 'online');
    send();
    reader.onWake();
    await reads(reader, 5000, 1 / 2);
    await worker.terminate();
    reader.waiter.cancel();
    expect(reader.wrong).toBe(0);
    expect(bell.wakes).toBeGreaterThan(10);
    expect(reader.waiter.wakes).toBeGreaterThan(10);
  });
});
