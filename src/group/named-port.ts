import { BroadcastChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';

/** NamedPort: messages between all threads of the process that know a name. A sender does not hear itself. */
export class NamedPort<T> {
  readonly #port: BroadcastChannel;
  readonly #onMessage: (message: T) => void;
  #isClosed = false;

  constructor(name: string, onMessage: (message: T) => void) {
    this.#port = new BroadcastChannel(name);
    this.#onMessage = onMessage;
    this.#port.addEventListener('message', (event: unknown) => {
      onMessage((event as { data: T }).data);
    });
  }

  /** Posts one message to the threads that have a port of this name. */
  static post<T>(name: string, message: T): void {
    const port = new BroadcastChannel(name);
    port.postMessage(message);
    port.close();
  }

  /** The others have the message in their queues when this returns. A port that is closed posts nothing. */
  post(message: T): void {
    if (!this.#isClosed) this.#port.postMessage(message);
  }

  /** Takes what has come already, without waiting for the event loop. */
  receiveNow(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port as unknown as MessagePort);
      if (received === undefined) return;
      this.#onMessage(received.message as T);
    }
  }

  /** The port does not keep its thread alive. */
  unref(): this {
    this.#port.unref();
    return this;
  }

  close(): void {
    this.#isClosed = true;
    this.#port.close();
  }
}
