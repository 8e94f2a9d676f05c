import { described, readInteger } from '../../caller-values.ts';
import { MillraceError } from '../../errors.ts';
import { checkFlag, checkLimits } from '../../options/check-option.ts';
import type { LimitsOf } from '../../options/option.ts';
import { checkSpelling } from '../../options/option-names.ts';
import { STOMP_LIMITS, STOMP_OPTIONS } from '../../options/stomp-options.ts';
import { STOMP_QUEUE_LIMITS, STOMP_QUEUE_OPTIONS } from '../../options/stomp-queue-options.ts';
import { STOMP_TOPIC_LIMITS } from '../../options/stomp-topic-options.ts';
import { type OriginPolicy, validateOriginPolicy } from '../../protocol/origin.ts';
import type { HeartBeat } from '../codec/negotiation.ts';
import type { HandshakeRequest } from '../front/handshake-request.ts';
import type { TcpOptions } from '../front/tcp-options.ts';
import type { SessionOptions } from '../session/session-port.ts';
import type { AppMessage } from './app-destinations.ts';
import type { ConnectedClient } from './destination-kind.ts';
import type { MessageHeaders } from './publisher.ts';
import { checkQueueOptions, type QueueOptions, type StompQueueOptions } from './queues/queue-options.ts';

/** What a client says of itself in CONNECT, and how it came. */
export interface StompLogin {
  readonly login: string | undefined;
  readonly passcode: string | undefined;
  /** The virtual host that it wants; undefined: it did not say. */
  readonly host: string | undefined;
  /** All headers of CONNECT, of repeated ones the first. */
  readonly headers: ReadonlyMap<string, string>;
  /** The request of its WebSocket; null: it came by plain TCP. */
  readonly request: HandshakeRequest | null;
  readonly remoteAddress: string;
}

/** True: it is let in, and its user is its login. False: it is not. `{ user }`: it is let in as that one. */
export type StompVerdict = boolean | { readonly user: string };

/** What a message is to be instead of what the client sent; what is left out stays as it was. */
export interface ChangedMessage {
  readonly destination?: string;
  readonly headers?: MessageHeaders;
  readonly body?: string | Uint8Array;
}

/** Options of a broker. All are optional. */
export interface StompBrokerOptions
  extends Partial<LimitsOf<typeof STOMP_LIMITS>>,
    Partial<LimitsOf<typeof STOMP_TOPIC_LIMITS>>,
    StompQueueOptions {
  /** Path of the WebSocket endpoint; the same with `/websocket` behind it is one, too. Default `/stomp`. */
  path?: string;
  /** Pages that may connect: '*', 'same-origin' or a list such as ['https://example.com']. Default '*'. */
  origins?: OriginPolicy;
  /**
   * Ms between signs of life: those that the broker sends, and those that it wants; 0: none, else 1,000 to 86,400,000. What a
   * client asks for may make them longer. Default [10000, 10000].
   */
  heartBeat?: readonly [send: number, receive: number];
  /**
   * Names of virtual hosts, whose destinations have nothing to do with each other. The first is that of clients that
   * name none; a client that names another gets an ERROR. Left out: all clients are in one, whatever they say.
   */
  hosts?: readonly string[];
  /** Send all in binary WebSocket messages, not only what is no UTF-8. Default false. */
  binary?: boolean;
  /** STOMP over plain TCP as well. */
  tcp?: TcpOptions;
  /**
   * Lets a client in. It may be async. What it throws refuses the client, and is told to `onError`; of a StompError the
   * client is told the message. Left out: everybody is let in, and is the user that it says.
   */
  authenticate?: (client: StompLogin) => StompVerdict | Promise<StompVerdict>;
  /**
   * Whether a client may send to a destination, or subscribe to it; asked before there is any effect. It may be async: what
   * the client sends meanwhile waits. Anything but true is an ERROR. Left out: all may do all.
   */
  authorize?: (
    client: ConnectedClient,
    action: 'send' | 'subscribe',
    destination: string,
  ) => boolean | Promise<boolean>;
  /**
   * Sees each message before its effect. It returns nothing, false (the client gets an ERROR), or what the message is to be
   * instead. It may be async: then messages of one client may overtake each other.
   */
  onSend?: (
    message: AppMessage,
    client: ConnectedClient,
  ) => boolean | void | ChangedMessage | Promise<boolean | void | ChangedMessage>;
  /** Told of what a handler threw; the client has got an ERROR that does not say what. Left out: it is printed. */
  onError?: (error: unknown, client: ConnectedClient) => void;
}

/** Options of a broker with all that was left out filled in. */
export interface CheckedBrokerOptions {
  readonly path: string;
  readonly origins: OriginPolicy | undefined;
  readonly hosts: readonly string[] | null;
  readonly binary: boolean;
  readonly tcp: TcpOptions | undefined;
  readonly limits: LimitsOf<typeof STOMP_LIMITS>;
  readonly topics: LimitsOf<typeof STOMP_TOPIC_LIMITS>;
  readonly queues: QueueOptions;
  readonly hooks: Pick<StompBrokerOptions, 'authenticate' | 'authorize' | 'onSend' | 'onError'>;
  /** Of each session, but for what is its own. */
  readonly session: Omit<SessionOptions, 'id' | 'protocol'>;
  /** Bytes of a frame, headers and all. */
  readonly maxFrameLength: number;
}

