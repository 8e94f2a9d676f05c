import { QueuedMessage } from '../../queue/queued-message.ts';
import { RecordBuffer, RecordReader } from '../record-buffer.ts';
import type { QueueOwner } from './queue-owner.ts';
import { OwnedConsumer } from './queue-peer.ts';

/** Of what is packed: a successor may run other code. */
const VERSION = 1;
const PIECE = 64 * 1024;

const Part = { END: 0, PEER: 1, QUEUE: 2, CONSUMER: 3, MESSAGE: 4, LETTER: 5 } as const;

/**
 * All that an owner has, for its successor: threads and what they said last, queues, their consumers with what they have, and
 * what waits. A piece has whole parts.
 */
export function* packOwner(owner: QueueOwner): Iterable<Uint8Array> {
  const buffer = new RecordBuffer();
  buffer.uint32(VERSION);
  buffer.uint32(owner.epoch);
  buffer.float64(owner.lastNumber);
  for (const { id, run, lastBatch, lastAnswer } of owner.peers.values()) {
    buffer.uint8(Part.PEER);
    buffer.uint32(id);
    buffer.uint32(run);
    buffer.uint32(lastBatch);
    buffer.bytes(lastAnswer);
  }
  for (const queue of owner.queues.values()) {
    buffer.uint8(Part.QUEUE);
    buffer.text(queue.name);
    for (const consumer of queue.consumers as ReadonlySet<OwnedConsumer>) {
      buffer.uint8(Part.CONSUMER);
      buffer.uint32(consumer.peer.id);
      buffer.uint32(consumer.number);
      buffer.uint32(consumer.window);
      for (const message of consumer.taken.values()) {
        writeMessage(buffer, message);
        if (buffer.length >= PIECE) yield* taken(buffer);
      }
    }
    // From here on messages are nobody's.
    buffer.uint8(Part.END);
    for (const message of queue.waiting()) {
      writeMessage(buffer, message);
      if (buffer.length >= PIECE) yield* taken(buffer);
    }
    if (buffer.length >= PIECE) yield* taken(buffer);
  }
  for (const { key, payload } of owner.letters.take()) {
    buffer.uint8(Part.LETTER);
    buffer.text(key);
    buffer.bytes(payload);
    if (buffer.length >= PIECE) yield* taken(buffer);
  }
  yield* taken(buffer);
}

function* taken(buffer: RecordBuffer): Iterable<Uint8Array> {
  yield buffer.view;
  buffer.clear();
}

function writeMessage(buffer: RecordBuffer, { number, deliveries, since, payload }: QueuedMessage): void {
  buffer.uint8(Part.MESSAGE);
  buffer.float64(number);
  buffer.uint32(deliveries);
  buffer.float64(since);
  buffer.bytes(payload);
}

/** Takes over what an owner packed. */
export function unpackOwner(owner: QueueOwner, pieces: readonly Uint8Array[]): void {
  const [first] = pieces;
  if (first === undefined) throw new RangeError('nothing was packed');
  const head = new RecordReader(first);
  const version = head.uint32();
  if (version !== VERSION) throw new RangeError(`version ${version} of packed queues is not known`);
  const epoch = head.uint32();
  owner.lastNumber = head.float64();
  const unpacking = new Unpacking(owner);
  unpacking.read(head);
  for (const piece of pieces.slice(1)) unpacking.read(new RecordReader(piece));
  owner.epoch = epoch;
}

class Unpacking {
  readonly #owner: QueueOwner;
  #queue: ReturnType<QueueOwner['makeQueue']> | null = null;
  #consumer: OwnedConsumer | null = null;

  constructor(owner: QueueOwner) {
    this.#owner = owner;
  }

  read(reader: RecordReader): void {
    while (!reader.isAtEnd) {
      switch (reader.uint8()) {
        case Part.PEER: {
          const peer = this.#owner.peer(reader.uint32(), reader.uint32());
          peer.lastBatch = reader.uint32();
          peer.lastAnswer = reader.copy();
          break;
        }
        case Part.QUEUE:
          this.#queue = this.#owner.makeQueue(reader.text());
          break;
        case Part.CONSUMER: {
          const peer = this.#owner.peers.get(reader.uint32())!;
          const consumer = new OwnedConsumer(this.#queue!, peer, reader.uint32(), reader.uint32());
          peer.consumers.set(consumer.number, consumer);
          this.#queue!.addConsumer(consumer);
          this.#consumer = consumer;
          break;
        }
        case Part.LETTER:
          this.#owner.letters.send({ key: reader.text(), payload: reader.copy() });
          break;
        case Part.MESSAGE:
          this.#message(reader);
          break;
        default:
          this.#consumer = null;
      }
    }
  }

  #message(reader: RecordReader): void {
    const number = reader.float64();
    const deliveries = reader.uint32();
    const since = reader.float64();
    const message = new QueuedMessage(number, reader.copy(), since, deliveries);
    if (this.#consumer === null) this.#queue!.restore(message);
    else this.#queue!.restoreTaken(this.#consumer, message);
  }
}
