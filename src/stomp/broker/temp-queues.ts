import { randomBytes } from 'node:crypto';
import { StompError, StompFault, StompHeaders } from '../codec/frame.ts';
import type { SendRequest } from '../session/session-port.ts';
import { AckMode, Subscription } from '../session/subscriptions.ts';
import type { BrokerSession, DestinationKind, Token } from './destination-kind.ts';
import type { Fanout, FanoutName } from './fanout.ts';
import { forwardedHeaders, forwardedList } from './forwarded-headers.ts';

const TEMP_PREFIX = '/temp-queue/';
const REPLY_PREFIX = '/reply-queue/';
/** Bytes of the secret that makes the address of a session's queues. */
const SECRET_LENGTH = 16;

/** The temporary queues of a session. */
interface OwnQueues {
  readonly secret: string;
  /** By the name that the session gave. */
  readonly byName: Map<string, Subscription<Token>>;
}

/**
 * TempQueues: a session's own queues for answers, as in RabbitMQ. A SEND with `reply-to:/temp-queue/x` opens one, and whoever
 * gets its message finds an address there that nobody could guess: what is sent to that comes to the session, with
 * `/temp-queue/x` as its `destination` and `subscription`. Nothing is stored; the queue is gone with its session.
 */
export class TempQueues implements DestinationKind {
  /** Nothing can be sent there, nor be subscribed to. */
  readonly prefix = TEMP_PREFIX;
  /** Where answers go. */
  readonly replies: DestinationKind;
  readonly #fanout: Fanout;
  readonly #maxQueues: number;
  readonly #sessions = new Map<BrokerSession, OwnQueues>();

  /** @param maxQueues of a session */
  constructor(fanout: Fanout, maxQueues: number) {
    this.#fanout = fanout;
    this.#maxQueues = maxQueues;
    this.replies = new Replies(fanout);
  }

  /** Sessions that have temporary queues. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * What a client sends, with an address that others can answer to instead of the name of its temporary queue. To be
   * called for each SEND, whatever its destination.
   *
   * @throws StompError it has too many queues
   */
  addressed(session: BrokerSession, request: SendRequest): SendRequest {
    const replyTo = request.headers.get('reply-to');
    if (replyTo === undefined || !replyTo.startsWith(TEMP_PREFIX)) return request;
    const address = this.#open(session, replyTo);
    const headers = new StompHeaders();
    headers.append('reply-to', address);
    for (let i = 0; i < request.headers.size; i++) {
      const name = request.headers.nameAt(i);
      if (name !== 'reply-to') headers.append(name, request.headers.valueAt(i));
    }
    return { destination: request.destination, headers, body: request.body };
  }

  /** The address of a session's queue, which is opened if there is none. */
  #open(session: BrokerSession, name: string): string {
    if (name.length === TEMP_PREFIX.length)
      throw new StompError(StompFault.PROTOCOL, 'a temporary queue needs a name');
    let own = this.#sessions.get(session);
    if (own === undefined) {
      own = { secret: randomBytes(SECRET_LENGTH).toString('hex'), byName: new Map() };
      this.#sessions.set(session, own);
    }
    const address = `${REPLY_PREFIX}${own.secret}/${name.slice(TEMP_PREFIX.length)}`;
    if (own.byName.has(name)) return address;
    if (own.byName.size >= this.#maxQueues)
      throw new StompError(StompFault.LIMIT, `more than ${this.#maxQueues} temporary queues`);
    const subscription = new Subscription<Token>(name, name, AckMode.AUTO, 1);
    this.#fanout.subscribe(replyName(session.host, address).name, session, subscription);
    own.byName.set(name, subscription);
    return address;
  }

  send(): void {
    throw notAllowed();
  }

  publish(): void {
    throw notAllowed();
  }

  subscribe(): void {
    throw notAllowed();
  }

  unsubscribe(): void {}

  settle(): void {}

  ended(session: BrokerSession): void {
    const own = this.#sessions.get(session);
    if (own === undefined) return;
    this.#sessions.delete(session);
    for (const subscription of own.byName.values()) {
      subscription.isEnded = true;
      this.#fanout.unsubscribe(subscription);
    }
  }
}

/** Answers go to the one session that has the queue, if it is there still. */
class Replies implements DestinationKind {
  readonly prefix = REPLY_PREFIX;
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

  /** The session finds its own name of the queue. */
  #send(host: string, destination: string, headers: readonly string[], body: Uint8Array): void {
    const start = destination.indexOf('/', REPLY_PREFIX.length) + 1;
    if (start === 0) throw new StompError(StompFault.PROTOCOL, 'there is no such destination');
    const name = `${TEMP_PREFIX}${destination.slice(start)}`;
    this.#fanout.send(replyName(host, destination), name, headers, body);
  }

  subscribe(): void {
    throw notAllowed();
  }

  unsubscribe(): void {}

  settle(): void {}
}

function replyName(host: string, address: string): FanoutName {
  const name = `${host}\n${address}`;
  return { name, interests: [name] };
}

function notAllowed(): StompError {
  return new StompError(
    StompFault.PROTOCOL,
    'temporary queues are opened by reply-to, and answered at the address that their message has',
  );
}