const WHERE = 'stompBroker';
const NAMES = [
  STOMP_LIMITS,
  STOMP_OPTIONS,
  STOMP_TOPIC_LIMITS,
  STOMP_QUEUE_LIMITS,
  STOMP_QUEUE_OPTIONS,
].flatMap((table) => Object.keys(table));
const HOOKS = ['authenticate', 'authorize', 'onSend', 'onError'] as const;

/** Bytes of a frame beside its body. */
const MAX_HEAD_LENGTH = 64 * 1024;
/** Bytes of CONNECT, which comes from somebody nobody knows. */
const MAX_CONNECT_LENGTH = 16 * 1024;
/** Bytes that a client may send while it waits, at least: what is read at once. */
const MIN_HELD_BYTES = 512 * 1024;
const MIN_HEART_BEAT = 1000;
const MAX_HEART_BEAT = 86_400_000;

/** @throws MillraceError MILLRACE_INVALID_OPTION naming the option and what it takes */
export function checkBrokerOptions(given: StompBrokerOptions): CheckedBrokerOptions {
  if (typeof given !== 'object' || given === null)
    throw new MillraceError(
      'MILLRACE_INVALID_OPTION',
      `${WHERE}: options must be an object; got ${described(given)}`,
    );
  checkSpelling(WHERE, given, NAMES);
  const limits = checkLimits(WHERE, given, STOMP_LIMITS);
  const hooks: Record<string, unknown> = {};
  for (const name of HOOKS) {
    const hook: unknown = given[name] ?? undefined;
    if (hook !== undefined && typeof hook !== 'function') throw invalid(name, 'must be a function', hook);
    hooks[name] = hook;
  }
  validateOriginPolicy(given.origins ?? undefined);
  const maxFrameLength = limits.maxPayloadLength + MAX_HEAD_LENGTH;
  return {
    path: checkPath(given.path),
    origins: given.origins ?? undefined,
    hosts: checkHosts(given.hosts),
    binary: checkFlag(WHERE, 'binary', given.binary, STOMP_OPTIONS.binary),
    tcp: given.tcp ?? undefined,
    limits,
    topics: checkLimits(WHERE, given, STOMP_TOPIC_LIMITS),
    queues: checkQueueOptions(WHERE, given),
    hooks,
    session: {
      server: 'millrace',
      heartBeat: checkHeartBeat(given.heartBeat),
      heartBeatTolerance: 2,
      connectTimeout: limits.connectTimeout * 1000,
      frames: {
        maxHeaders: limits.maxHeaders,
        maxLineLength: limits.maxHeaderLength,
        maxBodyLength: limits.maxPayloadLength,
        maxFrameLength,
      },
      maxConnectLength: MAX_CONNECT_LENGTH,
      maxHeldBytes: Math.max(MIN_HELD_BYTES, 2 * maxFrameLength),
      maxPendingEffects: limits.maxPendingFrames,
      maxSubscriptions: limits.maxSubscriptions,
      window: Math.min(limits.prefetch, limits.maxPrefetch),
      maxWindow: limits.maxPrefetch,
      transactions: {
        maxTransactions: limits.maxTransactions,
        maxTransactionFrames: limits.maxTransactionFrames,
        maxTransactionBytes: limits.maxTransactionBytes,
      },
    },
    maxFrameLength,
  };
}

function checkPath(path: unknown): string {
  const value = path ?? '/stomp';
  if (typeof value === 'string' && value.startsWith('/') && !value.endsWith('/') && !value.includes('*'))
    return value;
  throw invalid('path', "must be a path such as '/stomp'", path);
}

function checkHosts(hosts: unknown): readonly string[] | null {
  if (hosts === undefined || hosts === null) return null;
  // A line end separates a host from what is in it.
  const isList =
    Array.isArray(hosts) &&
    hosts.length > 0 &&
    hosts.every((host) => typeof host === 'string' && host !== '' && !host.includes('\n'));
  if (isList) return [...(hosts as readonly string[])];
  throw invalid('hosts', "must be a list of names such as ['example.com']", hosts);
}

function checkHeartBeat(value: unknown): HeartBeat {
  const [send, receive] =
    Array.isArray(value) && value.length === 2 ? (value as unknown[]) : [10_000, 10_000];
  const isList = value === undefined || value === null || Array.isArray(value);
  const beat = { send: readInteger(send), receive: readInteger(receive) };
  if (isList && isInterval(beat.send) && isInterval(beat.receive)) return beat as HeartBeat;
  throw invalid(
    'heartBeat',
    `must be two numbers of ms such as [10000, 10000], each 0 or from ${MIN_HEART_BEAT} to ${MAX_HEART_BEAT}`,
    value,
  );
}

function isInterval(value: number | undefined): boolean {
  return value === 0 || (value !== undefined && value >= MIN_HEART_BEAT && value <= MAX_HEART_BEAT);
}

function invalid(name: string, rule: string, value: unknown): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', `${WHERE}: '${name}' ${rule}; got ${described(value)}`);
}
