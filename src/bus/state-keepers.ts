import { messageOf, reportError } from '../error-report.ts';
import { invalidArgument, MillraceError } from '../errors.ts';
import { watch } from '../user-code.ts';
import { before } from './before.ts';
import { Copies } from './copies.ts';

/** Bytes that a thread may hand over to its successor, all keepers together, with `PIECE_OVERHEAD` for each piece. */
const MAX_STATE_BYTES = 64 * 1024 * 1024;
/** What a piece takes beside its bytes, so that a keeper cannot fill the heap with pieces that are empty. */
export const PIECE_OVERHEAD = 256;
/** Ms in which the requests under way are answered, what waits is sent, and all state is packed and taken over. */
export const HANDOVER_TIMEOUT = 5000;

/** Bytes of a keeper's state, in the pieces in which they were packed; several may lie in one buffer. */
export type StatePieces = readonly Uint8Array[];

/**
 * Keeps what a thread owns by name: queues, histories, sets of members. In each instance of a thread, before it gets the
 * first request, either `takeOver` or `startAnew` is called, once.
 */
export interface StateKeeper {
  /**
   * Packs all state for the successor. When it is called nothing is under way, and nothing arrives any more: what comes
   * then waits for the successor. Its pieces are copied as they come, so one buffer can serve for all.
   */
  pack(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /**
   * Takes over what the former instance packed. If it throws or rejects, or is not done in time, which the signal says,
   * `startAnew` is called, and has to clear away what there is already.
   */
  takeOver(pieces: StatePieces, signal: AbortSignal): void | Promise<void>;
  /** Begins with nothing, in a new epoch. `why`: the state of the former instance is lost; null: there was none. */
  startAnew(why: string | null): void;
}

/** What the former instance left of one keeper's state. It is posted from thread to thread. */
export interface PackedState {
  readonly name: string;
  /** The instance of the thread in which this state began. */
  readonly epoch: number;
  readonly pieces: StatePieces;
  /** Why it could not be packed; null: it could. */
  readonly failure: string | null;
}

/** What was handed over, or could not be. */
export interface HandoverReport {
  readonly bytes: number;
  /** One line for each keeper whose state is lost. */
  readonly failures: readonly string[];
}

interface Entry {
  readonly keeper: StateKeeper;
  epoch: number;
}

/** StateKeepers: those of one thread by name, and how they hand their state over. */
export class StateKeepers {
  readonly #entries = new Map<string, Entry>();
  readonly #instance: () => number;
  /** They are told later how they begin. */
  #isDeferred = false;

  /** @param instance of this thread */
  constructor(instance: () => number) {
    this.#instance = instance;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Registers a keeper. It is to be done while the app module is loaded: one that comes later begins with nothing.
   *
   * @throws MillraceError MILLRACE_INVALID_ARGUMENT when the name is taken
   */
  add(name: string, keeper: StateKeeper): void {
    if (this.#entries.has(name))
      throw invalidArgument(`Two keepers of state cannot have one name ('${name}')`);
    const entry: Entry = { keeper, epoch: this.#instance() };
    this.#entries.set(name, entry);
    if (!this.#isDeferred) startAnew(name, keeper, null);
  }

  /** Those that are registered from here on are told by `begin` how they begin. */
  defer(): void {
    this.#isDeferred = true;
  }

  /**
   * The instance of this thread in which a keeper's state began: it stays while the state is handed over, and is another
   * when it is lost.
   */
  epochOf(name: string): number {
    return this.#entries.get(name)?.epoch ?? 0;
  }

  /** Packs the state of all, one after the other. Never rejects: a keeper that cannot pack in time has lost its state. */
  async pack(deadline: number, most: number = MAX_STATE_BYTES): Promise<PackedState[]> {
    const packed: PackedState[] = [];
    let rest = most;
    for (const [name, { keeper, epoch }] of this.#entries) {
      const budget = new Budget(rest);
      const state = await this.#packOne(keeper, budget, deadline).then(
        (pieces) => ({ name, epoch, pieces, failure: null }),
        (error: unknown) => ({ name, epoch, pieces: [], failure: messageOf(error) }),
      );
      if (state.failure === null) rest -= budget.used;
      packed.push(state);
    }
    return packed;
  }

  /**
   * Begins with what the former instance left, or with nothing. Never rejects.
   *
   * @param why there is nothing left of the former instance; null: there is, or there was none
   */
  async begin(states: readonly PackedState[], why: string | null, deadline: number): Promise<HandoverReport> {
    this.#isDeferred = false;
    const failures: string[] = [];
    let bytes = 0;
    const left = new Map(states.map((state) => [state.name, state]));
    for (const [name, entry] of this.#entries) {
      const state = left.get(name);
      left.delete(name);
      entry.epoch = this.#instance();
      if (state === undefined) {
        if (why !== null) failures.push(`${name}: ${why}`);
        this.#startAnew(name, entry.keeper, why, failures);
        continue;
      }
      const failure = state.failure ?? (await this.#takeOver(entry.keeper, state.pieces, deadline));
      if (failure === null) {
        entry.epoch = state.epoch;
        for (const piece of state.pieces) bytes += piece.length;
      } else {
        failures.push(`${name}: ${failure}`);
        this.#startAnew(name, entry.keeper, failure, failures);
      }
    }
    for (const name of left.keys()) failures.push(`${name}: nobody keeps it any more`);
    return { bytes, failures };
  }

  async #packOne(keeper: StateKeeper, budget: Budget, deadline: number): Promise<Uint8Array[]> {
    const pieces: Uint8Array[] = [];
    const copies = new Copies();
    const all = async (): Promise<void> => {
      for await (const piece of keeper.pack()) {
        if (performance.now() >= deadline) throw tooSlow();
        budget.take(PIECE_OVERHEAD + piece.length);
        // With memory that is nobody else's, and goes to the successor as it is.
        pieces.push(copies.of(piece));
      }
    };
    if (!(await before(deadline, all()))) throw tooSlow();
    return pieces;
  }

  /** Returns why the state could not be taken over, or null. */
  async #takeOver(keeper: StateKeeper, pieces: StatePieces, deadline: number): Promise<string | null> {
    const late = new AbortController();
    try {
      const taken = Promise.resolve(keeper.takeOver(pieces, late.signal));
      if (!(await before(deadline, taken))) throw tooSlow();
      return null;
    } catch (error) {
      late.abort();
      return messageOf(error);
    }
  }

  #startAnew(name: string, keeper: StateKeeper, why: string | null, failures: string[]): void {
    try {
      startAnew(name, keeper, why);
    } catch (error) {
      failures.push(`${name}: it cannot start anew: ${messageOf(error)}`);
    }
  }
}

/** It is to be done when this returns; what it still does may fail. */
function startAnew(name: string, keeper: StateKeeper, why: string | null): void {
  const result: unknown = keeper.startAnew(why);
  watch(result, (error) => {
    reportError(`the keeper '${name}', which starts anew,`, error);
  });
}

/** Bytes that a keeper may pack. */
class Budget {
  used = 0;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  take(bytes: number): void {
    this.used += bytes;
    if (this.used <= this.#most) return;
    throw new MillraceError(
      'MILLRACE_HANDOVER_FAILED',
      `its state takes more than the ${this.#most} bytes that are left for it`,
    );
  }
}

function tooSlow(): MillraceError {
  return new MillraceError('MILLRACE_HANDOVER_FAILED', `it was not done within ${HANDOVER_TIMEOUT} ms`);
}
