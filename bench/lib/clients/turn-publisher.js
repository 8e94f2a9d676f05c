// @ts-check
import { messageTemplates, monotonicMicroseconds, templateOf } from './broadcast-message.js';

/**
 * What the load client wants published: so many messages in a turn of the event loop, for each `MORE`; or messages
 * at a steady rate.
 *
 * @typedef {{ size: number, perTurn: number } | { size: number, rate: number }} PublishOrder
 */

/** One more turn. */
export const MORE = '+';
/** No more; the answer is the number of messages that were published. */
export const STOP = '.';

/**
 * TurnPublisher: the one publisher in a server, the same in all of them. It hears the load client on a connection of
 * its own: first a PublishOrder as JSON, then `MORE` as often as the client has room, then `STOP`.
 */
export class TurnPublisher {
  /** @readonly */
  #publish;
  #published = 0;
  #perTurn = 0;
  #turns = 0;
  #isScheduled = false;
  /** @type {readonly Buffer[]} */
  #templates = [];
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {(message: Buffer) => void} publish sends a message to all subscribers */
  constructor(publish) {
    this.#publish = publish;
  }

  /**
   * @param {string} text
   * @param {(text: string) => void} reply
   */
  onControl(text, reply) {
    if (text === MORE) {
      this.#turns++;
      this.#schedule();
    } else if (text === STOP) {
      this.#turns = 0;
      clearInterval(this.#timer);
      reply(String(this.#published));
    } else {
      this.#start(JSON.parse(text));
    }
  }

  /** @param {PublishOrder} order */
  #start(order) {
    this.#templates = messageTemplates(order.size);
    if ('perTurn' in order) {
      this.#perTurn = order.perTurn;
      return;
    }
    const start = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - start) * order.rate) / 1000);
      while (this.#published < due) this.#publishNext();
    }, 1);
  }

  #schedule() {
    if (this.#isScheduled || this.#turns === 0) return;
    this.#isScheduled = true;
    setImmediate(this.#turn);
  }

  #turn = () => {
    this.#isScheduled = false;
    if (this.#turns === 0) return;
    this.#turns--;
    for (let i = 0; i < this.#perTurn; i++) this.#publishNext();
    this.#schedule();
  };

  #publishNext() {
    const number = this.#published++;
    // Memory of its own: a server may keep it until it is written.
    const message = Buffer.from(templateOf(this.#templates, number));
    message.writeUInt32LE(number, 0);
    message.writeDoubleLE(monotonicMicroseconds(), 8);
    this.#publish(message);
  }
}
