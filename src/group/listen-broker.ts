import { isMainThread } from 'node:worker_threads';
import { ChannelListener, discardEnd } from '../net/handoff-channel.ts';
import type { PipeHandle } from '../net/node-internals.ts';
import { NamedPort } from './named-port.ts';

/*
 * Workers have the main thread accept the ends of their handoff channels (net/handoff-channel.ts says why):
 *
 *     worker (RemoteListener)                 main thread (ListenBroker)
 *     listen          ─────────────────────▶  ChannelListener
 *     the path        ◀──────────  listening
 *     opens the end   ◀───────────  accepted  a child has connected
 */

/** Name of the port that workers and the main thread have together. */
export const BROKER_PORT = `millrace broker ${process.pid}`;

export type BrokerMessage =
  // Of a worker.
  | { readonly type: 'listen'; readonly id: number; readonly claim: Int32Array }
  | { readonly type: 'close'; readonly id: number }
  // Of the main thread.
  | { readonly type: 'listening'; readonly id: number; readonly path: string }
  | { readonly type: 'accepted'; readonly id: number; readonly fd: number }
  | { readonly type: 'failed'; readonly id: number; readonly reason: string };

/** Ms that a child has to connect, and the worker to take the end that was accepted for it. */
export const CONNECT_TIMEOUT = 5000;

/** Whose the accepted end is: one of the two threads is the first to say. */
export const Claim = {
  OPEN: 0,
  /** The worker has opened it, or will. */
  TAKEN: 1,
  /** The main thread has closed it. */
  VOID: 2,
} as const;

/** Of two threads one gets true. Orders nothing else: all that the winner then uses came to it in a message. */
export function claims(cell: Int32Array, claim: number): boolean {
  return Atomics.compareExchange(cell, 0, Claim.OPEN, claim) === Claim.OPEN;
}

/** ListenBroker: listens in the main thread for the Apps of workers. It does not keep the main thread alive. */
class ListenBroker {
  readonly #listeners = new Map<number, ChannelListener>();
  /** Take back ends that were accepted and not taken. */
  readonly #reclaims = new Map<number, () => void>();
  readonly #port = new NamedPort<BrokerMessage>(BROKER_PORT, (message) => {
    if (message.type === 'listen') this.#listen(message.id, message.claim);
    else if (message.type === 'close') this.#close(message.id);
  }).unref();

  #listen(id: number, claim: Int32Array): void {
    let listener: ChannelListener;
    try {
      listener = new ChannelListener(CONNECT_TIMEOUT);
    } catch (error) {
      this.#port.post({ type: 'failed', id, reason: (error as Error).message });
      return;
    }
    this.#listeners.set(id, listener);
    this.#port.post({ type: 'listening', id, path: listener.path });
    listener.accepted.then(
      (end) => {
        this.#listeners.delete(id);
        this.#awaitClaim(id, claim, end);
        this.#port.post({ type: 'accepted', id, fd: end.fd });
      },
      () => {
        this.#listeners.delete(id);
        this.#port.post({ type: 'failed', id, reason: 'nobody connected to the channel' });
      },
    );
  }

  /** The worker may have closed its listener just now, or ended: then nobody else would close what was accepted. */
  #awaitClaim(id: number, claim: Int32Array, end: PipeHandle): void {
    const reclaim = (): void => {
      clearTimeout(timeout);
      this.#reclaims.delete(id);
      if (claims(claim, Claim.VOID)) discardEnd(end);
    };
    const timeout = setTimeout(reclaim, CONNECT_TIMEOUT).unref();
    this.#reclaims.set(id, reclaim);
  }

  #close(id: number): void {
    this.#listeners.get(id)?.close();
    this.#reclaims.get(id)?.();
  }
}

// A main thread that imports the package makes this possible for all threads. package.json names this module in
// `sideEffects`, so that bundlers keep it.
if (isMainThread) void new ListenBroker();
