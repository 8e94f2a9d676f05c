import { randomBytes } from 'node:crypto';
import { partsOf, type TemplatedApp } from '../../app/app.ts';
import { participantOf } from '../../app/participant-of.ts';
import { invalidArgument } from '../../errors.ts';
import { Counter } from '../../metrics/counter.ts';
import { latin1Port, textPort } from '../../net/native-ports.ts';
import type { RawEndpoint } from '../../serving/raw-endpoint.ts';
import type { HandshakeRequest } from '../front/handshake-request.ts';
import { listenTcp, type TcpConnection } from '../front/tcp-binding.ts';
import { serveWebSockets } from '../front/websocket-binding.ts';
import type { StompSession } from '../session/session.ts';
import { AppDestinations, type AppHandler } from './app-destinations.ts';
import { BrokerClient, type ClientConnection, type ClientContext } from './broker-client.ts';
import { type CheckedBrokerOptions, checkBrokerOptions, type StompBrokerOptions } from './broker-options.ts';
import type { Token } from './destination-kind.ts';
import { Destinations } from './destinations.ts';
import { Fanout } from './fanout.ts';
import { bodyBytes, headerList, type MessageHeaders, type PublishOptions } from './publisher.ts';
import { Queues } from './queues/queues.ts';
import { TempQueues } from './temp-queues.ts';
import { Topics } from './topics.ts';
import { Users } from './users.ts';

const TEXT = { ...latin1Port, ...textPort };

/** StompBroker: the STOMP broker of one App. The brokers of all shards are one to their clients. */
export class StompBroker {
  readonly #application = new AppDestinations();
  readonly #users: Users;
  readonly #destinations: Destinations;
  readonly #context: ClientContext;
  readonly #tcp: RawEndpoint<TcpConnection> | null;
  /** Begins the ids of sessions. */
  readonly #run = randomBytes(6).toString('hex');
  /** Host of who publishes and names none. */
  readonly #defaultHost: string;
  #sessions = 0;

  /** @internal */
  constructor(app: TemplatedApp, options: CheckedBrokerOptions) {
    const { bus, counters } = partsOf(app).shard;
    const participant = participantOf(app);
    const fanout = new Fanout(participant, counters, TEXT, bus, options.topics);
    const temp = new TempQueues(fanout, options.topics.maxTempQueues);
    this.#users = new Users(fanout);
    this.#destinations = new Destinations([
      new Topics(fanout),
      new Queues(participant, counters, TEXT, options.queues),
      this.#users,
      this.#application,
      temp,
      temp.replies,
    ]);
    this.#defaultHost = options.hosts?.[0] ?? '';
    this.#context = { options, destinations: this.#destinations, temp, text: TEXT, counters };
    const { maxBackpressure, idleTimeout } = options.limits;
    const onSlowReader = (): void => {
      counters[Counter.STOMP_SLOW_READERS]!++;
    };
    serveWebSockets<Token>(
      app,
      { ...options, maxPayloadLength: options.maxFrameLength, maxBackpressure, idleTimeout },
      {
        keepsRequests: options.hooks.authenticate !== undefined,
        prefersBinary: options.binary,
        open: (connection, protocol, request, now) => this.#open(connection, protocol, request, now),
        onSlowReader,
      },
    );
    this.#tcp =
      options.tcp === undefined
        ? null
        : listenTcp<Token>(app, options.path, options.tcp, {
            maxBackpressure,
            writeTimeout: idleTimeout,
            open: (connection, now) => this.#open(connection, '', null, now),
            onSlowReader,
          });
  }

  #open(
    connection: ClientConnection,
    protocol: string,
    request: HandshakeRequest | null,
    now: number,
  ): StompSession<Token> {
    const id = `${this.#run}-${++this.#sessions}`;
    return new BrokerClient(this.#context, connection, id, protocol, request, now).session;
  }

  /**
   * The port of `tcp`, the real one when any free one was asked for; -1 in a shard, whose server has it (`server.ports`), and
   * without `tcp`.
   */
  get tcpPort(): number {
    return this.#tcp?.port ?? -1;
  }

  /**
   * Gives what clients send to a destination of the application, such as `/app/chat`, to a handler in the shard of its
   * sender. A pattern has `*` for a segment and `#` or `**` for any number.
   *
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT it does not begin with `/app/`, or has a handler already
   */
  on(destination: string, handler: AppHandler): this {
    this.#application.on(destination, handler);
    return this;
  }

  /**
   * Sends a message to a destination: a topic, a queue, or `/user/NAME/…`. Resolves when it is on its way to all shards; of a
   * queue, when its owner has stored it.
   *
   * @param headers those that the broker makes are left out: `destination`, `message-id`, `subscription`, `ack` and their like
   * @throws (it rejects) StompError when there is no such destination, it is too long, or its queue refuses the message
   */
  async publish(
    destination: string,
    body: string | Uint8Array,
    headers: MessageHeaders = {},
    { host = this.#defaultHost }: PublishOptions = {},
  ): Promise<void> {
    const kind = this.#destinations.kindOf(destination);
    await kind.publish(host, destination, headerList(headers), bodyBytes(body));
  }

  /**
   * Sends a message to all sessions of a user, on all shards.
   *
   * @param destination as clients subscribe to it, without `/user`: `/queue/x`
   * @throws StompError, MillraceError
   */
  sendToUser(
    user: string,
    destination: string,
    body: string | Uint8Array,
    headers: MessageHeaders = {},
    { host = this.#defaultHost }: PublishOptions = {},
  ): void {
    this.#users.sendToUser(host, user, destination, headerList(headers), bodyBytes(body));
  }
}

const brokers = new WeakSet<TemplatedApp>();

/**
 * Makes an App a STOMP broker: 1.0, 1.1 and 1.2 over WebSocket, and over plain TCP where `tcp` says so. In `serve()` it is
 * called in each shard's module, and all shards are one broker. docs/stomp.md says what is promised.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the option and what it takes; MILLRACE_INVALID_ARGUMENT when the App has
 *   a broker already; MILLRACE_LISTEN_FAILED when an App that listens itself cannot have the port of `tcp`
 */
export function stompBroker(app: TemplatedApp, options: StompBrokerOptions = {}): StompBroker {
  const checked = checkBrokerOptions(options ?? {});
  if (brokers.has(app)) throw invalidArgument('stompBroker: this App has a broker already');
  const broker = new StompBroker(app, checked);
  brokers.add(app);
  return broker;
}
