import type { OutgoingRecord } from '../ring/record.ts';
import { RecordKind } from './record-kinds.ts';

/**
 * LinkMessage: what goes from the bus through the links into a ring. A thread has one for its publishes and one for what
 * it addresses, and fills it anew for each; what has to wait is kept in a copy.
 */
export class LinkMessage implements OutgoingRecord {
  kind: number = RecordKind.PUBLISH;
  flags = 0;
  isAddressed = false;
  name = '';
  tag = 0;
  sender = 0;
  instance = 0;
  sequence = 0;
  body: Uint8Array = NO_BYTES;
  /** The bytes of the body never change, so they need not be copied to wait. */
  isStable = false;

  /** The same, to be kept. */
  copy(): LinkMessage {
    const kept = new LinkMessage();
    kept.kind = this.kind;
    kept.flags = this.flags;
    kept.isAddressed = this.isAddressed;
    kept.name = this.name;
    kept.tag = this.tag;
    kept.sender = this.sender;
    kept.instance = this.instance;
    kept.sequence = this.sequence;
    // A copy: slice() would be none, as batches lie in Buffers.
    kept.body = this.isStable ? this.body : new Uint8Array(this.body);
    kept.isStable = true;
    return kept;
  }
}

export const NO_BYTES: Uint8Array = new Uint8Array(0);
