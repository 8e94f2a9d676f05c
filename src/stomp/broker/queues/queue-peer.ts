import type { Queue } from '../../queue/queue.ts';
import { QueueConsumer } from '../../queue/queue-consumer.ts';
import type { QueuedMessage } from '../../queue/queued-message.ts';
import { RecordBuffer } from '../record-buffer.ts';

/** A consumer of any thread, as the owner of its queue knows it. */
export class OwnedConsumer extends QueueConsumer {
  readonly queue: Queue;
  readonly peer: QueuePeer;
  readonly number: number;

  constructor(queue: Queue, peer: QueuePeer, number: number, window: number) {
    super(window);
    this.queue = queue;
    this.peer = peer;
    this.number = number;
  }
}

/** A message on its way to a consumer. */
export interface Parcel {
  readonly consumer: OwnedConsumer;
  readonly message: QueuedMessage;
}

/** A thread that has clients, as the owner of queues knows it. */
export class QueuePeer {
  readonly id: number;
  readonly run: number;
  readonly consumers = new Map<number, OwnedConsumer>();
  lastBatch = 0;
  lastAnswer: Uint8Array = new Uint8Array(0);
  /** Messages for it that were not sent yet, and the record that they are in; the own thread's are in none. */
  parcels: Parcel[] = [];
  readonly record = new RecordBuffer();
  /** It does not keep up: the record is tried again later. */
  isBlocked = false;

  constructor(id: number, run: number) {
    this.id = id;
    this.run = run;
  }
}
