import { randomInt } from 'node:crypto';
import { isMainThread } from 'node:worker_threads';
import { ChannelListener } from '../net/handoff-channel.ts';
import { BROKER_PORT, type BrokerMessage, Claim, CONNECT_TIMEOUT, claims } from './listen-broker.ts';
import { NamedPort } from './named-port.ts';

/** ChildListener: where one child connects to, which makes the handoff channel to it. */
export interface ChildListener {
  readonly path: string;
  /** Descriptor of the accepted end, to be opened at once. Rejects when the child did not connect in time. */
  readonly accepted: Promise<number>;
  close(): void;
}

/** Ms the main thread has to answer a worker that wants to listen. */
const BROKER_TIMEOUT = 10_000;

/** Listens for a child, by way of the main thread where this is another one. */
export async function listenForChild(): Promise<ChildListener> {
  if (!isMainThread) {
    const remote = new RemoteListener();
    await remote.listening;
    return remote;
  }
  const listener = new ChannelListener(CONNECT_TIMEOUT);
  return {
    path: listener.path,
    accepted: listener.accepted.then((end) => end.fd),
    close: () => {
      listener.close();
    },
  };
}

/** RemoteListener: a worker's side of a listener in the main thread. */
class RemoteListener implements ChildListener {
  path = '';
  readonly accepted: Promise<number>;
  /** Resolves when the path is there. */
  readonly listening: Promise<void>;
  /** Tells it from the listeners of all threads. */
  readonly #id = randomInt(2 ** 47);
  readonly #claim = new Int32Array(new SharedArrayBuffer(4));
  readonly #port: NamedPort<BrokerMessage>;
  readonly #timeout: NodeJS.Timeout;
  #onListening: () => void = ignore;
  #onAccepted: (fd: number) => void = ignore;
  #onFailed: ((error: Error) => void)[] = [];

  constructor() {
    this.listening = new Promise((resolve, reject) => {
      this.#onListening = resolve;
      this.#onFailed.push(reject);
    });
    this.accepted = new Promise((resolve, reject) => {
      this.#onAccepted = resolve;
      this.#onFailed.push(reject);
    });
    this.accepted.catch(ignore);
    this.#timeout = setTimeout(() => {
      this.#fail(
        "the main thread does not answer; joining Apps to a worker's App takes an import of millrace there",
      );
    }, BROKER_TIMEOUT);
    this.#port = new NamedPort<BrokerMessage>(BROKER_PORT, (message) => {
      if (message.id === this.#id) this.#onMessage(message);
    });
    this.#port.post({ type: 'listen', id: this.#id, claim: this.#claim });
  }

  close(): void {
    this.#port.post({ type: 'close', id: this.#id });
    this.#fail('the listener was closed');
  }

  #onMessage(message: BrokerMessage): void {
    if (message.type === 'listening') {
      this.path = message.path;
      this.#onListening();
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
    clearTimeout(this.#timeout);
    this.#port.close();
  }
}

function ignore(): void {}
