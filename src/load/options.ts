import { isUtf8 } from 'node:buffer';
import { described, withoutNull } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';
import { BENCH_LIMITS, BENCH_OPTIONS } from '../options/bench-options.ts';
import { checkFlag, checkLimits } from '../options/check-option.ts';
import type { LimitsOf } from '../options/option.ts';
import { checkNames } from '../options/option-names.ts';
import { clientRequest } from '../protocol/client-handshake.ts';
import type { HeaderPair } from '../protocol/handshake.ts';
import { MIN_BROADCAST_SIZE } from './broadcast-message.ts';
import { handshakeKey } from './native-ports.ts';
import { specialBefore } from './roles.ts';
import { STOMP_PROTOCOLS } from './scenarios/stomp/client-frame.ts';
import { subscribersOf } from './scenarios/stomp/destinations.ts';
import { parseTarget, type Target } from './target.ts';
import { shareOf, type ThreadShare } from './thread-message.ts';
import { upgradeRequest } from './upgrade-request.ts';

/** How errors begin. */
const WHERE = 'bench';

const NAMES = [BENCH_OPTIONS, BENCH_LIMITS].flatMap((table) => Object.keys(table));

/** What the connections do. */
export const SCENARIOS = ['echo', 'broadcast', 'connect', 'idle', 'slow', 'stomp'] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

/** How consumers of a STOMP broker acknowledge (STOMP 1.2, "SUBSCRIBE ack Header"). */
export const ACK_MODES = ['auto', 'client', 'client-individual'] as const;
export type AckMode = (typeof ACK_MODES)[number];

export type BenchNumber = keyof typeof BENCH_LIMITS;

/** The numeric options have the defaults and ranges of {@link BENCH_LIMITS}. */
export interface BenchOptions extends Partial<LimitsOf<typeof BENCH_LIMITS>> {
  /** ws:// or wss:// */
  url: string | URL;
  /** Default 'echo'. */
  scenario?: ScenarioName;
  /** The message to send, instead of one of `size` bytes. */
  message?: string | Uint8Array;
  /** Binary messages, or text. Default: text for a `message` that is a string and for stomp, else binary. */
  binary?: boolean;
  /** Subprotocols to ask for, the preferred one first. */
  protocols?: readonly string[];
  /** More headers of the handshake. */
  headers?: Readonly<Record<string, string>>;
  /** Accept any certificate (wss://). Default false. */
  insecure?: boolean;
  /** Offer permessage-deflate, and send messages compressed. The run fails when the server declines. Default false. */
  deflate?: boolean;
  /** Count late replies at a fixed rate once, and not also for the messages they held up. Default false. */
  ignoreCoordinatedOmission?: boolean;
  /** How consumers of queues acknowledge (stomp). Default 'client-individual'. */
  ackMode?: AckMode;
  /** Ask for a RECEIPT for every SEND (stomp): a message is in flight until it came. Default false. */
  receipts?: boolean;
  /** The login of CONNECT (stomp). */
  login?: string;
  /** The passcode of CONNECT (stomp). */
  passcode?: string;
  /** The host of CONNECT (stomp). Default: that of the URL. */
  virtualHost?: string;
  /** A title for the result. */
  title?: string;
  /** Ends the run early: the result holds what was measured until then. */
  signal?: AbortSignal;
  /**
   * Called when the connections are being opened, and about once a second while the load runs. What it throws, or
   * rejects with, ends the run: `bench()` rejects with it.
   */
  onProgress?: (progress: BenchProgress) => void;
}

export interface BenchProgress {
  readonly phase: 'opening' | 'warmup' | 'running' | 'draining';
  /** 0 to 1. */
  readonly done: number;
  /** Connections that are open. */
  readonly open: number;
  /** Messages in the last second. */
  readonly messagesPerSecond: number;
}

