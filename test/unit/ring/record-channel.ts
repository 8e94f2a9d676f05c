import { createRing, type RingRegion } from '../../../src/ring/byte-ring.ts';
import { metaInstance, type OutgoingRecord, type ReceivedRecord } from '../../../src/ring/record.ts';
import { type MessageHandler, RecordAssembler } from '../../../src/ring/record-assembler.ts';
import { RecordWriter } from '../../../src/ring/record-writer.ts';
import { RingConsumer } from '../../../src/ring/ring-consumer.ts';
import { RingProducer } from '../../../src/ring/ring-producer.ts';
import { TopicReader } from '../../../src/ring/topic-bytes.ts';

/** A message as it arrived, taken out of the ring. */
export interface Received extends Omit<OutgoingRecord, 'body'> {
  body: Uint8Array;
  owned: boolean;
}

export function take(record: ReceivedRecord): Received {
  const { tag, kind, flags, isAddressed, sender, sequence, owned } = record;
  return {
    name: record.name(),
    tag,
    kind,
    flags,
    isAddressed,
    sender,
    instance: metaInstance(record.meta),
    sequence,
    owned,
    body: Uint8Array.from(record.body()),
  };
}

/** A ring with both ends in one thread. */
export class RecordChannel implements MessageHandler {
  readonly region: RingRegion;
  producer: RingProducer;
  writer: RecordWriter;
  readonly consumer: RingConsumer;
  readonly assembler: RecordAssembler;
  readonly received: Received[] = [];
  readonly events: string[] = [];
  readonly #limit: number;

  constructor(capacity: number, cursor = 0, limit = 1 << 20) {
    this.#limit = limit;
    this.region = createRing(capacity, cursor);
    this.producer = new RingProducer(this.region);
    this.writer = new RecordWriter(this.producer, limit);
    this.consumer = new RingConsumer(this.region);
    this.assembler = new RecordAssembler(this.consumer, this, new TopicReader(), limit);
  }

  onMessage(record: ReceivedRecord): void {
    this.received.push(take(record));
  }

  onProducerRestart(epoch: number): void {
    this.events.push(`restart ${epoch}`);
  }

  onReset(lostBytes: number): void {
    this.events.push(`reset ${lostBytes}`);
  }

  /** Puts another producer in the place of this one, as after a crash of its thread. */
  replaceProducer(): void {
    this.producer = new RingProducer(this.region);
    this.writer = new RecordWriter(this.producer, this.#limit);
  }

  /** Publishes what is claimed and reads until nothing is left. */
  flush(): void {
    this.producer.commit();
    while (this.consumer.read(this.assembler) > 0);
  }

  /** Writes one message to its end, reading whenever the ring is full. */
  send(message: OutgoingRecord): void {
    let status = this.writer.write(message);
    for (let turns = 0; status !== 0; turns++) {
      if (turns > 10_000 || status === 3) throw new Error(`cannot send: ${status}`);
      this.flush();
      status = this.writer.busy ? this.writer.resume() : this.writer.write(message);
    }
  }
}

export function message(fields: Partial<OutgoingRecord> = {}): OutgoingRecord {
  return {
    name: 'news',
    tag: -123_456,
    kind: 1,
    flags: 0,
    isAddressed: false,
    sender: 3,
    instance: 1,
    sequence: 17,
    body: Uint8Array.of(1, 2, 3),
    ...fields,
  };
}
