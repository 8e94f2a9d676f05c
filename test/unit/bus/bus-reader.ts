import type { BusSubscriber } from '../../../src/bus/bus-subscriber.ts';
import type { IoLoop } from '../../../src/net/io-loop.ts';
import { textPort } from '../../../src/net/native-ports.ts';
import {
  kLastWriteWasAsync,
  streamBaseState,
  type TcpHandle,
  type WriteRequest,
} from '../../../src/net/node-internals.ts';
import { Transport, type TransportContext } from '../../../src/net/transport.ts';
import { Sender } from '../../../src/protocol/sender.ts';
import type { Subscriber, Topic } from '../../../src/pubsub/topic-tree.ts';
import type { Shard } from '../../../src/shard/shard.ts';
import { concat } from '../../support/protocol/frame-bytes.ts';
import { type Frame, readFrames } from '../../support/protocol/frame-reader.ts';

interface InFlight {
  readonly request: WriteRequest;
  readonly view: Uint8Array;
  readonly copy: Uint8Array;
}

/** The handle of a socket whose kernel takes as many bytes as it is told to. */
class FakeHandle {
  onread: (this: never) => void = () => {};
  readonly fd = -1;
  /** Bytes the kernel takes before it makes the writer wait. */
  room = Number.POSITIVE_INFINITY;
  writeQueueSize = 0;
  writes = 0;
  /** The memory of each write. */
  readonly memories: ArrayBufferLike[] = [];
  readonly sent: Uint8Array[] = [];
  #inFlight: InFlight | null = null;

  writeBuffer(request: WriteRequest, view: Uint8Array): number {
    if (this.#inFlight !== null) throw new Error('a write while another is in flight');
    this.writes++;
    this.memories.push(view.buffer);
    const copy = Uint8Array.from(view);
    const taken = Math.min(this.room, copy.length);
    this.room -= taken;
    this.sent.push(copy.subarray(0, taken));
    const isAsync = taken < copy.length;
    streamBaseState[kLastWriteWasAsync] = isAsync ? 1 : 0;
    if (isAsync) {
      this.#inFlight = { request, view: view.subarray(taken), copy: copy.subarray(taken) };
      this.writeQueueSize = copy.length - taken;
    }
    return 0;
  }

  /** The kernel takes all that waits, and `room` bytes more. */
  drain(room: number): void {
    this.room = room;
    const inFlight = this.#inFlight;
    if (inFlight === null) return;
    if (Buffer.compare(inFlight.view, inFlight.copy) !== 0) throw new Error('bytes in flight have changed');
    this.sent.push(inFlight.copy);
    this.#inFlight = null;
    this.writeQueueSize = 0;
    (inFlight.request.oncomplete as (this: WriteRequest, status: number) => void).call(inFlight.request, 0);
  }

  readStart(): number {
    return 0;
  }
  readStop(): number {
    return 0;
  }
  useUserBuffer(): void {}
  close(): void {}
}

const sender = new Sender('server', textPort);

const context: TransportContext = {
  onChunk: () => {},
  onWritable: () => {},
  onEnd: () => {},
  onClosed: (transport) => {
    (transport.owner as BusReader).leave();
  },
  onTimer: () => 0,
};

/** A subscriber with a real transport over a socket that exists in memory only. */
export class BusReader implements BusSubscriber {
  readonly isHolding = false;
  subscriptions: Set<Topic<Subscriber>> | null = null;
  flushMark = 0;
  batchEpoch = 0;
  batchCursor = 0;
  sentEpoch = 0;
  deflateBits = 0;
  /** Times it was told that others get what it gets. */
  foreign = 0;
  readonly transport: Transport;
  /** Payloads of what was dropped, in order. */
  readonly dropped: Uint8Array[] = [];
  /** What its route's `dropped` handler does. */
  onDropped: () => void = () => {};
  maxBackpressure = 1000;
  readonly #shard: Shard;
  readonly #handle = new FakeHandle();
  #isOpen = true;
  #read = 0;

  constructor(shard: Shard) {
    this.#shard = shard;
    const handle = this.#handle as unknown as TcpHandle;
    this.transport = new Transport(shard.io, handle, context, this);
  }

  noteForeign(): void {
    this.foreign++;
  }

  get sink(): Transport {
    return this.transport;
  }

  get io(): IoLoop {
    return this.#shard.io;
  }

  get isOpen(): boolean {
    return this.#isOpen && !this.transport.isClosed;
  }

  get isOverLimit(): boolean {
    return this.transport.blocked && this.transport.bufferedAmount > this.maxBackpressure;
  }

  /** Writes the kernel got. */
  get writes(): number {
    return this.#handle.writes;
  }

  /** The memory that each of these writes was made from. */
  get memories(): readonly ArrayBufferLike[] {
    return this.#handle.memories;
  }

  hold(): void {
    throw new Error('it sends no fragments');
  }

  drop(frame: Uint8Array): void {
    this.#drop(readFrames(Uint8Array.from(frame))[0]!.payload);
  }

  /** Its kernel takes `room` bytes more, and no byte after them. */
  block(room = 0): void {
    this.#handle.drain(room);
  }

  /** Its kernel takes everything. */
  unblock(): void {
    this.#handle.drain(Number.POSITIVE_INFINITY);
  }

  subscribe(...topics: string[]): this {
    for (const topic of topics) this.#shard.subscribe(this, topic);
    return this;
  }

  unsubscribe(topic: string): boolean {
    return this.#shard.unsubscribe(this, topic) >= 0;
  }

  /** Sends to this one, as `ws.send` does. */
  send(payload: Uint8Array | string): void {
    const { bus } = this.#shard;
    if (bus.hasPending) bus.flushTo(this);
    if (!this.isOpen) return;
    if (this.isOverLimit) this.#drop(Buffer.from(payload));
    else sender.bytes(this.transport, 0x82, Buffer.from(payload));
  }

  publish(topic: string, message: Uint8Array | string, isBinary = false): boolean {
    return this.#shard.publish(topic, message, isBinary, this);
  }

  close(): void {
    this.transport.destroy();
  }

  leave(): void {
    if (this.subscriptions !== null) {
      for (const { name } of Array.from(this.subscriptions)) this.#shard.unsubscribe(this, name);
    }
    this.#isOpen = false;
  }

  /** Frames the kernel has got since the last call. */
  frames(): Frame[] {
    const bytes = concat(...this.#handle.sent.slice(this.#read));
    this.#read = this.#handle.sent.length;
    return readFrames(bytes);
  }

  texts(): string[] {
    return this.frames().map(({ payload }) => Buffer.from(payload).toString());
  }

  #drop(payload: Uint8Array): void {
    this.dropped.push(payload);
    this.onDropped();
  }
}
