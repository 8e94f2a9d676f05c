import type { MessagePort } from 'node:worker_threads';
import type { Connection, ConnectionHandler } from '../protocol/connection.ts';
import { clientProtocol } from './client-protocol.ts';
import { Counter, LoadCounters } from './counters.ts';
import { LatencyRecorder } from './latency.ts';
import { LoadConnection, LoadContext, type LoadListener } from './load-connection.ts';
import { type BenchPlan, rateOf, sendersOf } from './options.ts';
import { Pacer } from './pacer.ts';
import { Reasons } from './reasons.ts';
import { createScenario } from './scenarios/create.ts';
import type { Scenario, ScenarioHost, Slot } from './scenarios/scenario.ts';
import type { FromThread, ThreadData, ThreadDetails, ThreadShare, ToThread } from './thread-message.ts';

/** Handshakes at a time, so that the server's backlog does not overflow. */
const OPENING_AT_ONCE = 128;
/** A place whose connection failed waits so long, doubled with each failure, in ms. */
const FIRST_RETRY = 50;
const LONGEST_RETRY = 1000;
/** How often timeouts and retries are looked at, in ms. */
const TICK = 50;
/** For the answers to our Close frames, in ms. */
const CLOSE_LIMIT = 1000;

/** Runs a client thread. */
export function runLoadThread(data: ThreadData, port: MessagePort): void {
  const thread = new LoadThread(data, (message) => {
    port.postMessage(message);
  });
  port.on('message', (message: ToThread) => {
    thread.receive(message);
    if (message.type === 'drain') port.unref();
  });
  thread.open();
}

type Phase = 'opening' | 'ready' | 'running' | 'stopped' | 'draining' | 'closing' | 'done';

/** LoadThread: the connections of one client thread, what they do, and what they count. */
class LoadThread implements ScenarioHost<Slot>, LoadListener, ConnectionHandler {
  readonly plan: BenchPlan;
  readonly share: ThreadShare;
  readonly run: number;
  readonly counters: LoadCounters;
  readonly slots: readonly Slot[];
  readonly #post: (message: FromThread) => void;
  readonly #context: LoadContext;
  readonly #scenario: Scenario<Slot>;
  readonly #latencies: LatencyRecorder;
  readonly #reasons = new Reasons();
  readonly #stalled = { ended: 0, sent: 0 };
  /** µs between two messages that share a place in flight, for coordinated omission; 0: no correction. */
  readonly #expectedInterval: number;
  #phase: Phase = 'opening';
  /** Handshakes under way, places without a connection, and the first place that never had one. */
  #opening = 0;
  #missing: number;
  #next = 0;
  /** When the last connection was opened. */
  #openedAt = 0;
  #timer: NodeJS.Timeout | null = null;
  #pacer: Pacer | null = null;
  #drainUntil = 0;
  #published: readonly number[] = [];
  #lastMessages = 0;
  #lastProgressAt = 0;

  constructor(
    { plan, share, address, memory, shared, run }: ThreadData,
    post: (message: FromThread) => void,
  ) {
    this.plan = plan;
    this.share = share;
    this.run = run;
    this.#post = post;
    this.counters = new LoadCounters(share.connections, memory);
    this.#latencies = new LatencyRecorder(this.counters.latencies);
    this.#context = new LoadContext(plan, address, clientProtocol(this, plan.deflate));
    this.#expectedInterval = plan.ignoreCoordinatedOmission ? 0 : intervalOf(plan);
    this.#scenario = createScenario(this, shared);
    this.slots = Array.from({ length: share.connections }, (_, index) => this.#scenario.createSlot(index));
    this.#missing = share.connections;
  }

  /** Opens the connections, or is ready at once when the scenario opens them itself. */
  open(): void {
    this.#openedAt = performance.now();
    this.#timer = setInterval(() => {
      this.#tick(performance.now());
    }, TICK);
    if (this.#scenario.keepsConnections) this.#openNext(this.#openedAt);
    else this.#ready();
  }

  receive(message: ToThread): void {
    const now = performance.now();
    if (message.type === 'start') this.#start(now);
    else if (message.type === 'stop') this.#stop();
    else this.#drain(message.limit, message.published, now);
  }

  // What scenarios ask for.

