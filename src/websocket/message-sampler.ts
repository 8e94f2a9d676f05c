import type { ThreadMetrics } from '../metrics/control-block.ts';
import type { Progress, Session } from './session.ts';

/** Of as many reads of a route, the first message of one is measured. */
const SAMPLED_READS = 64;

/** Stands for the headway of a session that has none to note, while its next message is to be measured. */
const SAMPLED: Progress = { since: 0, length: 0, write: null };

/**
 * MessageSampler: chooses messages of a route that are measured. By reads, and not by messages: two looks at the clock cost
 * as much as handling two messages, and to count to the next one is 5 % of handling one, while a read costs the kernel a
 * hundred times as much. And the one look that is taken at each message, whether its session has headway to note, tells too
 * whether it is to be measured.
 */
export class MessageSampler {
  readonly #histograms: ThreadMetrics['histograms'];
  /** Reads to the next of which a message is measured: the first one is. */
  #until = 1;
  #isPending = false;

  constructor({ histograms }: ThreadMetrics) {
    this.#histograms = histograms;
  }

  /** A read of the session begins. */
  beginRead(session: Session): void {
    if (--this.#until > 0) return;
    this.#until = SAMPLED_READS;
    this.#isPending = true;
    session.progress ??= SAMPLED;
  }

  /** The read is over; if there was no whole message in it, one of the next read is measured. */
  endRead(session: Session): void {
    if (!this.#isPending) return;
    this.#isPending = false;
    this.#until = 1;
    if (session.progress === SAMPLED) session.progress = null;
  }

  /** A message is whole, of a session that has headway to note or is sampled. Returns whether it is to be measured. */
  takeMessage(session: Session, length: number): boolean {
    if (session.progress === SAMPLED) session.progress = null;
    else session.noteComplete();
    if (!this.#isPending) return false;
    this.#isPending = false;
    this.#histograms.messageSize.record(length);
    return true;
  }

  /** The handler of the message has returned, after `duration` ms. */
  handled(duration: number): void {
    this.#histograms.handlerTime.record(duration);
  }
}
