import type { LoadCounters } from '../counters.ts';
import type { LoadConnection } from '../load-connection.ts';
import type { BenchPlan } from '../options.ts';
import type { ThreadShare } from '../thread-message.ts';

/** A place for one connection at a time; what it keeps outlives the connection. */
export class Slot {
  /** Among those of this thread. */
  readonly index: number;
  /** Null while there is none. */
  connection: LoadConnection | null = null;
  /** When the next attempt is due, in ms of `performance.now()`; how many have failed in a row. */
  retryAt = 0;
  failures = 0;
  /** Whether a connection is open here and has said its greeting, if the scenario has one. */
  isReady = false;
  /** Whether there was such a connection here once. */
  wasOpen = false;

  constructor(index: number) {
    this.index = index;
  }
}

/** What scenarios need of the thread that runs them. */
export interface ScenarioHost<S extends Slot> {
  readonly plan: BenchPlan;
  readonly share: ThreadShare;
  readonly counters: LoadCounters;
  readonly slots: readonly S[];
  /** Latencies in µs; `ms` is one latency of `count` messages. */
  recordLatency(ms: number, count: number): void;
  /** An error that is not the end of a connection by itself. */
  countError(reason: string): void;
  /** A number that the messages of this run bear, 0 to 63. */
  readonly run: number;
  /** The greeting is done; for scenarios that have one. */
  ready(slot: S): void;
  /** Opens a connection in a place that has none; for scenarios that do so themselves. */
  connect(slot: S): void;
  /** Connections that did not read: how many the server ended, bytes they have sent. */
  countStalled(ended: number, sent: number): void;
  /** The amount is reached. */
  finish(): void;
}

/** What the connections of a thread do. Methods are called for open connections, unless it says otherwise. */
export interface Scenario<S extends Slot> {
  createSlot(index: number): S;
  /** Whether connections are opened before the load starts, and again when they are lost. */
  readonly keepsConnections: boolean;
  /** Whether more than the WebSocket must be opened: `onOpen` begins it, and `host.ready` says that it is done. */
  readonly greets: boolean;
  /** All connections are open: the load begins. Those opened anew later come by `onOpen`. */
  start(now: number): void;
  /** Send no more. Returns how much each publisher has published, if there are any. */
  stop(): number[];
  /** Nothing is on its way any more. */
  isDrained(published: readonly number[]): boolean;
  /** The end: counts what is missing for good. */
  finish(published: readonly number[]): void;
  /** Several times a second; also while there is no connection. */
  tick(now: number): void;
  /** Sends so many messages more, as a fixed rate asks for, as far as the limit of messages in flight allows. */
  sendDue(count: number, now: number): void;
  onOpen(slot: S): void;
  onBytes(slot: S, bytes: Buffer, start: number, end: number): void;
  onMessage(slot: S, bytes: Uint8Array, offset: number, length: number, isBinary: boolean): void;
  /** An open connection is gone. True: that is what this scenario expects, and no error. */
  onLost(slot: S, reason: string): boolean;
  /** A connection could not be opened; it is an error and counted. */
  onFailed(slot: S): void;
}
