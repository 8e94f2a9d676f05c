import { Counter } from '../counters.ts';
import { type Scenario, type ScenarioHost, Slot } from './scenario.ts';

/** Connect: opens connections, closes each as soon as it is open, and opens the next one in its place. */
export class ConnectScenario implements Scenario<Slot> {
  readonly keepsConnections = false;
  readonly greets = false;
  readonly #host: ScenarioHost<Slot>;
  /** Connections still to be begun. */
  #left: number;
  #isRunning = false;
  #isFinished = false;

  constructor(host: ScenarioHost<Slot>) {
    this.#host = host;
    this.#left = host.share.amount > 0 ? host.share.amount : Number.POSITIVE_INFINITY;
  }

  createSlot(index: number): Slot {
    return new Slot(index);
  }

  start(): void {
    this.#isRunning = true;
    for (const slot of this.#host.slots) this.#connect(slot);
  }

  stop(): number[] {
    this.#isRunning = false;
    return [];
  }

  isDrained(): boolean {
    return this.#host.slots.every(({ connection }) => connection === null);
  }

  finish(): void {
    // A handshake without an answer is a timeout, not a lost message.
  }

  tick(now: number): void {
    for (const slot of this.#host.slots) {
      if (slot.connection === null && slot.failures > 0 && now >= slot.retryAt) this.#connect(slot);
    }
    if (this.#left > 0 || this.#isFinished || !this.isDrained()) return;
    this.#isFinished = true;
    this.#host.finish();
  }

  sendDue(): void {
    // There are no messages.
  }

  onOpen({ index, connection }: Slot): void {
    const latency = performance.now() - connection!.startedAt;
    this.#host.recordLatency(latency, 1);
    this.#host.counters.addToConnection(index, 1, latency);
    this.#host.counters.add(Counter.MESSAGES, 1);
    connection!.close();
  }

  onBytes({ connection }: Slot, bytes: Buffer, start: number, end: number): void {
    connection!.receive(bytes, start, end);
  }

  onMessage(): void {
    // What a server says before it has read our Close frame.
  }

  onLost(slot: Slot, reason: string): boolean {
    if (reason !== '') this.#host.countError(reason);
    this.#connect(slot);
    return true;
  }

  onFailed(): void {
    // It is to be tried again.
    this.#left++;
  }

  #connect(slot: Slot): void {
    if (!this.#isRunning || this.#left === 0) return;
    this.#left--;
    this.#host.counters.add(Counter.SENT, 1);
    this.#host.connect(slot);
  }
}
