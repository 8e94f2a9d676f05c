import { randomInt } from 'node:crypto';
import type { Participant } from '../../../bus/participant.ts';
import { RecordKind } from '../../../bus/record-kinds.ts';
import { Counter } from '../../../metrics/counter.ts';
import { StompError, StompFault, type StompHeaders } from '../../codec/frame.ts';
import type { StompTextPort } from '../../codec/text-port.ts';
import { Outcome } from '../../queue/queue.ts';
import type { QueuedMessage } from '../../queue/queued-message.ts';
import type { Awaitable, SendRequest } from '../../session/session-port.ts';
import type {
  BrokerDelivery,
  BrokerSession,
  BrokerSubscription,
  DestinationKind,
} from '../destination-kind.ts';
import { forwardedHeaders, forwardedList } from '../forwarded-headers.ts';
import { encodePayload } from '../message-payload.ts';
import { RecordReader } from '../record-buffer.ts';
import type { Held, Sender } from './batch.ts';
import { Outbox } from './outbox.ts';
import { type QueueOptions, queueKey } from './queue-options.ts';
import { type Letter, QueueOwner } from './queue-owner.ts';
import { OwnerRecord } from './queue-records.ts';
import { type HeldMessage, QueueSubscriber } from './queue-subscriber.ts';

/** Ms until clients whose connections did not keep up are looked at again. */
const BACKLOG_INTERVAL = 5;

/**
 * Queues: destinations with this prefix, each of whose messages one consumer gets. One thread owns a queue; clients of all
 * threads send to it, and take from it.
 */
export class Queues implements DestinationKind {
  readonly prefix = '/queue/';
  readonly #participant: Participant;
  readonly #counters: Float64Array;
  readonly #text: StompTextPort;
  readonly #run = randomInt(1, 2 ** 32);
  readonly #owner: QueueOwner | null;
  readonly #outboxes = new Map<number, Outbox>();
  readonly #subscribers = new Map<number, QueueSubscriber>();
  readonly #bySubscription = new Map<BrokerSubscription, QueueSubscriber>();
  #lastSubscriber = 0;
  /** Those with messages that wait for their connection. */
  readonly #backlog = new Set<QueueSubscriber>();
  #backlogTimer: NodeJS.Timeout | null = null;
  /** What clients with `ack:auto` were sent in this turn, by consumer. */
  readonly #sent = new Map<QueueSubscriber, Held[]>();
  #letters: Letter[] = [];

  /**
   * @param counters of the thread
   * @param options null: this thread has no clients and owns no queues, but publishes
   */
  constructor(
    participant: Participant,
    counters: Float64Array,
    text: StompTextPort,
    options: QueueOptions | null,
  ) {
    this.#participant = participant;
    this.#counters = counters;
    this.#text = text;
    const letters = {
      send: (letter: Letter) => {
        this.#sendLetter(letter);
      },
      take: () => this.#takeLetters(),
    };
    const local = {
      onMessage: (consumer: number, message: QueuedMessage) => {
        this.#subscribers.get(consumer)?.take(message);
      },
    };
    this.#owner =
      options === null ? null : new QueueOwner(participant, this.#run, counters, options, local, letters);
    participant.on(RecordKind.QUEUE, (bytes, from) => {
      this.#onRecord(bytes, from);
    });
    participant.onPeer(({ id, role }, state) => {
      // Owners let go of what clients had of the thread that was here before this one.
      if (state === 'up' && options !== null && role !== 'main') this.#outbox(id).onUp();
    });
  }

  send(session: BrokerSession, request: SendRequest): Awaitable<void> {
    const { destination, headers } = request;
    const sender = new ClientSender(session, headers);
    return this.#send(session.host, destination, forwardedHeaders(headers), request.body, sender);
  }

  publish(host: string, destination: string, headers: readonly string[], body: Uint8Array): Awaitable<void> {
    const list = forwardedList(headers);
    return new Promise((resolve, reject) => {
      void this.#send(host, destination, list, body, { done: resolve, fail: reject });
    });
  }

  #send(
    host: string,
    destination: string,
    headers: readonly string[],
    body: Uint8Array,
    sender: Sender,
  ): Promise<void> | undefined {
    const key = queueKey(host, destination);
    return this.#outboxFor(key).send(key, encodePayload(this.#text, headers, body), sender);
  }

  subscribe(session: BrokerSession, subscription: BrokerSubscription): Awaitable<void> {
    const key = queueKey(session.host, subscription.destination);
    this.#lastSubscriber++;
    const outbox = this.#outboxFor(key);
    const subscriber = new QueueSubscriber(
      this,
      this.#text,
      this.#lastSubscriber,
      key,
      session,
      subscription,
      outbox,
    );
    this.#subscribers.set(subscriber.number, subscriber);
    this.#bySubscription.set(subscription, subscriber);
    try {
      return outbox.subscribe(subscriber);
    } catch (error) {
      this.forget(subscriber);
      throw error;
    }
  }

  unsubscribe(
    _session: BrokerSession,
    subscription: BrokerSubscription,
    left: readonly BrokerDelivery[],
  ): Awaitable<void> {
    const subscriber = this.#bySubscription.get(subscription);
    // It was refused.
    if (subscriber === undefined) return undefined;
    this.forget(subscriber);
    this.#settleSent(subscriber);
    return subscriber.outbox.unsubscribe(subscriber, heldOf(left), subscriber.end());
  }

