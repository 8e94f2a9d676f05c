import { WaitingRoom } from '../admission/waiting-room.ts';
import type { Shard } from '../shard/shard.ts';
import type { HttpConnection } from './http-connection.ts';

/** FirstRequests: the connections whose first request is not whole yet. They give way when places are short. */
export class FirstRequests {
  readonly #waiting: WaitingRoom;

  constructor(shard: Shard) {
    this.#waiting = new WaitingRoom((change) => {
      shard.addWaiting(change);
    });
  }

  add(connection: HttpConnection): void {
    connection.isNew = true;
    this.#waiting.add(connection.transport);
  }

  /** It came, or is not awaited any more. */
  done(connection: HttpConnection): void {
    connection.isNew = false;
    this.#waiting.delete(connection.transport);
  }

  /** Ends the oldest connection. Returns false when there is none that may be ended, see {@link WaitingRoom.evict}. */
  evict(): boolean {
    return this.#waiting.evict();
  }
}
