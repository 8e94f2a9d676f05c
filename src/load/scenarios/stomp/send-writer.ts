import { writeBroadcast } from '../../broadcast-message.ts';
import type { ScenarioHost } from '../scenario.ts';
import type { Destinations } from './destinations.ts';
import type { MessageBatch } from './message-batch.ts';
import type { StompSlot } from './stomp-slot.ts';

const LF = 10;
const NUL = 0;

/** On what a broker that makes queues of its own accord, as RabbitMQ does, is to throw away behind the last consumer. */
export const TEMPORARY = ['durable:false', 'auto-delete:true', 'exclusive:false'];

/** SendWriter: the SENDs of the publishers of a thread, whose heads are made before the clock starts. */
export class SendWriter {
  readonly #host: ScenarioHost<StompSlot>;
  readonly #batch: MessageBatch;
  /** By destination: a SEND up to its receipt, and the same for the first one that a connection sends there. */
  readonly #heads: readonly Buffer[];
  readonly #firstHeads: readonly Buffer[];

  constructor(host: ScenarioHost<StompSlot>, destinations: Destinations, batch: MessageBatch) {
    const { size } = host.plan;
    this.#host = host;
    this.#batch = batch;
    this.#heads = destinations.names.map((name) => headOf(name, size, []));
    this.#firstHeads = destinations.names.map((name, i) =>
      headOf(name, size, destinations.isQueue(i) ? TEMPORARY : []),
    );
  }

  /** The next message of a publisher, into the batch. @param time µs of the shared clock */
  add(slot: StompSlot, publisher: number, time: number): void {
    const { plan, run } = this.#host;
    const number = slot.published++;
    const destinations = this.#heads.length;
    const isFirst = slot.publishedHere++ < destinations;
    const head = (isFirst ? this.#firstHeads : this.#heads)[number % destinations]!;
    const receipt = plan.receipts ? `receipt:${number}\n` : '';
    if (plan.receipts) slot.receipts.add(number);
    const batch = this.#batch;
    let at = batch.reserve(head.length + receipt.length + 1 + plan.size + 1);
    const out = batch.bytes;
    out.set(head, at);
    at += head.length;
    at += out.write(receipt, at, 'latin1');
    out[at++] = LF;
    writeBroadcast(out, at, plan.size, run, publisher, number, time);
    out[at + plan.size] = NUL;
    batch.seal();
  }
}

function headOf(destination: string, size: number, more: readonly string[]): Buffer {
  const lines = ['SEND', `destination:${destination}`, `content-length:${size}`, ...more];
  return Buffer.from(lines.map((line) => `${line}\n`).join(''));
}