  settle(
    _session: BrokerSession,
    deliveries: readonly BrokerDelivery[],
    isAccepted: boolean,
    headers: StompHeaders,
  ): Awaitable<void> {
    const subscriber = this.#bySubscription.get(deliveries[0]!.subscription);
    if (subscriber === undefined) return undefined;
    const returned = headers.get('requeue') === 'false' ? Outcome.REJECTED : Outcome.RETURNED;
    return subscriber.outbox.settle(subscriber, isAccepted ? Outcome.ACCEPTED : returned, heldOf(deliveries));
  }

  // Of subscribers.

  /** It is told of no more messages. */
  forget(subscriber: QueueSubscriber): void {
    this.#subscribers.delete(subscriber.number);
    this.#bySubscription.delete(subscriber.subscription);
    this.#backlog.delete(subscriber);
  }

  /** Messages wait for its connection. */
  wait(subscriber: QueueSubscriber): void {
    this.#backlog.add(subscriber);
    this.#backlogTimer ??= setInterval(this.#lookAtBacklog, BACKLOG_INTERVAL);
  }

  readonly #lookAtBacklog = (): void => {
    for (const subscriber of this.#backlog) {
      if (subscriber.deliverWaiting()) this.#backlog.delete(subscriber);
    }
    if (this.#backlog.size > 0 || this.#backlogTimer === null) return;
    clearInterval(this.#backlogTimer);
    this.#backlogTimer = null;
  };

  /** A client that does not acknowledge was sent a message: that counts, at the end of the turn. */
  sent(subscriber: QueueSubscriber, held: Held): void {
    const known = this.#sent.get(subscriber);
    if (known !== undefined) {
      known.push(held);
      return;
    }
    if (this.#sent.size === 0) setImmediate(this.#settleAllSent);
    this.#sent.set(subscriber, [held]);
  }

  readonly #settleAllSent = (): void => {
    for (const subscriber of Array.from(this.#sent.keys())) this.#settleSent(subscriber);
  };

  #settleSent(subscriber: QueueSubscriber): void {
    const held = this.#sent.get(subscriber);
    if (held === undefined) return;
    this.#sent.delete(subscriber);
    void subscriber.outbox.settle(subscriber, Outcome.ACCEPTED, held);
  }

  // What owners tell.

  #onRecord(bytes: Uint8Array, from: number): void {
    const reader = new RecordReader(bytes);
    const kind = reader.uint8() as OwnerRecord;
    if (kind === OwnerRecord.ANNOUNCE) {
      this.#outboxes.get(from)?.onEpoch(reader.uint32());
      return;
    }
    // Those of a thread before this one went back with it.
    if (reader.uint32() !== this.#run) return;
    while (!reader.isAtEnd) {
      const subscriber = this.#subscribers.get(reader.uint32());
      const number = reader.float64();
      const deliveries = reader.uint32();
      const since = reader.float64();
      const payload = reader.bytes();
      // One that ended: that is on its way to the owner.
      if (subscriber?.outbox.owner !== from) continue;
      subscriber.take({ number, deliveries, since, payload: new Uint8Array(payload) });
    }
  }

  // Owners, and dead letters.

  #outboxFor(key: string): Outbox {
    return this.#outbox(this.#participant.ownerOf(key));
  }

  #outbox(owner: number): Outbox {
    const known = this.#outboxes.get(owner);
    if (known !== undefined) return known;
    const outbox = new Outbox(owner, this.#participant, this.#run, this.#owner);
    this.#outboxes.set(owner, outbox);
    return outbox;
  }

  /** Soon, as a queue is at work. */
  #sendLetter(letter: Letter): void {
    this.#letters.push(letter);
    if (this.#letters.length === 1) setImmediate(this.#sendLetters);
  }

  readonly #sendLetters = (): void => {
    const letters = this.#letters;
    this.#letters = [];
    for (const letter of letters) {
      const fail = (error: StompError): void => {
        // Rather twice than not at all.
        if (error.fault === StompFault.UNAVAILABLE) this.#sendLetter(letter);
        else this.#counters[Counter.QUEUE_DROPPED]!++;
      };
      try {
        void this.#outboxFor(letter.key).send(letter.key, letter.payload, { isUnowned: true, fail });
      } catch (error) {
        fail(error as StompError);
      }
    }
  };

  #takeLetters(): Letter[] {
    const letters = this.#letters;
    this.#letters = [];
    for (const outbox of this.#outboxes.values()) letters.push(...outbox.takeUnowned());
    return letters;
  }
}

/** A session that sends: it ends when the message could not be stored. */
class ClientSender implements Sender {
  readonly #session: BrokerSession;
  readonly #headers: StompHeaders;

  constructor(session: BrokerSession, headers: StompHeaders) {
    this.#session = session;
    this.#headers = headers;
  }

  fail({ fault, message }: StompError): void {
    this.#session.refuse(new StompError(fault, message, this.#headers.get('receipt')));
  }
}

/** What was given with deliveries of this kind. */
function heldOf(deliveries: readonly BrokerDelivery[]): HeldMessage[] {
  return deliveries.map(({ token }) => token as HeldMessage);
}
