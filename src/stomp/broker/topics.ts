import { StompError, StompFault, type StompHeaders } from '../codec/frame.ts';
import type { SendRequest } from '../session/session-port.ts';
import type {
  BrokerDelivery,
  BrokerSession,
  BrokerSubscription,
  DestinationKind,
} from './destination-kind.ts';
import { type Fanout, TOPIC_PREFIX, topicName } from './fanout.ts';
import { forwardedHeaders, forwardedList } from './forwarded-headers.ts';
import { isPattern, segmentsOf } from './patterns.ts';

/**
 * Topics: destinations with this prefix, whose messages all get who are subscribed to them, or to a pattern that matches.
 * Nothing is stored: an acknowledgement makes room in a subscription's window, and a NACK does the same.
 */
export class Topics implements DestinationKind {
  readonly prefix = TOPIC_PREFIX;
  readonly #fanout: Fanout;

  constructor(fanout: Fanout) {
    this.#fanout = fanout;
  }

  send({ host }: BrokerSession, { destination, headers, body }: SendRequest): void {
    this.#send(host, destination, forwardedHeaders(headers), body);
  }

  publish(host: string, destination: string, headers: readonly string[], body: Uint8Array): void {
    this.#send(host, destination, forwardedList(headers), body);
  }

  #send(host: string, destination: string, headers: readonly string[], body: Uint8Array): void {
    checkName(destination);
    this.#fanout.send(topicName(host, destination), destination, headers, body);
  }

  subscribe(session: BrokerSession, subscription: BrokerSubscription, headers: StompHeaders): void {
    const { destination } = subscription;
    checkName(destination);
    // An expression of a client is not evaluated, and to ignore it would send the client what it does not want.
    if (headers.get('selector') !== undefined)
      throw new StompError(StompFault.PROTOCOL, 'selectors are not supported');
    const segments = segmentsOf(destination, TOPIC_PREFIX.length);
    if (isPattern(segments)) this.#fanout.subscribePattern(session, segments, subscription);
    else this.#fanout.subscribe(topicName(session.host, destination).name, session, subscription);
  }

  unsubscribe(_session: BrokerSession, subscription: BrokerSubscription): void {
    this.#fanout.unsubscribe(subscription);
  }

  settle(_session: BrokerSession, deliveries: readonly BrokerDelivery[]): void {
    this.#fanout.settled(deliveries[0]!.subscription);
  }
}

function checkName(destination: string): void {
  if (destination.length === TOPIC_PREFIX.length)
    throw new StompError(StompFault.PROTOCOL, 'a topic needs a name');
}