/** The options of a run, complete and checked; it can be posted to a thread. */
export interface BenchPlan extends Readonly<LimitsOf<typeof BENCH_LIMITS>> {
  readonly target: Target;
  readonly scenario: ScenarioName;
  /** Null: made of `size` bytes. */
  readonly message: Uint8Array | null;
  readonly binary: boolean;
  readonly protocols: readonly string[];
  readonly headers: readonly HeaderPair[];
  readonly insecure: boolean;
  readonly deflate: boolean;
  readonly ignoreCoordinatedOmission: boolean;
  readonly ackMode: AckMode;
  readonly receipts: boolean;
  readonly login: string;
  readonly passcode: string;
  readonly virtualHost: string;
  readonly title: string;
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the option and what it takes
 */
export function planOf(given: BenchOptions): BenchPlan {
  const options = checkBenchOptions(given);
  const numbers = checkLimits(WHERE, options, BENCH_LIMITS);
  const flag = (name: 'insecure' | 'deflate' | 'ignoreCoordinatedOmission' | 'receipts'): boolean =>
    checkFlag(WHERE, name, options[name], BENCH_OPTIONS[name]);
  const { scenario = 'echo' } = options;
  const target = parseTarget(String(options.url));
  const message = typeof options.message === 'string' ? Buffer.from(options.message) : options.message;
  const plan: BenchPlan = {
    ...numbers,
    ...(message === undefined ? {} : { size: message.length }),
    target,
    scenario,
    message: message === undefined ? null : new Uint8Array(message),
    binary: checkFlag(WHERE, 'binary', options.binary, {
      default: typeof options.message !== 'string' && scenario !== 'stomp',
    }),
    protocols: [...(options.protocols ?? (scenario === 'stomp' ? STOMP_PROTOCOLS : []))],
    headers: headersOf(options.headers ?? {}, target),
    insecure: flag('insecure'),
    deflate: flag('deflate'),
    ignoreCoordinatedOmission: flag('ignoreCoordinatedOmission'),
    ackMode: options.ackMode ?? 'client-individual',
    receipts: flag('receipts'),
    login: options.login ?? '',
    passcode: options.passcode ?? '',
    virtualHost: options.virtualHost ?? target.host,
    title: options.title ?? '',
    stalled:
      scenario === 'slow' && numbers.stalled === 0 ? Math.ceil(numbers.connections / 2) : numbers.stalled,
  };
  checkTogether(plan);
  return plan;
}

/** Checks what options must be that are no numbers and no flags, and gives those that are not null. */
function checkBenchOptions(options: BenchOptions): BenchOptions {
  if (typeof options !== 'object' || options === null) {
    throw invalid(
      `the argument must be an object with options, such as { url: 'ws://localhost:9001' }; got ${described(options)}`,
    );
  }
  checkNames(WHERE, 'option', options, NAMES);
  const checked = withoutNull(options);
  for (const [name, [isRight, rule]] of Object.entries(RULES)) {
    const value: unknown = checked[name as keyof typeof RULES];
    if (value !== undefined && !isRight(value)) throw invalid(`'${name}' ${rule}; got ${described(value)}`);
  }
  return checked;
}

/** Headers of CONNECT are not escaped: what would end one, or the frame, cannot be sent. */
const HEADER_RULE = 'must be a text without line breaks and NUL';

/** What options must be that are no numbers and no flags. That of the URL is in `parseTarget`. */
const RULES = {
  scenario: [(value) => (SCENARIOS as readonly unknown[]).includes(value), `must be ${SCENARIOS.join(', ')}`],
  message: [(value) => isText(value) || value instanceof Uint8Array, 'must be a string or a Uint8Array'],
  protocols: [
    (value) => Array.isArray(value) && value.every(isText),
    "must be a list of names such as ['chat.v1']",
  ],
  headers: [
    (value) => typeof value === 'object' && Object.values(value as object).every(isText),
    "must be an object with texts, such as { Origin: 'https://example.com' }",
  ],
  ackMode: [(value) => (ACK_MODES as readonly unknown[]).includes(value), `must be ${ACK_MODES.join(', ')}`],
  login: [isHeaderText, HEADER_RULE],
  passcode: [isHeaderText, HEADER_RULE],
  virtualHost: [isHeaderText, HEADER_RULE],
  title: [isText, 'must be a text'],
  signal: [(value) => value instanceof AbortSignal, 'must be an AbortSignal'],
  onProgress: [(value) => typeof value === 'function', 'must be a function'],
} as const satisfies Readonly<Record<string, readonly [isRight: (value: unknown) => boolean, rule: string]>>;

function isHeaderText(value: unknown): boolean {
  return typeof value === 'string' && !/[\r\n\0]/.test(value);
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

/** What single values do not show. */
function checkTogether(plan: BenchPlan): void {
  const { scenario, connections, message, amount } = plan;
  if (plan.workers > connections) {
    throw invalid(
      `'workers' must not exceed 'connections': ${plan.workers} threads cannot share ${connections}`,
    );
  }
  if (plan.connectionRate > 0 && plan.overallRate > 0) {
    throw invalid("'connectionRate' and 'overallRate' exclude each other: give one of them");
  }
  if (plan.ignoreCoordinatedOmission && rateOf(plan) === 0) {
    throw invalid("'ignoreCoordinatedOmission' needs a rate: without one nothing is corrected");
  }
  if (!plan.binary && message !== null && !isUtf8(message)) {
    throw invalid("'message' is not UTF-8, so it cannot be sent as text: send it as binary");
  }
  if (amount > 0 && (scenario === 'idle' || scenario === 'slow')) {
    throw invalid(`'amount' means nothing to the scenario ${scenario}: give a duration`);
  }
  if (amount > 0 && amount < plan.workers) {
    throw invalid(`'amount' must be at least 1 for each of the 'workers' (${plan.workers}); got ${amount}`);
  }
  // A header or subprotocol that may not be sent is told now, not by each connection.
  clientRequest(upgradeRequest(plan, handshakeKey()));
  if (scenario === 'broadcast') checkBroadcast(plan);
  if (scenario === 'stomp') checkStomp(plan);
  if (scenario === 'slow' && (connections < 2 || plan.stalled >= connections)) {
    throw invalid(
      `'stalled' must leave one connection that reads: ${plan.stalled} of ${connections} would not`,
    );
  }
  if (amount > 0 && plan.warmup > 0) {
    throw invalid("'amount' and 'warmup' exclude each other: all messages of an amount are measured");
  }
  if (rateOf(plan) > 0 && (scenario === 'connect' || scenario === 'idle')) {
    throw invalid(`the scenario ${scenario} sends no messages: give no rate`);
  }
}

/** Messages of a scenario that makes them itself. */
function checkMessages({ scenario, message, size }: BenchPlan): void {
  if (message !== null) {
    throw invalid(`the scenario ${scenario} makes its messages itself: give a 'size' instead of a 'message'`);
  }
  if (size < MIN_BROADCAST_SIZE) {
    throw invalid(
      `'size' must be at least ${MIN_BROADCAST_SIZE} bytes for the scenario ${scenario}; got ${size}`,
    );
  }
}

function checkStomp(plan: BenchPlan): void {
  checkMessages(plan);
  const { connections, publishers, consumers, destinations, pipelining } = plan;
  const subscribers = subscribersOf(plan);
  if (subscribers < 0 || publishers === connections) {
    throw invalid(
      `'connections' (${connections}) must be more than the 'publishers' (${publishers}), and no less than they and the 'consumers' (${consumers})`,
    );
  }
  for (const [name, count] of [
    ['subscriber', subscribers],
    ['consumer', consumers],
  ] as const) {
    if (count > 0 && count < destinations) {
      throw invalid(`'destinations' (${destinations}) must not exceed the ${name}s (${count})`);
    }
  }
  if (publishers * pipelining > MOST_IN_FLIGHT) {
    throw invalid(
      `'publishers' and 'pipelining' allow ${publishers * pipelining} messages in flight, more than ${MOST_IN_FLIGHT}`,
    );
  }
}

/** Each takes a place in memory, so that the scenario stomp knows whether it has come before. */
const MOST_IN_FLIGHT = 2 ** 22;

function checkBroadcast(plan: BenchPlan): void {
  checkMessages(plan);
  if (plan.connections < 2 * plan.workers) {
    throw invalid("the scenario broadcast needs 'connections' of at least 2 for each client thread");
  }
  if (plan.publishers > plan.connections) {
    throw invalid(`'publishers' must not exceed 'connections' (${plan.connections}); got ${plan.publishers}`);
  }
}

function headersOf(headers: Readonly<Record<string, string>>, target: Target): HeaderPair[] {
  const pairs = Object.entries(headers);
  const hasAuthorization = pairs.some(([name]) => name.toLowerCase() === 'authorization');
  if (target.authorization === '' || hasAuthorization) return pairs;
  return [...pairs, ['Authorization', target.authorization]];
}

/** Messages a second over all connections; 0: as many as possible. */
export function rateOf(plan: BenchPlan): number {
  return plan.connectionRate > 0 ? plan.connectionRate * sendersOf(plan) : plan.overallRate;
}

/** Connections that send messages which are measured. */
export function sendersOf({ scenario, connections, publishers, stalled }: BenchPlan): number {
  if (scenario === 'broadcast' || scenario === 'stomp') return publishers;
  return scenario === 'slow' ? connections - stalled : connections;
}

/** How many of the connections before this one are such. */
function sendersBefore(plan: BenchPlan, connection: number): number {
  const { scenario, connections, publishers, stalled } = plan;
  if (scenario === 'broadcast' || scenario === 'stomp')
    return specialBefore(connection, publishers, connections);
  return scenario === 'slow' ? connection - specialBefore(connection, stalled, connections) : connection;
}

/** The part of a thread in the load. */
export function threadShare(plan: BenchPlan, index: number): ThreadShare {
  const { connections, workers, amount } = plan;
  const { size, before } = shareOf(connections, workers, index);
  const senders = sendersBefore(plan, before + size) - sendersBefore(plan, before);
  return {
    connections: size,
    firstConnection: before,
    amount: amount === 0 ? 0 : shareOf(amount, workers, index).size,
    rate: (rateOf(plan) * senders) / sendersOf(plan),
  };
}

export function invalid(message: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', `${WHERE}: ${message}`);
}
