import { randomBytes } from 'node:crypto';
import type { Bus } from '../../bus/bus.ts';
import type { Participant } from '../../bus/participant.ts';
import { RecordKind } from '../../bus/record-kinds.ts';
import { Counter, Level } from '../../metrics/counter.ts';
import { isTopicTooLong } from '../../ring/topic-bytes.ts';
import { StompError, StompFault } from '../codec/frame.ts';
import type { HeaderList } from '../codec/frame-writer.ts';
import type { StompTextPort } from '../codec/text-port.ts';
import { Audience, type AudienceContext, FanoutMessage } from './audience.ts';
import type { BrokerSession, BrokerSubscription } from './destination-kind.ts';
import { encodePayload } from './message-payload.ts';
import { PatternAudiences } from './pattern-audiences.ts';
import { firstSegmentOf, isAnyNumber, isAnyOne, segmentsOf } from './patterns.ts';

export const TOPIC_PREFIX = '/topic/';

/**
 * A name that messages are sent to, on all threads. What it is the name of is told by its host, which has no line end, and by
 * what follows that.
 */
export interface FanoutName {
  readonly name: string;
  /** What threads are interested in that want it: the name first, then patterns that may match it. */
  readonly interests: readonly string[];
}

/** Those who subscribed to a pattern are interested in this: in all topics with its first segment, if that is no wildcard. */
function patternInterest(host: string, segment: string): string {
  return isAnyOne(segment) || isAnyNumber(segment) ? `${host}\n*` : `${host}\n*${segment}`;
}

/** @throws StompError it has too many segments */
export function topicName(host: string, destination: string): FanoutName {
  // Whoever has patterns splits it.
  segmentsOf(destination, TOPIC_PREFIX.length);
  const name = `${host}\n${destination}`;
  const first = firstSegmentOf(destination, TOPIC_PREFIX.length);
  return { name, interests: [name, `${host}\n*${first}`, `${host}\n*`] };
}

/** Where a subscription is. */
interface Place {
  readonly audience: Audience;
  readonly host: string;
  readonly name: string;
  readonly pattern: readonly string[] | null;
}

/** Limits of a thread's subscribers. */
export interface FanoutLimits {
  readonly maxPatternSegments: number;
  readonly maxTopicBacklog: number;
}

/**
 * Fanout: messages that all subscribers of a name get, on all threads. A thread is sent those of names that it has
 * subscribers of; a message crosses once for each thread, whatever the number of its subscribers.
 */
export class Fanout {
  readonly #participant: Participant;
  readonly #counters: Float64Array | null;
  readonly #context: AudienceContext;
  readonly #audiences = new Map<string, Audience>();
  readonly #patterns: PatternAudiences;
  /** What this thread is interested in no more, when the turn ends. */
  #leaving: string[] = [];
  readonly #places = new Map<BrokerSubscription, Place>();
  /** Begins the ids of messages of this thread. */
  readonly #run = randomBytes(6).toString('hex');
  #messages = 0;

  /**
   * @param counters of the thread
   * @param bus its sockets
   * @param limits null: this thread has no clients
   */
  constructor(
    participant: Participant,
    counters: Float64Array | null,
    text: StompTextPort,
    bus: Bus | null,
    limits: FanoutLimits | null,
  ) {
    this.#participant = participant;
    this.#counters = counters;
    this.#context = { text, bus, maxBacklog: limits?.maxTopicBacklog ?? 0 };
    this.#patterns = new PatternAudiences(limits?.maxPatternSegments ?? 0);
    participant.on(RecordKind.STOMP_MESSAGE, (bytes, _from, _instance, name) => {
      this.#deliver(name, bytes);
    });
  }

  /** Names and patterns with subscribers here. */
  get size(): number {
    return this.#audiences.size + this.#patterns.segments;
  }

