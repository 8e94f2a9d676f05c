import type { OutgoingRecord } from '../ring/record.ts';
import type { BusSubscriber } from './bus-subscriber.ts';
import type { Listener } from './listeners.ts';
import { RecordKind } from './record-kinds.ts';

/**
 * Message: one object for a message on its whole way, from who publishes or addresses it through the bus and the links
 * into the rings. All have one shape, and are filled anew for each message; what has to wait is kept in a copy.
 */
export class Message implements OutgoingRecord {
  // What who publishes says.

  /** The topic. */
  name = '';
  payload: Uint8Array | string = NO_BYTES;
  isBinary = false;
  /** Send the message compressed to those that take it so. */
  compress = false;
  /** The socket here that does not get it, as it is its own. */
  except: BusSubscriber | null = null;
  /** The local listener that does not hear it, as it is its own. */
  exceptListener: Listener | null = null;

  // What is written for other threads.

  kind: number = RecordKind.PUBLISH;
  flags = 0;
  isAddressed = false;
  tag = 0;
  sender = 0;
  instance = 0;
  sequence = 0;
  body: Uint8Array = NO_BYTES;
  /** The bytes of the body never change, so they need not be copied to wait. */
  isStable = false;

  /** A publish. */
  set(name: string, payload: Uint8Array | string, isBinary: boolean, compress = false): this {
    this.name = name;
    this.payload = payload;
    this.isBinary = isBinary;
    this.compress = compress;
    this.except = null;
    this.exceptListener = null;
    return this;
  }

  /** Lets go of what it holds; a listener of this thread is no matter. */
  clear(): void {
    this.payload = NO_BYTES;
    this.body = NO_BYTES;
    this.except = null;
  }

  /** What is written for other threads, to be kept. */
  copy(): Message {
    const kept = new Message();
    kept.name = this.name;
    kept.kind = this.kind;
    kept.flags = this.flags;
    kept.isAddressed = this.isAddressed;
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
