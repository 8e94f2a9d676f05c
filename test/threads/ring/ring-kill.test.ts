import { describe, expect, test } from 'vitest';
import { createRing } from '../../../dist/src/ring/byte-ring.js';
import { createDoorbells } from '../../../dist/src/ring/doorbell.js';
import type { ReceivedRecord } from '../../../dist/src/ring/record.js';
import { RecordAssembler } from '../../../dist/src/ring/record-assembler.js';
import { RingConsumer } from '../../../dist/src/ring/ring-consumer.js';
import { RingProducer } from '../../../dist/src/ring/ring-producer.js';
import { TopicReader } from '../../../dist/src/ring/topic-bytes.js';
import { Control, fill, makeRandom, verify } from '../fixtures/ring-pattern.js';
import { createControl, sleep, startWorker, turn } from './ring-threads.ts';

const RUNS = 40;

/** Expects whole records, numbered from 0 after every restart. */
class Reader {
  next = 0;
  torn = 0;
  restarts = 0;
  resets = 0;

  onRecord(bytes: Uint8Array, offset: number, length: number): void {
    if (verify(bytes, offset, length) !== this.next++) this.torn++;
  }

  onProducerRestart(): void {
    this.restarts++;
    this.next = 0;
  }

  onReset(): void {
    this.resets++;
  }
}

/** Waits until the worker has begun, reading or not. */
async function started(control: Int32Array, read: () => void): Promise<void> {
  for (let i = 0; Atomics.load(control, Control.COUNT) === 0; i++) {
    if (i > 5000) throw new Error('the worker does not start');
    read();
    await sleep(1);
  }
}

/** Reads for a random while, a few milliseconds at most. */
async function readFor(milliseconds: number, read: () => void): Promise<void> {
  for (const end = performance.now() + milliseconds; performance.now() < end; await turn()) read();
}

describe('a producer killed at any moment', () => {
  test(`leaves no torn record, in ${RUNS} runs on one ring`, async () => {
    const region = createRing(16_384, 2 ** 32 - 8192);
    const consumer = new RingConsumer(region);
    const reader = new Reader();
    const random = makeRandom((Math.random() * 2 ** 31) | 0);
    let midWrite = 0;
    for (let run = 0; run < RUNS; run++) {
      const control = createControl();
      const bells = createDoorbells(1);
      const worker = startWorker('ring-producer.js', {
        region,
        bells,
        thread: 0,
        control: control.buffer,
        seed: random(2 ** 30),
        maxLength: 8000,
        maxBatch: 2,
      });
      // Every third run nobody reads, so the kill meets a full ring as well.
      const read = run % 3 === 0 ? () => undefined : () => consumer.read(reader);
      await started(control, read);
      await readFor(random(8), read);
      await worker.terminate();
      midWrite += Atomics.load(control, Control.WRITING);
      const committed = Atomics.load(control, Control.COUNT);
      while (consumer.read(reader) > 0);
      // The count is stored after the commit, so the last batch may be missing from it.
      expect(reader.next - committed).toBeGreaterThanOrEqual(0);
      expect(reader.next - committed).toBeLessThanOrEqual(2);
    }
    expect(reader).toMatchObject({ torn: 0, resets: 0, restarts: RUNS - 1 });
    // Otherwise the test has shown nothing.
    expect(midWrite).toBeGreaterThan(0);
  });

  test('leaves no partial message: what arrives is whole and in order', async () => {
    const MAX = 100_000;
    const region = createRing(32_768);
    const consumer = new RingConsumer(region);
    const seen = { next: 0, wrong: 0, restarts: 0, resets: 0, pieces: 0 };
    const handler = {
      onMessage(record: ReceivedRecord): void {
        const number = verify(record.bytes, record.bodyOffset, record.bodyLength);
        const same = number === record.sequence && number === seen.next && record.tag === number % 10;
        if (!same || record.name() !== `topic ${number % 10}`) seen.wrong++;
        if (record.owned) seen.pieces++;
        seen.next++;
      },
      onProducerRestart(): void {
        seen.restarts++;
        seen.next = 0;
      },
      onReset(): void {
        seen.resets++;
      },
    };
    const assembler = new RecordAssembler(consumer, handler, new TopicReader(), MAX);
    const random = makeRandom((Math.random() * 2 ** 31) | 0);
    const runs = RUNS / 2;
    for (let run = 0; run < runs; run++) {
      const control = createControl();
      const workerData = { region, control: control.buffer, seed: random(2 ** 30), maxLength: MAX };
      const worker = startWorker('ring-publisher.js', workerData);
      const read = (): number => consumer.read(assembler);
      await started(control, read);
      await readFor(random(8), read);
      await worker.terminate();
      while (consumer.read(assembler) > 0);
      expect(seen.next).toBeGreaterThanOrEqual(Atomics.load(control, Control.COUNT));
    }
    expect(seen).toMatchObject({ wrong: 0, resets: 0, restarts: runs - 1 });
    expect(seen.pieces).toBeGreaterThan(0);
    expect(assembler).toMatchObject({ malformed: 0, tooBig: 0 });
    expect(assembler.broken).toBeGreaterThan(0);
  });
});

describe('a consumer killed at any moment', () => {
  test('is replaced by one that goes on at the live edge', async () => {
    const region = createRing(16_384);
    const producer = new RingProducer(region);
    const random = makeRandom((Math.random() * 2 ** 31) | 0);
    let number = 0;
    const write = (): void => {
      for (let i = 0; i < 50; i++) {
        const length = 4 + random(500);
        const offset = producer.claim(length);
        if (offset < 0) break;
        fill(producer.bytes, offset, length, number++);
      }
      producer.commit();
    };
    for (let run = 0; run < 15; run++) {
      const control = createControl();
      const worker = startWorker('ring-consumer.js', { region, control: control.buffer });
      await started(control, write);
      await readFor(random(8), write);
      await worker.terminate();
      expect([run, Atomics.load(control, Control.FAILED)]).toEqual([run, 0]);
      // Nobody reads: the producer finds the ring full, and nothing worse.
      for (let i = 0; i < 40; i++) write();
      expect(producer.claim(producer.maxRecordLength)).toBe(-1);
    }
    expect(producer.repairs).toBe(0);
    const last = new RingConsumer(region);
    expect(last.epoch).toBe(16);
    expect(last.lostBytes).toBeGreaterThan(0);
    expect(last.hasRecords()).toBe(false);
  });
});