  recordLatency(ms: number, count: number): void {
    const latency = ms * 1000;
    if (this.#expectedInterval === 0) this.#latencies.record(latency, count);
    else this.#latencies.recordWithExpectedInterval(latency, count, this.#expectedInterval);
  }

  countError(reason: string): void {
    this.counters.add(Counter.ERRORS, 1);
    this.#reasons.add(reason);
  }

  countStalled(ended: number, sent: number): void {
    this.#stalled.ended += ended;
    this.#stalled.sent += sent;
  }

  finish(): void {
    if (this.#phase === 'running') this.#post({ type: 'finished' });
  }

  ready(slot: Slot): void {
    if (this.#phase === 'closing' || slot.isReady) return;
    this.#isOpened(slot);
    this.#openMore();
  }

  connect(slot: Slot): void {
    slot.connection = new LoadConnection(this.#context, this, slot);
    this.#opening++;
    this.#missing--;
  }

  // Events of the connections.

  onOpen(connection: LoadConnection): void {
    const slot = connection.owner as Slot;
    if (this.#phase === 'closing') {
      connection.close();
      return;
    }
    if (!this.#scenario.greets) this.#isOpened(slot);
    this.#scenario.onOpen(slot);
    if (!this.#scenario.greets) this.#openMore();
  }

  onBytes(connection: LoadConnection, bytes: Buffer, start: number, end: number): void {
    this.counters.add(Counter.BYTES, end - start);
    if (this.#phase === 'closing') connection.receive(bytes, start, end);
    else this.#scenario.onBytes(connection.owner as Slot, bytes, start, end);
  }

  onEnd(connection: LoadConnection, reason: string): void {
    const slot = connection.owner as Slot;
    slot.connection = null;
    this.#missing++;
    const wasOpen = slot.isReady;
    slot.isReady = false;
    if (wasOpen) this.counters.add(Counter.OPEN, -1);
    else this.#opening--;
    if (this.#phase === 'closing' || this.#phase === 'done') {
      this.#doneIfClosed();
      return;
    }
    const isExpected = wasOpen && this.#scenario.onLost(slot, reason);
    if (!isExpected) this.#failed(slot, reason);
    if (!wasOpen) this.#scenario.onFailed(slot);
    if (this.#phase === 'opening') this.#openNext(performance.now());
  }

  // Events of the protocol.

  onMessage(
    { owner }: Connection,
    bytes: Uint8Array,
    offset: number,
    length: number,
    isBinary: boolean,
  ): void {
    if (this.#phase === 'closing') return;
    this.#scenario.onMessage((owner as LoadConnection).owner as Slot, bytes, offset, length, isBinary);
  }

  onPing(): void {
    // Answered by the protocol.
  }

  onPong(): void {
    // Nobody has asked.
  }

  onPeerClose({ owner }: Connection, code: number, bytes: Uint8Array, offset: number, length: number): void {
    const text = Buffer.from(bytes.subarray(offset, offset + length)).toString();
    const said = text === '' ? '' : ` (${text.replace(/\p{Cc}/gu, ' ')})`;
    const hint = CLOSE_HINTS[code] ?? '';
    (owner as LoadConnection).end(`the server closed the connection with ${code}${said}${hint}`);
  }

  onFailure({ owner }: Connection, code: number): void {
    (owner as LoadConnection).end(`the server broke the WebSocket protocol (we closed with ${code})`);
  }

  onDone({ owner }: Connection): void {
    (owner as LoadConnection).end('');
  }

  // Phases.

  #start(now: number): void {
    this.#phase = 'running';
    this.#lastProgressAt = now;
    this.#scenario.start(now);
    if (this.share.rate > 0) {
      this.#pacer = new Pacer(this.share.rate, now);
      this.#pace();
    }
  }

  /** A timer takes a millisecond at least: what became due meanwhile is sent at once. */
  #pace(): void {
    if (this.#phase !== 'running') return;
    const now = performance.now();
    const due = this.#pacer!.due(now);
    if (due > 0) this.#scenario.sendDue(due, now);
    setTimeout(() => {
      this.#pace();
    }, 1);
  }

  #stop(): void {
    this.#phase = 'stopped';
    this.#post({ type: 'stopped', published: this.#scenario.stop() });
  }

  #drain(limit: number, published: readonly number[], now: number): void {
    this.#phase = 'draining';
    this.#published = published;
    this.#drainUntil = now + limit;
    this.#drainOn(now);
  }

  #drainOn(now: number): void {
    if (!this.#scenario.isDrained(this.#published) && now < this.#drainUntil) return;
    this.#scenario.finish(this.#published);
    this.#phase = 'closing';
    this.#drainUntil = now + CLOSE_LIMIT;
    for (const { connection } of this.slots) connection?.close();
    this.#doneIfClosed();
  }

  #doneIfClosed(): void {
    if (this.#phase !== 'closing' || this.slots.some(({ connection }) => connection !== null)) return;
    this.#done();
  }

  #done(): void {
    this.#phase = 'done';
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const { connection } of this.slots) connection?.destroy('');
    const details: ThreadDetails = { reasons: this.#reasons.entries(), stalled: this.#stalled };
    this.#post({ type: 'done', details });
  }

  #tick(now: number): void {
    if (this.#phase === 'draining') this.#drainOn(now);
    else if (this.#phase === 'closing' && now >= this.#drainUntil) this.#done();
    if (this.#phase === 'closing' || this.#phase === 'done') return;
    this.#scenario.tick(now);
    this.#checkHandshakes(now);
    if (this.#scenario.keepsConnections) this.#openAgain(now);
    if (this.#phase === 'running' && this.share.amount > 0) this.#checkProgress(now);
  }

  // Opening.

  #isOpened(slot: Slot): void {
    this.#opening--;
    this.counters.add(Counter.OPEN, 1);
    if (slot.wasOpen && this.#scenario.keepsConnections) this.counters.add(Counter.RESETS, 1);
    slot.isReady = true;
    slot.wasOpen = true;
    slot.failures = 0;
  }

  #openMore(): void {
    if (this.#phase !== 'opening') return;
    this.#openedAt = performance.now();
    this.#openNext(this.#openedAt);
  }

  /** Opens connections for the first time, as many at once as may be. */
  #openNext(now: number): void {
    while (this.#next < this.slots.length && this.#opening < OPENING_AT_ONCE) {
      this.connect(this.slots[this.#next++]!);
    }
    const isLate = now - this.#openedAt > this.plan.timeout * 1000;
    if ((this.#missing === 0 && this.#opening === 0) || isLate) this.#ready();
  }

  /** Opens those that failed or were lost, when their time has come. */
  #openAgain(now: number): void {
    for (let i = 0; i < this.#next && this.#missing > 0; i++) {
      const slot = this.slots[i]!;
      if (slot.connection === null && this.#opening < OPENING_AT_ONCE && now >= slot.retryAt)
        this.connect(slot);
    }
    if (this.#next < this.slots.length || this.#phase === 'opening') this.#openNext(now);
  }

  #ready(): void {
    if (this.#phase !== 'opening') return;
    this.#phase = 'ready';
    this.#post({ type: 'ready' });
  }

  #failed(slot: Slot, reason: string): void {
    this.countError(reason);
    const delay = Math.min(FIRST_RETRY * 2 ** slot.failures, LONGEST_RETRY);
    slot.failures++;
    slot.retryAt = performance.now() + delay;
  }

  #checkHandshakes(now: number): void {
    const limit = this.plan.timeout * 1000;
    for (const { connection, isReady } of this.slots) {
      if (connection === null || now - connection.startedAt < limit) continue;
      if (isReady && connection.isOpen) continue;
      this.counters.add(Counter.TIMEOUTS, 1);
      const isGreeting = connection.isOpen && this.#scenario.greets;
      const what = isGreeting ? 'the greeting' : connection.wasOpen ? 'our Close frame' : 'the handshake';
      connection.destroy(`no answer to ${what} within ${this.plan.timeout} s`);
    }
  }

  /** An amount that cannot be reached, because the server is gone, must not take for ever. */
  #checkProgress(now: number): void {
    const messages = this.counters.values[Counter.MESSAGES]!;
    if (messages !== this.#lastMessages) {
      this.#lastMessages = messages;
      this.#lastProgressAt = now;
    } else if (now - this.#lastProgressAt > 2 * this.plan.timeout * 1000) {
      this.#lastProgressAt = Number.POSITIVE_INFINITY;
      this.finish();
    }
  }
}

const CLOSE_HINTS: Readonly<Record<number, string>> = {
  1001: ': it goes away, or takes the connection for idle',
  1009: ': the message is larger than it takes',
};

/** A connection with p messages in flight sends in the place of each of them once in p intervals. */
function intervalOf(plan: BenchPlan): number {
  const rate = rateOf(plan);
  return rate === 0 ? 0 : (1e6 * sendersOf(plan) * plan.pipelining) / rate;
}
