import { Counter, type LoadCounters } from '../../counters.ts';
import type { AckMode } from '../../options.ts';
import { SUBSCRIPTION_NAME } from './client-frame.ts';
import type { MessageBatch } from './message-batch.ts';
import type { ReceivedFrame } from './received-frame.ts';
import type { StompSlot } from './stomp-slot.ts';

const MESSAGE_ID = Buffer.from('message-id');
const ACK = Buffer.from('ack');

/** 1.2 acknowledges by the header ack of a MESSAGE, the others by its message-id. */
const HEAD = { id: Buffer.from('ACK\nid:'), messageId: Buffer.from('ACK\nmessage-id:') };
const TAIL = {
  id: Buffer.from('\n\n\0'),
  messageId: Buffer.from(`\nsubscription:${SUBSCRIPTION_NAME}\n\n\0`),
};

/** Acknowledger: the ACKs of the consumers of a thread. They go out with the batch. */
export class Acknowledger {
  readonly #mode: AckMode;
  readonly #batch: MessageBatch;
  readonly #counters: LoadCounters;

  constructor(mode: AckMode, batch: MessageBatch, counters: LoadCounters) {
    this.#mode = mode;
    this.#batch = batch;
    this.#counters = counters;
  }

  /** A MESSAGE of a queue. In the mode client the ACK waits for {@link flush}. */
  acknowledge(slot: StompSlot, frame: ReceivedFrame): void {
    if (this.#mode === 'auto') return;
    const header = frame.find(slot.version === '1.2' ? ACK : MESSAGE_ID);
    if (header < 0) {
      this.#counters.add(Counter.MISMATCHES, 1);
      return;
    }
    const { bytes } = frame;
    const start = frame.valueStart(header);
    const end = frame.valueEnd(header);
    if (this.#mode === 'client') {
      slot.cumulative = Buffer.from(bytes.subarray(start, end));
      slot.cumulativeCount++;
    } else {
      this.#add(slot, bytes, start, end);
      this.#counters.add(Counter.ACKNOWLEDGED, 1);
    }
  }

  /** The end of a chunk: in the mode client the last message stands for those before it. */
  flush(slot: StompSlot): void {
    const id = slot.cumulative;
    if (id === null) return;
    this.#add(slot, id, 0, id.length);
    this.#counters.add(Counter.ACKNOWLEDGED, slot.cumulativeCount);
    slot.cumulative = null;
    slot.cumulativeCount = 0;
  }

  /** The id goes back as it came: escaped in the same way. */
  #add({ version }: StompSlot, bytes: Uint8Array, start: number, end: number): void {
    const by = version === '1.2' ? 'id' : 'messageId';
    const head = HEAD[by];
    const tail = TAIL[by];
    const length = end - start;
    const at = this.#batch.reserve(head.length + length + tail.length);
    const out = this.#batch.bytes;
    out.set(head, at);
    for (let i = 0; i < length; i++) out[at + head.length + i] = bytes[start + i]!;
    out.set(tail, at + head.length + length);
    this.#batch.seal();
  }
}
