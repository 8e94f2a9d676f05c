import { randomInt } from 'node:crypto';
import { isMainThread } from 'node:worker_threads';
import { ChannelOffer, discardEnd } from '../net/handoff-channel.ts';
import type { PipeHandle } from '../net/node-internals.ts';
import { ControlChannel } from './control-channel.ts';

/** A place for a child to connect to. */
export interface Offer {
  readonly path: string;
  /** Descriptor of the accepted end, to be opened at once. Rejects when nobody came in time. */
  readonly accepted: Promise<number>;
  withdraw(): void;
}

/** Ms that a child has to connect, and the thread that offers to take what was accepted for it. */
const PATIENCE = 5000;
/** Ms the main thread has to answer a worker that wants to offer a channel. */
const BROKER_PATIENCE = 10_000;

/** Whose the accepted end is: one of the two threads is the first to say. */
const Claim = {
  OPEN: 0,
  /** The thread that offers has opened it, or will. */
  TAKEN: 1,
  /** The main thread has closed it. */
  VOID: 2,
} as const;

/** Of two threads one gets true. Orders nothing else: all that the winner then uses came to it in a message. */
function claims(cell: Int32Array, claim: number): boolean {
  return Atomics.compareExchange(cell, 0, Claim.OPEN, claim) === Claim.OPEN;
}

const BROKER = `millrace broker ${process.pid}`;

type BrokerMessage =
  | { readonly type: 'want'; readonly id: number; readonly claim: Int32Array }
  | { readonly type: 'offered'; readonly id: number; readonly path: string }
  | { readonly type: 'accepted'; readonly id: number; readonly fd: number }
  | { readonly type: 'failed'; readonly id: number; readonly reason: string }
  | { readonly type: 'withdraw'; readonly id: number };

/** Offers a channel from this thread, by way of the main thread where this is another one. */
export async function offerChannel(): Promise<Offer> {
  if (!isMainThread) {
    const remote = new RemoteOffer();
    await remote.made;
    return remote;
  }
  const offer = new ChannelOffer(PATIENCE);
  return {
    path: offer.path,
    accepted: offer.accepted.then((end) => end.fd),
    withdraw: () => {
      offer.withdraw();
    },
  };
}

/** An offer that the main thread makes: accepted ends must lie in the thread that dies last, see handoff-channel.ts. */
class RemoteOffer implements Offer {
  path = '';
  readonly accepted: Promise<number>;
  /** Resolves when the path is there. */
  readonly made: Promise<void>;
  /** Tells it from the offers of all threads. */
  readonly #id = randomInt(2 ** 47);
  readonly #claim = new Int32Array(new SharedArrayBuffer(4));
  readonly #channel: ControlChannel<BrokerMessage>;
  readonly #patience: NodeJS.Timeout;
  #onMade: () => void = ignore;
  #onAccepted: (fd: number) => void = ignore;
  #onFailed: ((error: Error) => void)[] = [];

  constructor() {
    this.made = new Promise((resolve, reject) => {
      this.#onMade = resolve;
      this.#onFailed.push(reject);
    });
    this.accepted = new Promise((resolve, reject) => {
      this.#onAccepted = resolve;
      this.#onFailed.push(reject);
    });
    this.accepted.catch(ignore);
    this.#patience = setTimeout(() => {
      this.#fail(
        "the main thread does not answer; joining Apps to a worker's App takes an import of millrace there",
      );
    }, BROKER_PATIENCE);
    this.#channel = new ControlChannel<BrokerMessage>(BROKER, (message) => {
      if (message.id === this.#id) this.#onMessage(message);
    });
    this.#channel.post({ type: 'want', id: this.#id, claim: this.#claim });
  }

  withdraw(): void {
    this.#channel.post({ type: 'withdraw', id: this.#id });
    this.#fail('the offer was withdrawn');
  }

  #onMessage(message: BrokerMessage): void {
    if (message.type === 'offered') {
      this.path = message.path;
      this.#onMade();
    } else if (message.type === 'accepted') {
      if (claims(this.#claim, Claim.TAKEN)) {
        this.#end();
        this.#onAccepted(message.fd);
      } else {
        this.#fail('this thread was busy for too long');
      }
    } else if (message.type === 'failed') {
      this.#fail(message.reason);
    }
  }

  #fail(reason: string): void {
    this.#end();
    for (const onFailed of this.#onFailed.splice(0)) onFailed(new Error(reason));
  }

  #end(): void {
    clearTimeout(this.#patience);
    this.#channel.close();
  }
}

function ignore(): void {}

/** Lets the Apps of workers offer channels. Does not keep the main thread alive. */
class Broker {
  readonly #offers = new Map<number, ChannelOffer>();
  /** Takes back ends that were accepted and not taken. */
  readonly #reclaims = new Map<number, () => void>();
  readonly #channel = new ControlChannel<BrokerMessage>(BROKER, (message) => {
    if (message.type === 'want') this.#offer(message.id, message.claim);
    else if (message.type === 'withdraw') this.#withdraw(message.id);
  }).unref();

  #offer(id: number, claim: Int32Array): void {
    let offer: ChannelOffer;
    try {
      offer = new ChannelOffer(PATIENCE);
    } catch (error) {
      this.#channel.post({ type: 'failed', id, reason: (error as Error).message });
      return;
    }
    this.#offers.set(id, offer);
    this.#channel.post({ type: 'offered', id, path: offer.path });
    offer.accepted.then(
      (end) => {
        this.#offers.delete(id);
        this.#awaitClaim(id, claim, end);
        this.#channel.post({ type: 'accepted', id, fd: end.fd });
      },
      () => {
        this.#offers.delete(id);
        this.#channel.post({ type: 'failed', id, reason: 'nobody connected to the channel' });
      },
    );
  }

  /** The thread may have withdrawn its offer just now, or ended: nobody would ever close what was accepted. */
  #awaitClaim(id: number, claim: Int32Array, end: PipeHandle): void {
    const reclaim = (): void => {
      clearTimeout(patience);
      this.#reclaims.delete(id);
      if (claims(claim, Claim.VOID)) discardEnd(end);
    };
    const patience = setTimeout(reclaim, PATIENCE).unref();
    this.#reclaims.set(id, reclaim);
  }

  #withdraw(id: number): void {
    this.#offers.get(id)?.withdraw();
    this.#reclaims.get(id)?.();
  }
}

// Whoever imports the package in the main thread makes this possible for all threads.
if (isMainThread) void new Broker();
