import { reportError } from '../error-report.ts';
import { callUser, type UserCode, userCode } from '../user-code.ts';

/** A publish as a local listener hears it. One object is used for all: it is true, and its bytes are, during the call. */
export interface Heard {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly isBinary: boolean;
  /** Whoever published it asked for it to be compressed. */
  readonly isCompressed: boolean;
  /** Number of the thread that published it. */
  readonly from: number;
}

/** What it throws is reported, and costs nobody else anything. */
export type ListenHandler = (heard: Heard) => unknown;

/** Stands for every topic. */
export const EVERYTHING: unique symbol = Symbol('everything');

/** Bytes of publishes that may wait until the listeners have heard the one before; 128 more for each. */
const MAX_WAITING = 16 * 1024 * 1024;
const WAITING_OVERHEAD = 128;

/** A listener of a thread that is no socket. */
export class Listener {
  readonly topic: string | typeof EVERYTHING;
  readonly handler: UserCode<ListenHandler>;
  isClosed = false;

  constructor(topic: string | typeof EVERYTHING, handler: ListenHandler) {
    this.topic = topic;
    this.handler = userCode(handler);
  }
}

interface Waiting extends Heard {
  readonly except: Listener | null;
}

/**
 * Listeners: the local listeners of one thread. They hear a publish within the call that publishes it, or when its record
 * is read. What a handler publishes itself is heard by the others, and by itself, in the next turn, so that all hear
 * everything in one order.
 */
export class Listeners {
  /** Nobody listens: asked for each message. */
  isEmpty = true;
  /** Publishes that were not heard, because too many waited. */
  missed = 0;
  readonly #byTopic = new Map<string, Set<Listener>>();
  readonly #ofAll = new Set<Listener>();
  /** Nobody else sees it while it is filled. */
  readonly #heard = { topic: '', payload: NO_BYTES, isBinary: false, isCompressed: false, from: 0 };
  #isTelling = false;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;

  /** Some listener hears every topic. */
  get hearsAll(): boolean {
    return this.#ofAll.size > 0;
  }

  /** The topics that are listened to by name. */
  topics(): IterableIterator<string> {
    return this.#byTopic.keys();
  }

  /** Returns whether it is the first of its topic. */
  add(listener: Listener): boolean {
    this.isEmpty = false;
    if (listener.topic === EVERYTHING) return this.#ofAll.add(listener).size === 1;
    let listeners = this.#byTopic.get(listener.topic);
    if (listeners === undefined) this.#byTopic.set(listener.topic, (listeners = new Set()));
    return listeners.add(listener).size === 1;
  }

  /** Returns whether it was the last of its topic. */
  remove(listener: Listener): boolean {
    listener.isClosed = true;
    const wasLast = this.#remove(listener);
    this.isEmpty = this.#byTopic.size + this.#ofAll.size === 0;
    return wasLast;
  }

  #remove(listener: Listener): boolean {
    if (listener.topic === EVERYTHING) return this.#ofAll.delete(listener) && this.#ofAll.size === 0;
    const listeners = this.#byTopic.get(listener.topic);
    if (listeners === undefined || !listeners.delete(listener) || listeners.size > 0) return false;
    return this.#byTopic.delete(listener.topic);
  }

  /** Listeners of this very topic. */
  count(topic: string, except: Listener | null): number {
    const listeners = this.#byTopic.get(topic);
    if (listeners === undefined) return 0;
    return listeners.size - (except !== null && listeners.has(except) ? 1 : 0);
  }

  /** Whether anybody hears what is published to a topic. */
  has(topic: string): boolean {
    return this.hearsAll || this.#byTopic.has(topic);
  }

  /** @param payload may change after the call */
  tell(
    topic: string,
    payload: Uint8Array,
    isBinary: boolean,
    isCompressed: boolean,
    from: number,
    except: Listener | null,
  ): void {
    if (this.#isTelling || this.#waiting.length > 0) {
      const cost = WAITING_OVERHEAD + topic.length + payload.length;
      if (this.#waitingBytes + cost > MAX_WAITING) {
        this.missed++;
        return;
      }
      this.#waitingBytes += cost;
      if (this.#waiting.length === 0) setImmediate(this.#tellWaiting);
      this.#waiting.push({ topic, payload: new Uint8Array(payload), isBinary, isCompressed, from, except });
      return;
    }
    const heard = this.#heard;
    heard.topic = topic;
    heard.payload = payload;
    heard.isBinary = isBinary;
    heard.isCompressed = isCompressed;
    heard.from = from;
    this.#tellAll(heard, except);
    heard.payload = NO_BYTES;
  }

  readonly #tellWaiting = (): void => {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    // What is published meanwhile comes behind all of these.
    for (const heard of waiting) this.#tellAll(heard, heard.except);
  };

  #tellAll(heard: Heard, except: Listener | null): void {
    this.#isTelling = true;
    const listeners = this.#byTopic.get(heard.topic);
    if (listeners !== undefined) tellEach(listeners, heard, except);
    tellEach(this.#ofAll, heard, except);
    this.#isTelling = false;
  }
}

function tellEach(listeners: ReadonlySet<Listener>, heard: Heard, except: Listener | null): void {
  for (const listener of listeners) {
    if (listener !== except && !listener.isClosed) callUser(listener.handler, failed, heard);
  }
}

function failed(error: unknown): void {
  reportError('a listener of topics', error);
}

const NO_BYTES: Uint8Array = new Uint8Array(0);
