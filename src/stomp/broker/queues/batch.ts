import type { StompError } from '../../codec/frame.ts';
import type { Outcome } from '../../queue/queue.ts';
import { RecordBuffer } from '../record-buffer.ts';
import { Operation, REQUEST_HEADER, Status } from './queue-records.ts';

/** A message that a consumer has: its client was sent it, or is going to be. */
export interface Held {
  readonly number: number;
  readonly deliveries: number;
  readonly since: number;
  readonly payload: Uint8Array;
}

/** A consumer of a queue, in its client's thread. */
export interface Subscriber {
  readonly number: number;
  readonly window: number;
  /** Name of the queue. */
  readonly key: string;
  /** What it has, but for what is on its way to the owner to be settled. */
  held(): Iterable<Held>;
  /** The owner does not take it. */
  fail(error: StompError): void;
}

/** Who sends a message. */
export interface Sender {
  /** It was stored. */
  done?(): void;
  /** It was not, as far as is known. */
  fail(error: StompError): void;
  /** It is of nobody who waits for it. When this thread is replaced its successor sends it. */
  readonly isUnowned?: boolean;
}

type Entry =
  | {
      readonly kind: 'send';
      readonly sender: Sender;
      readonly key: string;
      readonly payload: Uint8Array | null;
    }
  | { readonly kind: 'subscribe'; readonly subscriber: Subscriber }
  | {
      readonly kind: 'unsubscribe';
      readonly subscriber: Subscriber;
      readonly held: readonly Held[];
      /** How many of these, the first ones, its client was sent. */
      readonly sent: number;
    }
  | {
      readonly kind: 'settle';
      readonly subscriber: Subscriber;
      readonly outcome: Outcome;
      readonly held: readonly Held[];
    };

/** Batch: operations for one owner, written as they come, and what is needed to write them again. */
export class Batch {
  /** Ms of `performance.now` at which messages have waited for too long. */
  readonly deadline: number;
  /** 0: it was not sent yet. */
  number = 0;
  /** It tells the owner what it has known before. */
  isRepetition = false;
  /** Bytes of its messages. */
  sentBytes = 0;
  #entries: Entry[] = [];
  readonly #buffer = new RecordBuffer();
  #lastKey: string | null = null;
  #done: Promise<void> | null = null;
  #resolve: (() => void) | null = null;

  constructor(deadline: number) {
    this.deadline = deadline;
    this.#writeHeader();
  }

  /** Bytes. */
  get length(): number {
    return this.#buffer.length;
  }

  /** Somebody is told when its deadline is over. */
  get canFail(): boolean {
    return (
      this.deadline < Number.POSITIVE_INFINITY &&
      this.#entries.some(({ kind }) => kind === 'send' || kind === 'subscribe')
    );
  }

  /** Numbers of the consumers that end with it. */
  get ended(): number[] {
    return this.#entries.flatMap((entry) => (entry.kind === 'unsubscribe' ? [entry.subscriber.number] : []));
  }

  send(key: string, payload: Uint8Array, sender: Sender): Promise<void> {
    const isUnowned = sender.isUnowned === true;
    this.#entries.push({ kind: 'send', sender, key, payload: isUnowned ? payload : null });
    this.sentBytes += payload.length;
    if (key === this.#lastKey) {
      this.#buffer.uint8(Operation.SEND_MORE);
    } else {
      this.#buffer.uint8(Operation.SEND);
      this.#buffer.text(key);
      this.#lastKey = key;
    }
    this.#buffer.bytes(payload);
    return this.#whenDone();
  }

  subscribe(subscriber: Subscriber): Promise<void> {
    return this.#add({ kind: 'subscribe', subscriber });
  }

  /** @param sent what its client was sent and did not settle */
  unsubscribe(subscriber: Subscriber, sent: readonly Held[], unused: readonly Held[]): Promise<void> {
    return this.#add({ kind: 'unsubscribe', subscriber, held: [...sent, ...unused], sent: sent.length });
  }

  settle(subscriber: Subscriber, outcome: Outcome, held: readonly Held[]): Promise<void> {
    return this.#add({ kind: 'settle', subscriber, outcome, held });
  }

  /** Tells a new state of the owner what a consumer has. */
  hold({ number }: Subscriber, held: Held): void {
    const buffer = this.#buffer;
    buffer.uint8(Operation.HELD);
    buffer.uint32(number);
    buffer.float64(held.number);
    buffer.uint32(held.deliveries);
    buffer.float64(held.since);
    buffer.bytes(held.payload);
  }

