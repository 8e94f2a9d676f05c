import { setTimeout as sleep } from 'node:timers/promises';
import type { Participant } from '../bus/participant.ts';
import { described, readInteger, readNumber } from '../caller-values.ts';
import { invalidArgument, MillraceError } from '../errors.ts';
import type { MetricReading } from '../metrics/readings.ts';
import { grouped, type LimitsOf } from '../options/option.ts';
import { checkSpelling } from '../options/option-names.ts';
import type { ServeLimits } from '../options/server-limits.ts';
import { CLOSE_LIMITS, PROFILE_LIMITS } from '../options/server-options.ts';
import { CloseCode } from '../protocol/close-code.ts';
import { bytesOf, type RecognizedString, topicName } from '../serving/recognized-string.ts';
import type { HandoffMode } from '../shard/control-message.ts';
import type { DrainTerms } from '../shard/drain.ts';
import type { ThreadProfile } from '../shard/thread-profiler.ts';
import { type ServerStats, serverMetrics, serverStats } from '../supervisor/stats.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { credentialsSource, type TlsOptions } from './tls-options.ts';
import { readCredentials, type TlsSource } from './tls-source.ts';

export interface ProfileOptions extends Partial<LimitsOf<typeof PROFILE_LIMITS>> {
  /** Ends the recording early. */
  signal?: AbortSignal;
}

/** How connections end. */
export interface CloseOptions extends Partial<LimitsOf<typeof CLOSE_LIMITS>> {}

/** The main thread as the shards know it. */
export let mainParticipantOf: (server: Server) => Participant;

/** A running server: an acceptor thread and its shards. */
export class Server {
  readonly #supervisor: Supervisor;
  readonly #limits: ServeLimits;
  /** Null: connections are plain. */
  #tls: TlsSource | null;
  #closing: Promise<void> | null = null;
  readonly #closed = new AbortController();
  #isProfiling = false;
  #isReloading = false;

  static {
    mainParticipantOf = (server) => server.#supervisor.participant;
  }

  /** @internal */
  constructor(supervisor: Supervisor, limits: ServeLimits, tls: TlsSource | null) {
    this.#supervisor = supervisor;
    this.#limits = limits;
    this.#tls = tls;
  }

  /** The port that is listened on. */
  get port(): number {
    return this.#supervisor.port;
  }

  /**
   * The further ports that the app module asked for, by name. That of a STOMP broker's plain TCP is its path, such as
   * '/stomp'.
   */
  get ports(): ReadonlyMap<string, number> {
    return this.#supervisor.ports;
  }

  /** Connections are TLS. */
  get isTls(): boolean {
    return this.#tls !== null;
  }

  get shards(): number {
    return this.#supervisor.control.shards;
  }

  /** How sockets reach the shards here. */
  get handoff(): HandoffMode {
    return this.#supervisor.mode;
  }

  /** The limits in force. */
  get limits(): Readonly<ServeLimits> {
    return this.#limits;
  }

  /**
   * Sends a message to every subscriber of a topic, on all shards. Returns false when there is none.
   *
   * @param compress send it compressed to subscribers that agreed on compression
   */
  publish(topic: RecognizedString, message: RecognizedString, isBinary = false, compress = false): boolean {
    return this.#supervisor.publish(topicName(topic), bytesOf(message), isBinary, compress);
  }

  /** Subscribers of a topic, on all shards. */
  numSubscribers(topic: RecognizedString): number {
    return this.#supervisor.links.countElsewhere(topicName(topic));
  }

