import { participantOf } from '../../app/participant-of.ts';
import type { Server } from '../../app/server.ts';
import { described } from '../../caller-values.ts';
import { invalidArgument } from '../../errors.ts';
import { THREAD_SLOTS } from '../../metrics/counter.ts';
import { latin1Port, textPort } from '../../net/native-ports.ts';
import { Destinations } from './destinations.ts';
import { Fanout } from './fanout.ts';
import { Queues } from './queues/queues.ts';
import { TempQueues } from './temp-queues.ts';
import { Topics } from './topics.ts';
import { Users } from './users.ts';

const TEXT = { ...latin1Port, ...textPort };

/** Headers of a message, by name. */
export type MessageHeaders = Readonly<Record<string, string>>;

/** Of whom a message is for. */
export interface PublishOptions {
  /** The virtual host; default '', that of brokers without virtual hosts. */
  readonly host?: string;
}

/** Names and values in turns, as they are written; what is no text is refused. */
export function headerList(headers: MessageHeaders): string[] {
  const list: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (name === '' || typeof value !== 'string')
      throw invalidArgument(`The header '${name}' must be text; got ${described(value)}`);
    list.push(name, value);
  }
  return list;
}

/** The bytes of a body; text is UTF-8. */
export function bodyBytes(body: string | Uint8Array): Uint8Array {
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Uint8Array) return body;
  throw invalidArgument(`A body must be text or a Uint8Array; got ${described(body)}`);
}

/** StompPublisher: what the main thread of a server sends to the STOMP clients of its shards. */
export class StompPublisher {
  readonly #users: Users;
  readonly #destinations: Destinations;

  /** @internal */
  constructor(server: Server) {
    const participant = participantOf(server);
    const fanout = new Fanout(participant, null, TEXT, null, null);
    const queues = new Queues(participant, new Float64Array(THREAD_SLOTS), TEXT, null);
    this.#users = new Users(fanout);
    const { replies } = new TempQueues(fanout, 0);
    this.#destinations = new Destinations([new Topics(fanout), queues, this.#users, replies]);
  }

  /**
   * Sends a message to a destination: a topic, a queue, or `/user/NAME/…`. Resolves when it is on its way to all shards; of a queue,
   * when its owner has stored it.
   *
   * @param headers those that the broker makes are left out: `destination`, `message-id`, `subscription`, `ack` and their like
   * @throws (it rejects) StompError when there is no such destination, it is too long, or its queue refuses the message
   */
  async publish(
    destination: string,
    body: string | Uint8Array,
    headers: MessageHeaders = {},
    { host = '' }: PublishOptions = {},
  ): Promise<void> {
    const kind = this.#destinations.kindOf(destination);
    await kind.publish(host, destination, headerList(headers), bodyBytes(body));
  }

  /**
   * Sends a message to all sessions of a user, on all shards.
   *
   * @param destination as clients subscribe to it, without `/user`: `/queue/x`
   */
  async sendToUser(
    user: string,
    destination: string,
    body: string | Uint8Array,
    headers: MessageHeaders = {},
    { host = '' }: PublishOptions = {},
  ): Promise<void> {
    this.#users.sendToUser(host, user, destination, headerList(headers), bodyBytes(body));
  }
}

const publishers = new WeakMap<Server, StompPublisher>();

/** What sends to the STOMP clients of a server from its main thread; one for each server. */
export function stompPublisher(server: Server): StompPublisher {
  const known = publishers.get(server);
  if (known !== undefined) return known;
  const publisher = new StompPublisher(server);
  publishers.set(server, publisher);
  return publisher;
}
