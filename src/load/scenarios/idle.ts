import { type Scenario, Slot } from './scenario.ts';

/** Idle: holds connections open and answers pings. */
export class IdleScenario implements Scenario<Slot> {
  readonly keepsConnections = true;
  readonly greets = false;

  createSlot(index: number): Slot {
    return new Slot(index);
  }

  stop(): number[] {
    return [];
  }

  isDrained(): boolean {
    return true;
  }

  onBytes({ connection }: Slot, bytes: Buffer, start: number, end: number): void {
    connection!.receive(bytes, start, end);
  }

  onLost(): boolean {
    return false;
  }

  start(): void {}
  finish(): void {}
  tick(): void {}
  sendDue(): void {}
  onOpen(): void {}
  onFailed(): void {}
  onMessage(): void {}
}