  /** The metrics of all threads, now, also of one that hangs. docs/metrics.md describes each. */
  stats(): ServerStats {
    return serverStats(this.#supervisor.control, this.#supervisor.linkMemory);
  }

  /** The same for exporters: each metric with its name, kind, unit, a sentence of help, and the value of each thread. */
  metrics(): MetricReading[] {
    return serverMetrics(this.#supervisor.control, this.#supervisor.linkMemory);
  }

  /**
   * Reads the files of all certificates again, those that app modules gave to `addServerName` too. When it resolves,
   * new connections get the new ones; open ones are left alone.
   *
   * @param options of the server's certificate from now on; left out: those it has
   * @throws MillraceError MILLRACE_BAD_CERTIFICATE when one cannot be used; it stays as it was
   */
  async reloadTls(options?: TlsOptions): Promise<void> {
    if (this.#tls === null) {
      throw new MillraceError('MILLRACE_APP_STATE', "reloadTls: this server has no TLS; give serve() 'tls'");
    }
    const source = options === undefined ? this.#tls.source : credentialsSource('reloadTls', options);
    const tls = { ...this.#tls, source };
    const { credentials } = readCredentials(tls);
    this.#tls = tls;
    const [error] = await this.#supervisor.reloadTls(credentials);
    if (error !== undefined) throw new MillraceError('MILLRACE_BAD_CERTIFICATE', error);
  }

  /**
   * Records CPU profiles of all threads, `interval` microseconds between two samples (default 1000), while the server
   * serves; it costs a few percent of its speed. Resolves with a profile of each thread that lived through it: what a
   * `.cpuprofile` file holds. One recording at a time.
   *
   * @param seconds 0.1 to 300
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT, MILLRACE_APP_STATE
   */
  async profile(seconds: number, options: ProfileOptions = {}): Promise<ThreadProfile[]> {
    const { signal, interval: given } = checkedObject('profile', options, PROFILE_NAMES);
    const duration = checkRange('seconds', readNumber(seconds), 0.1, 300, seconds);
    const { default: byDefault, min, max } = PROFILE_LIMITS.interval;
    const interval = checkRange('interval', readInteger(given) ?? byDefault, min, max, given);
    if (this.#isProfiling) throw new MillraceError('MILLRACE_APP_STATE', 'profile: a recording is under way');
    this.#isProfiling = true;
    try {
      return await this.#supervisor.profile(interval, async () => {
        const either = AbortSignal.any([signal ?? NEVER, this.#closed.signal]);
        await sleep(duration * 1000, undefined, { signal: either }).catch(() => {});
      });
    } finally {
      this.#isProfiling = false;
    }
  }

  /**
   * Loads the app module anew, files it imports too, and replaces the shards with new threads, one by one while the
   * others serve: a shard's clients get a Close frame with 1001 when its successor has loaded the module, `drain` ms to
   * leave, and can connect again to any shard. Publishes of other shards meanwhile do not reach the one that is being
   * replaced. With one shard newcomers wait for its successor, up to
   * 1024 and for `handshakeTimeout`; others are answered 503.
   *
   * Resolves when all shards are replaced. `data` stays what `serve()` was given.
   *
   * @throws MillraceError MILLRACE_BAD_MODULE when the module cannot be loaded: the shard that tried keeps the old one,
   *   and so do those behind it; MILLRACE_SHARD_CRASHED when a new thread ended before it had connections: it is started
   *   anew, and those behind it stay; MILLRACE_APP_STATE when the server is closed, or reloading
   */
  async reload(options: CloseOptions = {}): Promise<void> {
    const terms = drainTerms('reload', options);
    if (this.#closing !== null) throw new MillraceError('MILLRACE_APP_STATE', 'reload: the server is closed');
    if (this.#isReloading) throw new MillraceError('MILLRACE_APP_STATE', 'reload: one is under way');
    this.#isReloading = true;
    try {
      await this.#supervisor.reload(terms);
    } finally {
      this.#isReloading = false;
    }
  }

  /**
   * Accepts no more, sends every client a Close frame with 1001, waits until they have left, and ends the
   * threads. Calling it again gives the same promise.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#supervisor.close(drainTerms('close', options));
    // A recording ends with what it records.
    this.#closed.abort();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const NEVER = new AbortController().signal;

const PROFILE_NAMES = [...Object.keys(PROFILE_LIMITS), 'signal'];

/** How connections end, with the defaults for what is not given. */
export function drainTerms(where: string, options: CloseOptions | null): DrainTerms {
  const { drain, grace } = checkedObject(where, options, Object.keys(CLOSE_LIMITS));
  const deadline = checkTime(where, 'drain', drain);
  const time = Math.min(checkTime(where, 'grace', grace), deadline / 2);
  return { code: CloseCode.GOING_AWAY, deadline, grace: time };
}

/** Null is "not given", and so is what is no object: an event, a signal's name. A misspelt option is a mistake. */
function checkedObject<Options extends object>(
  where: string,
  given: Options | null,
  names: readonly string[],
): Partial<Options> {
  if (typeof given !== 'object' || given === null) return {};
  checkSpelling(where, given, names);
  return given;
}

function checkTime(where: string, name: keyof typeof CLOSE_LIMITS, ms: unknown): number {
  const { default: byDefault, max } = CLOSE_LIMITS[name];
  if (ms === undefined || ms === null) return byDefault;
  const given = readNumber(ms);
  if (given >= 0 && given <= max) return given;
  throw new MillraceError(
    'MILLRACE_INVALID_OPTION',
    `${where}: '${name}' must be a number from 0 to ${grouped(max)} (milliseconds); got ${described(ms)}`,
  );
}

function checkRange(name: string, number: number, min: number, max: number, given: unknown): number {
  if (number >= min && number <= max) return number;
  throw invalidArgument(`profile: '${name}' must be a number from ${min} to ${max}; got ${described(given)}`);
}
