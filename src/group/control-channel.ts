import { BroadcastChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';

/** Messages between all threads of the process that know a name; a sender does not hear itself. */
export class ControlChannel<T> {
  readonly #channel: BroadcastChannel;
  readonly #onMessage: (message: T) => void;
  #isClosed = false;

  constructor(name: string, onMessage: (message: T) => void) {
    this.#channel = new BroadcastChannel(name);
    this.#onMessage = onMessage;
    this.#channel.addEventListener('message', (event: unknown) => {
      onMessage((event as { data: T }).data);
    });
  }

  /** Says one thing to those who listen under a name. */
  static post<T>(name: string, message: T): void {
    const channel = new BroadcastChannel(name);
    channel.postMessage(message);
    channel.close();
  }

  /** Others have it in their queues when this returns. Nothing happens when the channel is closed. */
  post(message: T): void {
    if (!this.#isClosed) this.#channel.postMessage(message);
  }

  /** Takes what has come already, without waiting for the event loop. */
  receiveNow(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#channel as unknown as MessagePort);
      if (received === undefined) return;
      this.#onMessage(received.message as T);
    }
  }

  /** Does not keep the thread alive. */
  unref(): this {
    this.#channel.unref();
    return this;
  }

  close(): void {
    this.#isClosed = true;
    this.#channel.close();
  }
}
