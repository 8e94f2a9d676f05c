import { Slot } from '../scenario.ts';
import type { Role } from './destinations.ts';
import type { FrameReader } from './frame-reader.ts';

/** One connection of the scenario stomp. */
export class StompSlot extends Slot {
  readonly role: Role;
  /** For each publisher, the number of its next message (subscriber), or the least that is in order (consumer). */
  readonly next: Int32Array;
  /** Subscriber: whether it was there from the first message on. */
  isComplete = true;
  reader: FrameReader | null = null;
  version = '';
  /** When SUBSCRIBE was sent, in ms, as long as it is not confirmed. */
  subscribedAt = 0;
  /** Publisher: messages published, in all and on this connection. */
  published = 0;
  publishedHere = 0;
  /** Messages that are given up, so that others may be in flight. */
  abandoned = 0;
  /** Those below are waited for no more. */
  firstAwaited = 0;
  /** Messages whose RECEIPT has not come. */
  readonly receipts = new Set<number>();
  /** What was settled and confirmed when it was looked at, and when that last changed, in ms. */
  progress = 0;
  progressAt = 0;
  /** Messages that a rate asks for and that are not sent yet. */
  owed = 0;
  /** Ack mode client: the id of the last message that is not acknowledged, and how many such messages there are. */
  cumulative: Buffer | null = null;
  cumulativeCount = 0;

  constructor(index: number, role: Role, publishers: number, firstNumber: number) {
    super(index);
    this.role = role;
    this.next = new Int32Array(role.name === 'publisher' ? 0 : publishers).fill(firstNumber);
  }

  /** A connection is there: what belonged to the one before it is forgotten. */
  begin(reader: FrameReader): void {
    this.reader = reader;
    this.version = '';
    this.publishedHere = 0;
    this.subscribedAt = 0;
    this.cumulative = null;
    this.cumulativeCount = 0;
  }
}
