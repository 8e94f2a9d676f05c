import { type ControlBlock, Gauge } from '../metrics/control-block.ts';

/** Ms from one look to the next. */
const LOOK_INTERVAL = 250;

/** Looks in a row that find nothing taken, after which a thread counts as stalled: a second lies between the first and the last. */
const QUIET_LOOKS = 5;

/**
 * Intake: whether a thread takes what it is sent. The sender looks now and then, and counts looks instead of time: that a
 * process which was stopped took nothing meanwhile says nothing of its threads.
 */
export class Intake {
  #taken = 0;
  #quiet = 0;

  /** The thread has not taken what it was sent for a second. */
  get isStalled(): boolean {
    return this.#quiet >= QUIET_LOOKS;
  }

  /**
   * @param isWaiting something is on its way
   * @param taken how much it has taken so far
   * @returns whether `isStalled` has changed
   */
  look(isWaiting: boolean, taken: number): boolean {
    const wasStalled = this.isStalled;
    const isQuiet = isWaiting && taken === this.#taken;
    this.#taken = taken;
    this.#quiet = isQuiet ? this.#quiet + 1 : 0;
    return this.isStalled !== wasStalled;
  }
}

/** Looks at intakes for as long as anything is on its way. */
export class LookTimer {
  /** Looks at all; returns whether anything is on its way still. */
  readonly #look: () => boolean;
  #timer: NodeJS.Timeout | null = null;

  constructor(look: () => boolean) {
    this.#look = look;
  }

  /** Something was sent. */
  start(): void {
    this.#timer ??= setTimeout(this.#onTime, LOOK_INTERVAL).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  readonly #onTime = (): void => {
    this.#timer = null;
    if (this.#look()) this.start();
  };
}

interface ShardChannel {
  /** Sockets sent through the channel or port that is open now. */
  sent: number;
  intake: Intake;
  isOpen: boolean;
}

/** ShardIntakes: what an acceptor has sent to each shard by the channel that is open now, and whether the shard takes it. */
export class ShardIntakes {
  readonly #control: ControlBlock;
  readonly #channels: readonly ShardChannel[];
  readonly #onChanged: (shard: number, isStalled: boolean) => void;
  readonly #onStalledLook: (shard: number) => void;
  readonly #timer = new LookTimer(() => this.#look());

  /**
   * @param onChanged the shard is stalled from now on, or no more
   * @param onStalledLook the shard is stalled, or still is: called at each look
   */
  constructor(
    control: ControlBlock,
    onChanged: (shard: number, isStalled: boolean) => void,
    onStalledLook: (shard: number) => void,
  ) {
    this.#control = control;
    this.#onChanged = onChanged;
    this.#onStalledLook = onStalledLook;
    this.#channels = Array.from({ length: control.shards }, () => ({
      sent: 0,
      intake: new Intake(),
      isOpen: false,
    }));
  }

  /** A new channel to the shard is open, of which it has taken nothing yet: the shard counts as alive. */
  opened(shard: number): void {
    const channel = this.#channels[shard]!;
    channel.sent = 0;
    channel.intake = new Intake();
    channel.isOpen = true;
    this.#control.setGauge(shard, Gauge.STALLED, 0);
  }

  /** Nothing is sent through the channel any more. What is said of the shard holds until another is open. */
  closed(shard: number): void {
    this.#channels[shard]!.isOpen = false;
  }

  sent(shard: number): void {
    this.#channels[shard]!.sent++;
    this.#timer.start();
  }

  isStalled(shard: number): boolean {
    return this.#channels[shard]!.intake.isStalled;
  }

  /** Sockets that were sent through the channel that is open, and not taken. */
  waiting(shard: number): number {
    return (this.#channels[shard]!.sent - this.#control.gauge(shard, Gauge.TAKEN)) | 0;
  }

  stop(): void {
    this.#timer.stop();
  }

  #look(): boolean {
    let isAnyWaiting = false;
    for (const [shard, { intake, isOpen }] of this.#channels.entries()) {
      if (!isOpen) continue;
      const isWaiting = this.waiting(shard) > 0;
      const hasChanged = intake.look(isWaiting, this.#control.gauge(shard, Gauge.TAKEN));
      if (hasChanged) {
        this.#control.setGauge(shard, Gauge.STALLED, intake.isStalled ? 1 : 0);
        this.#onChanged(shard, intake.isStalled);
      }
      if (intake.isStalled) this.#onStalledLook(shard);
      isAnyWaiting ||= isWaiting;
    }
    return isAnyWaiting;
  }
}