  /** Its bytes, until it is changed. */
  request(run: number, epoch: number): Uint8Array {
    this.#buffer.setUint32(0, run);
    this.#buffer.setUint32(4, epoch);
    this.#buffer.setUint32(8, this.number);
    return this.#buffer.view;
  }

  /**
   * The owner has done it. Tells those who wait; returns the consumers that were refused.
   *
   * @param statuses one for each message and consumer; none: all is well
   */
  finish(statuses: Uint8Array, errorOf: (status: Status) => StompError): Subscriber[] {
    const refused: Subscriber[] = [];
    let at = 0;
    for (const entry of this.#entries) {
      if (entry.kind !== 'send' && entry.kind !== 'subscribe') continue;
      const status = (statuses[at++] ?? Status.DONE) as Status;
      if (entry.kind === 'send') {
        if (status === Status.DONE) entry.sender.done?.();
        else entry.sender.fail(errorOf(status));
      } else if (status !== Status.DONE) {
        refused.push(entry.subscriber);
        entry.subscriber.fail(errorOf(status));
      }
    }
    this.#resolve?.();
    return refused;
  }

  /** Messages fail; the rest stays. */
  failSends(error: StompError): void {
    for (const entry of this.#without('send')) if (entry.kind === 'send') entry.sender.fail(error);
  }

  /** Consumers fail that are new; the rest stays. Returns them. */
  failSubscribers(error: StompError): Subscriber[] {
    const failed = this.#without('subscribe').flatMap((entry) =>
      entry.kind === 'subscribe' ? [entry.subscriber] : [],
    );
    for (const subscriber of failed) subscriber.fail(error);
    return failed;
  }

  /** Takes what is of a kind out, before anybody is told, who may call here. */
  #without(kind: Entry['kind']): Entry[] {
    const out = this.#entries.filter((entry) => entry.kind === kind);
    if (out.length === 0) return out;
    this.#entries = this.#entries.filter((entry) => entry.kind !== kind);
    this.#rewrite();
    return out;
  }

  /** Adds what it would settle. */
  collectHeld(pending: Map<Subscriber, Held[]>): void {
    for (const entry of this.#entries) {
      if (entry.kind !== 'settle' && entry.kind !== 'unsubscribe') continue;
      const known = pending.get(entry.subscriber);
      if (known === undefined) pending.set(entry.subscriber, [...entry.held]);
      else known.push(...entry.held);
    }
  }

  takeUnowned(): { key: string; payload: Uint8Array }[] {
    return this.#entries.flatMap((entry) =>
      entry.kind === 'send' && entry.payload !== null ? [{ key: entry.key, payload: entry.payload }] : [],
    );
  }

  #add(entry: Entry): Promise<void> {
    this.#entries.push(entry);
    this.#write(entry);
    return this.#whenDone();
  }

  #write(entry: Entry): void {
    const buffer = this.#buffer;
    switch (entry.kind) {
      case 'send':
        break;
      case 'subscribe':
        buffer.uint8(Operation.SUBSCRIBE);
        buffer.uint32(entry.subscriber.number);
        buffer.uint32(entry.subscriber.window);
        buffer.text(entry.subscriber.key);
        break;
      case 'unsubscribe':
        buffer.uint8(Operation.UNSUBSCRIBE);
        buffer.uint32(entry.subscriber.number);
        buffer.uint32(entry.sent);
        for (let i = 0; i < entry.sent; i++) buffer.float64(entry.held[i]!.number);
        break;
      case 'settle':
        buffer.uint8(Operation.SETTLE);
        buffer.uint32(entry.subscriber.number);
        buffer.uint8(entry.outcome);
        buffer.uint32(entry.held.length);
        for (const { number } of entry.held) buffer.float64(number);
        break;
    }
  }

  #writeHeader(): void {
    for (let i = 0; i < REQUEST_HEADER; i += 4) this.#buffer.uint32(0);
  }

  #rewrite(): void {
    this.number = 0;
    this.sentBytes = 0;
    this.#lastKey = null;
    this.#buffer.clear();
    this.#writeHeader();
    for (const entry of this.#entries) this.#write(entry);
  }

  #whenDone(): Promise<void> {
    this.#done ??= new Promise((resolve) => {
      this.#resolve = resolve;
    });
    return this.#done;
  }
}
