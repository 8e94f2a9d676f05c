/** Signals that ask a server to end. */
const ENDING = ['SIGINT', 'SIGTERM'] as const;

/**
 * For this long after the first signal a second one is taken for the same, in ms: Ctrl+C under `npm start`
 * arrives twice, from the terminal and from npm.
 */
const ECHO = 300;

/** Takes over the ending signals of this process. */
export class Signals {
  /** The server is asked to end. */
  readonly first: Promise<string>;
  /** It is asked again: now. */
  readonly second: Promise<string>;

  constructor() {
    let onFirst: (signal: string) => void;
    let onSecond: (signal: string) => void;
    this.first = new Promise((resolve) => {
      onFirst = resolve;
    });
    this.second = new Promise((resolve) => {
      onSecond = resolve;
    });
    let firstAt = -1;
    for (const name of ENDING) {
      process.on(name, (signal) => {
        const now = performance.now();
        if (firstAt < 0) {
          firstAt = now;
          onFirst(signal);
        } else if (now - firstAt > ECHO) {
          onSecond(signal);
        }
      });
    }
  }

  /** Calls `callback` at each SIGHUP, which otherwise ends the process. */
  onHangUp(callback: () => void): void {
    process.on('SIGHUP', callback);
  }
}
