/** What a message takes beside its payload, so that the limits of bytes bound many small ones, too. */
export const MESSAGE_OVERHEAD = 96;

/** A message that is in a queue: it waits there, or a consumer has it. */
export class QueuedMessage {
  /** Its place: messages of a queue are in the order of their numbers, and no two of an owner have the same. */
  readonly number: number;
  /** Whatever its sender has made of it; no other message shares its memory. */
  readonly payload: Uint8Array;
  /** Ms at which it was stored, by the clock of its queue's owner. */
  readonly since: number;
  /** How often it was given to a consumer. */
  deliveries: number;

  constructor(number: number, payload: Uint8Array, since: number, deliveries = 0) {
    this.number = number;
    this.payload = payload;
    this.since = since;
    this.deliveries = deliveries;
  }

  /** Bytes that it counts for. */
  get cost(): number {
    return this.payload.length + MESSAGE_OVERHEAD;
  }
}
