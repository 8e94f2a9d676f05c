import { StompError, StompFault } from '../codec/frame.ts';
import type { SendRequest } from '../session/session-port.ts';
import type {
  BrokerDelivery,
  BrokerSession,
  BrokerSubscription,
  DestinationKind,
} from './destination-kind.ts';
import type { Fanout, FanoutName } from './fanout.ts';
import { forwardedHeaders, forwardedList } from './forwarded-headers.ts';

const PREFIX = '/user/';
const SLASH = 0x2f;

/**
 * Users: `/user/queue/x` is a destination of each user's own. All sessions of a user get what is sent there, on all threads:
 * by `sendToUser`, or by SEND to `/user/NAME/queue/x`. A session of nobody in particular is a user of its own.
 *
 * Nothing is kept for a user but the subscriptions of the sessions that are there.
 */
export class Users implements DestinationKind {
  readonly prefix = PREFIX;
  readonly #fanout: Fanout;

  constructor(fanout: Fanout) {
    this.#fanout = fanout;
  }

  /** To another user, or to oneself, by name. `/` in a name is written `%2F`. */
  send({ host }: BrokerSession, { destination, headers, body }: SendRequest): void {
    this.#send(host, destination, forwardedHeaders(headers), body);
  }

  publish(host: string, destination: string, headers: readonly string[], body: Uint8Array): void {
    this.#send(host, destination, forwardedList(headers), body);
  }

  #send(host: string, destination: string, headers: readonly string[], body: Uint8Array): void {
    const end = destination.indexOf('/', PREFIX.length);
    if (end <= PREFIX.length || end === destination.length - 1)
      throw new StompError(StompFault.PROTOCOL, 'a message to a user goes to /user/NAME/DESTINATION');
    const user = decoded(destination.slice(PREFIX.length, end));
    this.#fanout.send(
      userName(host, user, destination.slice(end)),
      `/user${destination.slice(end)}`,
      headers,
      body,
    );
  }

  /**
   * Sends to all sessions of a user.
   *
   * @param destination as the user's clients subscribe to it, without `/user`: `/queue/x`
   * @throws StompError
   */
  sendToUser(
    host: string,
    user: string,
    destination: string,
    headers: readonly string[],
    body: Uint8Array,
  ): void {
    checkRest(destination);
    this.#fanout.send(userName(host, user, destination), `/user${destination}`, forwardedList(headers), body);
  }

  /** The same to one session alone, which must be one of nobody in particular. */
  sendToSession(
    { host, id }: Pick<BrokerSession, 'host' | 'id'>,
    destination: string,
    headers: readonly string[],
    body: Uint8Array,
  ): void {
    checkRest(destination);
    this.#fanout.send(
      sessionName(host, id, destination),
      `/user${destination}`,
      forwardedList(headers),
      body,
    );
  }

  subscribe(session: BrokerSession, subscription: BrokerSubscription): void {
    const { host, user, id } = session;
    const rest = subscription.destination.slice(PREFIX.length - 1);
    checkRest(rest);
    const { name } = user === undefined ? sessionName(host, id, rest) : userName(host, user, rest);
    this.#fanout.subscribe(name, session, subscription);
  }

  unsubscribe(_session: BrokerSession, subscription: BrokerSubscription): void {
    this.#fanout.unsubscribe(subscription);
  }

  settle(_session: BrokerSession, deliveries: readonly BrokerDelivery[]): void {
    this.#fanout.settled(deliveries[0]!.subscription);
  }
}

/** A user may have any name: its length tells where it ends. */
function userName(host: string, user: string, rest: string): FanoutName {
  const name = `${host}\n@${user.length}:${user}${rest}`;
  return { name, interests: [name] };
}

/** A user who calls himself as a session is called gets none of its messages. */
function sessionName(host: string, id: string, rest: string): FanoutName {
  const name = `${host}\n#${id}${rest}`;
  return { name, interests: [name] };
}

function checkRest(rest: string): void {
  if (rest.length < 2 || rest.charCodeAt(0) !== SLASH)
    throw new StompError(StompFault.PROTOCOL, 'a destination of a user has a name');
}

function decoded(name: string): string {
  if (!name.includes('%')) return name;
  try {
    return decodeURIComponent(name);
  } catch {
    throw new StompError(StompFault.PROTOCOL, 'the name of a user is not encoded as in a URL');
  }
}
