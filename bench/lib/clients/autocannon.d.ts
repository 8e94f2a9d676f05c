/** What the HTTP benchmark and tests use of autocannon, which has no types of its own. */
declare module 'autocannon' {
  interface Options {
    url: string;
    connections: number;
    /** Requests on their way on each connection. Default 1. */
    pipelining?: number;
    /** Seconds. */
    duration: number;
    /** Every other body is a mismatch. */
    expectBody?: string;
  }
  interface Result {
    errors: number;
    timeouts: number;
    requests: { total: number };
    mismatches: number;
    non2xx: number;
  }
  interface Load extends PromiseLike<Result> {
    on(event: 'response', listener: () => void): this;
    stop(): void;
  }
  export default function autocannon(options: Options): Load;
}