  /** What is sent from the return of this call on is not missed. @throws StompError the name is too long */
  subscribe(name: string, session: BrokerSession, subscription: BrokerSubscription): void {
    this.#checkLength(name);
    let audience = this.#audiences.get(name);
    if (audience === undefined) {
      audience = new Audience(this.#context);
      this.#audiences.set(name, audience);
      this.#participant.addInterest(name);
    }
    this.#add(session, subscription, { audience, host: session.host, name, pattern: null });
  }

  /** The same for topics whose names match a pattern. @throws StompError there are too many */
  subscribePattern(
    session: BrokerSession,
    pattern: readonly string[],
    subscription: BrokerSubscription,
  ): void {
    const { host } = session;
    const name = patternInterest(host, pattern[0]!);
    this.#checkLength(name);
    let audience = this.#patterns.get(host, pattern);
    if (audience === undefined) {
      audience = new Audience(this.#context);
      this.#patterns.add(host, pattern, audience);
      this.#participant.addInterest(name);
    }
    this.#add(session, subscription, { audience, host, name, pattern });
  }

  #add(session: BrokerSession, subscription: BrokerSubscription, place: Place): void {
    this.#places.set(subscription, place);
    this.#count(1);
    place.audience.add(session, subscription);
  }

  /** What was sent before is delivered, and nothing after. One that was refused is none. */
  unsubscribe(subscription: BrokerSubscription): void {
    const place = this.#places.get(subscription);
    if (place === undefined) return;
    const { audience, host, name, pattern } = place;
    this.#places.delete(subscription);
    this.#count(-1);
    audience.remove(subscription);
    if (!audience.isEmpty) return;
    if (pattern === null) this.#audiences.delete(name);
    else this.#patterns.remove(host, pattern);
    this.#leave(name);
  }

  /** Not before the turn ends: who subscribes again at once must not miss what others send meanwhile. */
  #leave(name: string): void {
    if (this.#leaving.length === 0) setImmediate(this.#leaveAll);
    this.#leaving.push(name);
  }

  readonly #leaveAll = (): void => {
    const names = this.#leaving;
    this.#leaving = [];
    for (const name of names) this.#participant.removeInterest(name);
  };

  /** Something was acknowledged. */
  settled(subscription: BrokerSubscription): void {
    this.#places.get(subscription)?.audience.settled(subscription);
  }

  /**
   * Sends a message to all subscribers of a name. Handlers of clients that take too little may be called meanwhile.
   *
   * @param headers names and values in turns, without those that the broker makes
   * @throws StompError the name is too long
   */
  send({ name, interests }: FanoutName, destination: string, headers: HeaderList, body: Uint8Array): void {
    this.#checkLength(name);
    if (this.#counters !== null) this.#counters[Counter.TOPIC_MESSAGES]!++;
    const isWanted = this.#participant.isWanted(interests);
    const audiences = this.#audiencesOf(name);
    if (!isWanted && audiences.length === 0) return;
    const id = `${this.#run}-${++this.#messages}`;
    const all = ['destination', destination, 'message-id', id, ...headers];
    const payload = encodePayload(this.#context.text, all, body);
    // First, as a handler that is called by a delivery here may send, too.
    if (isWanted) this.#participant.sendToInterested(RecordKind.STOMP_MESSAGE, interests, payload);
    deliverTo(audiences, new FanoutMessage(this.#context.text, payload));
  }

  #deliver(name: string, payload: Uint8Array): void {
    deliverTo(this.#audiencesOf(name), new FanoutMessage(this.#context.text, payload));
  }

  #audiencesOf(name: string): Audience[] {
    const exact = this.#audiences.get(name);
    const end = name.indexOf('\n');
    const host = name.slice(0, end);
    if (!this.#patterns.has(host) || !name.startsWith(TOPIC_PREFIX, end + 1))
      return exact === undefined ? NOBODY : [exact];
    const found = this.#patterns.match(host, segmentsOf(name, end + 1 + TOPIC_PREFIX.length));
    if (exact !== undefined) found.push(exact);
    return found;
  }

  #checkLength(name: string): void {
    if (isTopicTooLong(name, this.#participant.maxNameLength))
      throw new StompError(StompFault.LIMIT, 'the destination is too long');
  }

  #count(change: 1 | -1): void {
    if (this.#counters !== null) this.#counters[Level.TOPIC_SUBSCRIPTIONS]! += change;
  }
}

const NOBODY: Audience[] = [];

function deliverTo(audiences: readonly Audience[], message: FanoutMessage): void {
  for (const audience of audiences) audience.deliver(message);
}
