import { isUtf8 } from 'node:buffer';
import { BufferPool } from '../../../src/protocol/buffer-pool.ts';
import {
  Connection,
  ConnectionContext,
  type ConnectionHandler,
  type ConnectionOptions,
} from '../../../src/protocol/connection.ts';
import { FIN } from '../../../src/protocol/frame-header.ts';
import { FRAME_HEADROOM } from '../../../src/protocol/frame-parser.ts';
import { Opcode } from '../../../src/protocol/opcode.ts';
import type { TextPort } from '../../../src/protocol/sender.ts';
import type { Utf8Port } from '../../../src/protocol/utf8.ts';
import { type FrameSpec, type MaskKey, SAMPLE_KEY } from './frame-bytes.ts';
import { type EndpointRules, eventOf, framesBytes } from './frame-reader.ts';
import { MemoryOutput } from './memory-output.ts';

export const utf8Port: Utf8Port = { isUtf8 };

export const textPort: TextPort = {
  byteLength: (text) => Buffer.byteLength(text),
  write: (bytes, text, position) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).write(text, position),
};

/** A key as the engine carries it: the first byte lowest. */
export function keyNumber(key: MaskKey): number {
  return key[0] | (key[1] << 8) | (key[2] << 16) | (key[3] << 24);
}

/** A pool that knows what is on loan, and that nothing is given back twice. */
export class LedgerPool extends BufferPool {
  readonly #lent = new Set<Uint8Array>();
  /** Bytes on loan now, and the most there ever were. */
  lentBytes = 0;
  mostLent = 0;
  takes = 0;

