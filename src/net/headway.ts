/** Bytes that are headway; single ones keep no connection alive. */
export const MIN_HEADWAY = 16 * 1024;

/** What is asked of a transport. */
interface Waiting {
  /** Bytes wait for the peer. */
  readonly blocked: boolean;
  /** Bytes that the kernel took of all that were written. */
  readonly taken: number;
}

/** WriteHeadway: since when a peer has taken too little of what waits for it. */
export class WriteHeadway {
  /** Second at which it had taken all, or MIN_HEADWAY more; 0: nothing waits. */
  since = 0;
  #taken = 0;

  /** Looks at it now and then. Returns the seconds without headway, 0 while nothing waits. */
  look({ blocked, taken }: Waiting, now: number): number {
    if (!blocked) {
      this.since = 0;
      return 0;
    }
    if (this.since === 0 || taken - this.#taken >= MIN_HEADWAY) {
      this.since = now;
      this.#taken = taken;
    }
    return now - this.since;
  }
}
