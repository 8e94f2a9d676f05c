import type { BenchPlan } from './options.ts';

/** What the main thread and a client thread tell each other. */

/** A thread's part of the load. */
export interface ThreadShare {
  /** Connections of this thread, and the number of the first of them over all threads. */
  readonly connections: number;
  readonly firstConnection: number;
  /** Messages in all; 0: as many as the duration allows. */
  readonly amount: number;
  /** Messages a second; 0: as many as possible. */
  readonly rate: number;
}

/** `workerData` of a client thread. */
export interface ThreadData {
  readonly plan: BenchPlan;
  readonly address: string;
  readonly share: ThreadShare;
  /** Memory of its LoadCounters. */
  readonly memory: SharedArrayBuffer;
  /** Memory of all threads of the run. What is in it is the scenario's business. */
  readonly shared: SharedArrayBuffer;
  /** A number that the messages of this run bear (broadcast), 0 to 63. */
  readonly run: number;
}

export type ToThread =
  /** All threads are ready: the load begins. */
  | { readonly type: 'start' }
  /** Nothing more is to be sent. */
  | { readonly type: 'stop' }
  /** Wait for what is on its way, `limit` ms at most, then close. `published`: by publisher, over all threads. */
  | { readonly type: 'drain'; readonly limit: number; readonly published: readonly number[] };

export type FromThread =
  /** All connections are open that could be opened. */
  | { readonly type: 'ready' }
  /** The amount is reached. */
  | { readonly type: 'finished' }
  /** Nothing more is sent. `published`: by publisher, 0 for those of other threads. */
  | { readonly type: 'stopped'; readonly published: readonly number[] }
  /** All is closed. */
  | { readonly type: 'done'; readonly details: ThreadDetails };

/** What a thread has to say at the end. */
export interface ThreadDetails {
  /** How often each reason ended a connection, or kept one from being opened. */
  readonly reasons: readonly (readonly [reason: string, count: number])[];
  /** Of connections that did not read (slow): how many the server ended, and the bytes they could send. */
  readonly stalled: { readonly ended: number; readonly sent: number };
}

/** `total` in `parts` whole parts as equal as can be: the one at `index`, and the sum of those before it. */
export function shareOf(total: number, parts: number, index: number): { size: number; before: number } {
  const least = Math.floor(total / parts);
  const larger = total % parts;
  return { size: least + (index < larger ? 1 : 0), before: index * least + Math.min(index, larger) };
}