  override take(size: number): Uint8Array {
    const bytes = super.take(size);
    if (this.#lent.has(bytes)) throw new Error('memory was lent twice');
    if (bytes.length < size) throw new Error('less memory than asked for');
    // Content is undefined: make it so.
    if (bytes.length <= 4096) bytes.fill(0xee);
    this.#lent.add(bytes);
    this.takes++;
    this.lentBytes += bytes.length;
    this.mostLent = Math.max(this.mostLent, this.lentBytes);
    return bytes;
  }

  override give(bytes: Uint8Array): void {
    if (!this.#lent.delete(bytes)) throw new Error('memory was given back that was not on loan');
    this.lentBytes -= bytes.length;
    super.give(bytes);
  }
}

/** Writes events down, in the words of the reference endpoint, and echoes messages when asked to. */
export class Recorder implements ConnectionHandler {
  events: string[] = [];
  readonly #echo: boolean;

  constructor(echo: boolean) {
    this.#echo = echo;
  }

  onMessage(
    connection: Connection,
    bytes: Uint8Array,
    offset: number,
    length: number,
    isBinary: boolean,
  ): void {
    const payload = part(bytes, offset, length);
    this.events.push(eventOf(isBinary ? 'binary' : 'text', payload));
    if (!this.#echo) return;
    const opcode = isBinary ? Opcode.BINARY : Opcode.TEXT;
    connection.context.sender.bytes(connection.output, FIN | opcode, payload);
  }

  onPing(_connection: Connection, bytes: Uint8Array, offset: number, length: number): void {
    this.events.push(eventOf('ping', part(bytes, offset, length)));
  }

  onPong(_connection: Connection, bytes: Uint8Array, offset: number, length: number): void {
    this.events.push(eventOf('pong', part(bytes, offset, length)));
  }

  onPeerClose(
    _connection: Connection,
    code: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void {
    this.events.push(eventOf(`peer close ${code}`, part(bytes, offset, length)));
  }

  onFailure(_connection: Connection, code: number): void {
    this.events.push(`failure ${code}`);
  }

  onDone(): void {
    this.events.push('done');
  }
}

function part(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  const slice = bytes.subarray(offset, offset + length);
  if (slice.length !== length) throw new Error(`no ${length} bytes at ${offset}`);
  return slice;
}

export const DEFAULT_OPTIONS: ConnectionOptions = {
  role: 'server',
  maxPayloadLength: 64 * 1024,
  maxFragments: 1024,
  maxPingsPerSecond: 1000,
};

/** The second every endpoint of the tests lives in, until a test says otherwise. */
export interface Clock {
  now: number;
}

const GUARD = 16;
const CANARY = 0xc7;

/**
 * Where chunks arrive, as in the engine: one buffer for all reads of all connections, with room in front.
 * What lies around the chunk is watched, and all of it is overwritten after each read.
 */
export class ReceiveBuffer {
  /** Bytes of room in front of a chunk. */
  readonly headroom: number;
  #memory = new Uint8Array(2 * GUARD).fill(CANARY);
  /** The part of the memory that the connection gets to see. */
  #view = this.#memory.subarray(GUARD, GUARD);

  constructor(headroom: number) {
    this.headroom = headroom;
  }

  deliver(connection: Connection, chunk: Uint8Array): void {
    const start = this.headroom;
    const end = start + chunk.length;
    if (this.#view.length < end) {
      this.#memory = new Uint8Array(2 * end + 2 * GUARD).fill(CANARY);
      this.#view = this.#memory.subarray(GUARD, 2 * end + GUARD);
    }
    this.#view.set(chunk, start);
    connection.receive(this.#view, start, end);
    for (let i = 0; i < GUARD; i++) {
      if (this.#memory[i] !== CANARY || this.#memory[GUARD + end + i] !== CANARY) {
        throw new Error('a write outside of the chunk and its headroom');
      }
    }
    this.#view.fill(CANARY, 0, end);
  }
}

/** A context, and connections of it one after another, each with an output of its own. */
export class Endpoint {
  readonly options: ConnectionOptions;
  readonly pool = new LedgerPool();
  readonly clock: Clock = { now: 1 };
  readonly context: ConnectionContext;
  readonly recorder: Recorder;
  readonly receiveBuffer: ReceiveBuffer;
  connection: Connection;
  output: MemoryOutput;

  constructor(
    options: Partial<ConnectionOptions> = {},
    settings: { echo?: boolean; headroom?: number; recorder?: Recorder } = {},
  ) {
    this.options = { ...DEFAULT_OPTIONS, ...options };
    this.recorder = settings.recorder ?? new Recorder(settings.echo ?? true);
    this.receiveBuffer = new ReceiveBuffer(settings.headroom ?? FRAME_HEADROOM);
    this.context = new ConnectionContext(this.options, this.recorder, {
      utf8: utf8Port,
      text: textPort,
      pool: this.pool,
      seconds: () => this.clock.now,
      maskKey: () => keyNumber(SAMPLE_KEY),
    });
    this.output = new MemoryOutput();
    this.connection = new Connection(this.context, this.output, null);
  }

  /** The rules the reference endpoint has to go by to be this one. */
  get rules(): EndpointRules {
    return {
      expectMasked: this.options.role === 'server',
      maxPayloadLength: this.options.maxPayloadLength,
      maxFragments: this.options.maxFragments,
      maxPings: this.options.maxPingsPerSecond,
    };
  }

  get events(): string[] {
    return this.recorder.events;
  }

  /** A fresh connection of the same context. */
  reconnect(): void {
    this.output = new MemoryOutput();
    this.recorder.events = [];
    this.connection = new Connection(this.context, this.output, null);
  }

  receive(...chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) this.receiveBuffer.deliver(this.connection, chunk);
  }

  /** Receives frames as the peer of this role sends them, in one chunk. */
  receiveFrames(...frames: readonly FrameSpec[]): void {
    this.receive(this.fromPeer(...frames));
  }

  fromPeer(...frames: readonly FrameSpec[]): Uint8Array {
    return framesBytes(frames, this.options.role === 'server' ? SAMPLE_KEY : null);
  }

  /** The bytes of frames as this endpoint sends them. */
  toPeer(...frames: readonly FrameSpec[]): Uint8Array {
    return framesBytes(frames, this.options.role === 'server' ? null : SAMPLE_KEY);
  }
}
