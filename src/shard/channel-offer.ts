import { randomInt } from 'node:crypto';
import { isMainThread } from 'node:worker_threads';
import { ChannelOffer } from '../net/handoff-channel.ts';
import { ControlChannel } from './control-channel.ts';

/** A place for a child to connect to. */
export interface Offer {
  readonly path: string;
  /** Descriptor of the accepted end, to be opened at once. Rejects when nobody came in time. */
  readonly accepted: Promise<number>;
  withdraw(): void;
}

/** Ms that a child has to connect. */
const PATIENCE = 5000;
/** Ms the main thread has to answer a worker that wants to offer a channel. */
const BROKER_PATIENCE = 10_000;

const BROKER = `millrace broker ${process.pid}`;

type BrokerMessage =
  | { readonly type: 'want'; readonly id: number }
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
    this.#channel.post({ type: 'want', id: this.#id });
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
      this.#end();
      this.#onAccepted(message.fd);
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
function startBroker(): void {
  const offers = new Map<number, ChannelOffer>();
  const channel = new ControlChannel<BrokerMessage>(BROKER, (message) => {
    const { id } = message;
    if (message.type === 'withdraw') {
      offers.get(id)?.withdraw();
    } else if (message.type === 'want') {
      let offer: ChannelOffer;
      try {
        offer = new ChannelOffer(PATIENCE);
      } catch (error) {
        channel.post({ type: 'failed', id, reason: (error as Error).message });
        return;
      }
      offers.set(id, offer);
      channel.post({ type: 'offered', id, path: offer.path });
      offer.accepted.then(
        ({ fd }) => {
          offers.delete(id);
          channel.post({ type: 'accepted', id, fd });
        },
        () => {
          offers.delete(id);
          channel.post({ type: 'failed', id, reason: 'nobody connected to the channel' });
        },
      );
    }
  });
  channel.unref();
}

// Whoever imports the package in the main thread makes this possible for all threads.
if (isMainThread) startBroker();
