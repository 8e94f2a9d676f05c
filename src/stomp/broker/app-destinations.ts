import { invalidArgument } from '../../errors.ts';
import { StompError, StompFault, type StompHeaders } from '../codec/frame.ts';
import type { Awaitable, SendRequest } from '../session/session-port.ts';
import type { BrokerSession, ConnectedClient, DestinationKind } from './destination-kind.ts';
import { isPattern, PatternTrie, segmentsOf } from './patterns.ts';

const PREFIX = '/app/';

const decoder = new TextDecoder();

/** What a client sent to the application. */
export class AppMessage {
  readonly destination: string;
  /** Names and values; of repeated headers the first counts. */
  readonly headers: StompHeaders;
  /** The message's own memory. */
  readonly body: Uint8Array;

  constructor({ destination, headers, body }: SendRequest) {
    this.destination = destination;
    this.headers = headers;
    this.body = new Uint8Array(body);
  }

  /** The body as UTF-8; what is none becomes U+FFFD. */
  get text(): string {
    return decoder.decode(this.body);
  }
}

/**
 * Takes what clients send to a destination of the application. It may be async: the RECEIPT waits for it. When it throws or
 * rejects the client gets an ERROR, with the message of a StompError, and with nothing of any other.
 */
export type AppHandler = (message: AppMessage, client: ConnectedClient) => unknown;

/**
 * AppDestinations: destinations with this prefix, whose messages go to handlers of the application in the shard where their
 * sender is, and to nobody else.
 */
export class AppDestinations implements DestinationKind {
  readonly prefix = PREFIX;
  readonly #byName = new Map<string, AppHandler>();
  readonly #byPattern = new PatternTrie<{ readonly handler: AppHandler; readonly place: number }>();
  #handlers = 0;

  /**
   * @param destination a name, or a pattern as topics have it. A name goes before patterns, of which the one counts that
   *   was given first
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT it has a handler already, or is none of these destinations
   */
  on(destination: string, handler: AppHandler): void {
    if (
      typeof destination !== 'string' ||
      !destination.startsWith(PREFIX) ||
      destination.length === PREFIX.length
    )
      throw invalidArgument(`A destination of the application begins with '${PREFIX}'`);
    if (typeof handler !== 'function') throw invalidArgument('A handler of messages must be a function');
    const segments = patternOf(destination);
    if (this.#byName.has(destination) || this.#byPattern.get(segments) !== undefined)
      throw invalidArgument(`'${destination}' has a handler already`);
    if (isPattern(segments)) this.#byPattern.add(segments, { handler, place: this.#handlers++ });
    else this.#byName.set(destination, handler);
  }

  send(session: BrokerSession, request: SendRequest): Awaitable<void> {
    const handler = this.#handlerOf(request.destination);
    if (handler === undefined) throw new StompError(StompFault.PROTOCOL, 'nobody takes messages there');
    const result = handler(new AppMessage(request), session);
    if (!isThenable(result)) return undefined;
    return Promise.resolve(result).then(() => {});
  }

  #handlerOf(destination: string): AppHandler | undefined {
    const handler = this.#byName.get(destination);
    if (handler !== undefined || this.#byPattern.size === 0) return handler;
    const found = this.#byPattern.match(segmentsOf(destination, PREFIX.length));
    let first = found[0];
    for (const each of found) if (each.place < first!.place) first = each;
    return first?.handler;
  }

  /** A handler has to do with the session of whoever sends. */
  publish(): void {
    throw new StompError(StompFault.PROTOCOL, 'the application takes messages of clients alone');
  }

  subscribe(): void {
    throw new StompError(StompFault.PROTOCOL, 'destinations of the application cannot be subscribed to');
  }

  unsubscribe(): void {}

  settle(): void {}
}

/** @throws MillraceError it has too many segments */
function patternOf(destination: string): string[] {
  try {
    return segmentsOf(destination, PREFIX.length);
  } catch (error) {
    throw invalidArgument(`'${destination}': ${(error as Error).message}`);
  }
}

function isThenable(result: unknown): boolean {
  if ((typeof result !== 'object' && typeof result !== 'function') || result === null) return false;
  return typeof (result as { then?: unknown }).then === 'function';
}
