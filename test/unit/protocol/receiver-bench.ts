import { FRAME_HEADROOM, FrameParser } from '../../../src/protocol/frame-parser.ts';
import {
  type MessageHandler,
  Receiver,
  type ReceiverLimits,
  ReceiverState,
} from '../../../src/protocol/receiver.ts';
import { LedgerPool, utf8Port } from '../../support/protocol/endpoint.ts';
import { concat, type FrameSpec, SAMPLE_KEY } from '../../support/protocol/frame-bytes.ts';
import { eventOf, framesBytes } from '../../support/protocol/frame-reader.ts';

const NAMES: Record<number, string> = { 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong' };

/** A receiver behind a parser, with everything that comes out of it written down. */
export class ReceiverBench implements MessageHandler<ReceiverState> {
  readonly events: string[] = [];
  readonly pool = new LedgerPool();
  readonly receiver: Receiver<ReceiverState>;
  readonly parser: FrameParser<ReceiverState>;
  state = new ReceiverState();
  goOn = true;
  /** Failed: what else arrives is not taken. */
  isOver = false;
  /** Called within each message, before it is read. */
  before: (() => void) | null = null;
  /** Called within each event. */
  during: (() => void) | null = null;
  /** Memory of the last message. */
  memory: Uint8Array | null = null;

  constructor(limits: Partial<ReceiverLimits> = {}) {
    const all = { maxPayloadLength: 1024 * 1024, maxFragments: 1000, ...limits };
    this.receiver = new Receiver<ReceiverState>(all, this, this.pool, utf8Port);
    this.parser = new FrameParser<ReceiverState>({ expectMasked: true, allowedRsv: 0x40 }, this.receiver);
  }

  onMessage(
    _state: ReceiverState,
    bytes: Uint8Array,
    offset: number,
    length: number,
    opcode: number,
  ): boolean {
    this.before?.();
    this.memory = bytes;
    this.events.push(eventOf(NAMES[opcode]!, bytes.subarray(offset, offset + length)));
    this.during?.();
    return this.goOn;
  }

  onControl(
    _state: ReceiverState,
    bytes: Uint8Array,
    offset: number,
    length: number,
    opcode: number,
  ): boolean {
    this.events.push(eventOf(NAMES[opcode]!, bytes.subarray(offset, offset + length)));
    this.during?.();
    return this.goOn;
  }

  onReceiveError(state: ReceiverState, closeCode: number, isInflation = false): void {
    this.events.push(`error ${closeCode}${isInflation ? ' in inflation' : ''}`);
    this.isOver = true;
    this.parser.release(state);
    this.receiver.release(state);
  }

  /** @param headroom bytes of memory in front of the chunk */
  feed(chunk: Uint8Array, headroom: number = FRAME_HEADROOM): void {
    if (this.isOver) return;
    const memory = concat(new Uint8Array(headroom), chunk);
    this.parser.parse(this.state, memory, headroom, memory.length);
    memory.fill(0x5a);
  }

  feedFrames(...frames: readonly FrameSpec[]): void {
    this.feed(framesBytes(frames, SAMPLE_KEY));
  }
}
