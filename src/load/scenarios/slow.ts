import type { LoadCounters } from '../counters.ts';
import type { BenchPlan } from '../options.ts';
import { isSpecial } from '../roles.ts';
import type { ThreadShare } from '../thread-message.ts';
import { EchoScenario, EchoSlot } from './echo.ts';
import type { Scenario, ScenarioHost, Slot } from './scenario.ts';

/** A stalled connection that has so many bytes waiting in user space writes no more. */
const WAITING = 64 * 1024;

/** A connection that sends and does not read. */
class StalledSlot extends EchoSlot {
  /** Bytes given to the socket. */
  written = 0;

  constructor(index: number) {
    super(index, 1);
  }
}

/**
 * Slow: some connections send all the time and do not read, so that the server's replies to them pile up. All others
 * echo as in the scenario echo, and only they are measured.
 */
export class SlowScenario implements Scenario<EchoSlot> {
  readonly keepsConnections = true;
  readonly greets = false;
  readonly #host: ScenarioHost<Slot>;
  readonly #echo: EchoScenario;
  #isRunning = false;

  constructor(host: ScenarioHost<Slot>) {
    this.#host = host;
    this.#echo = new EchoScenario(new ReadingPart(host));
  }

  createSlot(index: number): EchoSlot {
    const { plan, share } = this.#host;
    const isStalled = isSpecial(share.firstConnection + index, plan.stalled, plan.connections);
    return isStalled ? new StalledSlot(index) : this.#echo.createSlot(index);
  }

  start(now: number): void {
    this.#isRunning = true;
    this.#echo.start(now);
  }

  stop(): number[] {
    this.#isRunning = false;
    return this.#echo.stop();
  }

  isDrained(): boolean {
    return this.#echo.isDrained();
  }

  finish(): void {
    for (const slot of this.#host.slots) {
      if (!(slot instanceof StalledSlot)) continue;
      this.#count(slot, 0);
      // It does not read, so it would not see an answer to a Close frame.
      slot.connection?.destroy('');
    }
    this.#echo.finish();
  }

  tick(now: number): void {
    this.#echo.tick(now);
    if (!this.#isRunning) return;
    for (const slot of this.#host.slots) if (slot instanceof StalledSlot) this.#pile(slot);
  }

  sendDue(count: number, now: number): void {
    this.#echo.sendDue(count, now);
  }

  onOpen(slot: EchoSlot): void {
    if (slot instanceof StalledSlot) slot.connection!.pause();
    else this.#echo.onOpen(slot);
  }

  onBytes(slot: EchoSlot, bytes: Buffer, start: number, end: number): void {
    if (slot instanceof StalledSlot) slot.connection!.receive(bytes, start, end);
    else this.#echo.onBytes(slot, bytes, start, end);
  }

  onMessage(slot: EchoSlot, bytes: Uint8Array, offset: number, length: number, isBinary: boolean): void {
    if (!(slot instanceof StalledSlot)) this.#echo.onMessage(slot, bytes, offset, length, isBinary);
  }

  onLost(slot: EchoSlot): boolean {
    if (!(slot instanceof StalledSlot)) return this.#echo.onLost(slot);
    this.#count(slot, 1);
    return true;
  }

  onFailed(): void {}

  /** One write a tick: a server that reads on must not keep this thread from the connections that are measured. */
  #pile(slot: StalledSlot): void {
    const { connection } = slot;
    if (connection?.isOpen !== true || connection.waiting >= WAITING) return;
    const { traffic } = this.#echo;
    connection.send(traffic.burst);
    slot.written += traffic.burst.length;
  }

  #count(slot: StalledSlot, ended: number): void {
    this.#host.countStalled(ended, slot.written - (slot.connection?.waiting ?? 0));
    slot.written = 0;
  }
}

/** The host as the scenario echo sees it: without the connections that do not read. */
class ReadingPart implements ScenarioHost<EchoSlot> {
  readonly #host: ScenarioHost<Slot>;
  #slots: readonly EchoSlot[] | null = null;

  constructor(host: ScenarioHost<Slot>) {
    this.#host = host;
  }

  get plan(): BenchPlan {
    return this.#host.plan;
  }

  get share(): ThreadShare {
    return this.#host.share;
  }

  get counters(): LoadCounters {
    return this.#host.counters;
  }

  get run(): number {
    return this.#host.run;
  }

  get slots(): readonly EchoSlot[] {
    this.#slots ??= (this.#host.slots as readonly EchoSlot[]).filter(
      (slot) => !(slot instanceof StalledSlot),
    );
    return this.#slots;
  }

  recordLatency(ms: number, count: number): void {
    this.#host.recordLatency(ms, count);
  }

  countError(reason: string): void {
    this.#host.countError(reason);
  }

  ready(slot: EchoSlot): void {
    this.#host.ready(slot);
  }

  connect(slot: EchoSlot): void {
    this.#host.connect(slot);
  }

  countStalled(ended: number, sent: number): void {
    this.#host.countStalled(ended, sent);
  }

  finish(): void {
    this.#host.finish();
  }
}
