import { closeSync, openSync } from 'node:fs';

/** Signals that ask a server to end. */
const ENDING = ['SIGINT', 'SIGTERM'] as const;

/**
 * For this long after the first signal a second one is taken for the same, in ms: Ctrl+C under `npm start`
 * arrives twice, from the terminal and from npm.
 */
const ECHO = 300;

/** Takes over the ending signals of this process. */
export class Signals {
  readonly #hadTerminal = [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY);
  #onFirst: (signal: string) => void = ignore;
  /** The server is asked to end. */
  readonly first: Promise<string>;
  /** It is asked again: now. */
  readonly second: Promise<string>;

  constructor() {
    let onSecond: (signal: string) => void;
    this.first = new Promise((resolve) => {
      this.#onFirst = resolve;
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
          this.#onFirst(signal);
        } else if (now - firstAt > ECHO) {
          onSecond(signal);
        }
      });
    }
  }

  /**
   * Takes over SIGHUP, too. It asks the server to end when it comes because the terminal that the process was started in
   * is gone; else somebody sent it, and `callback` is called.
   */
  onHangUp(callback: () => void): void {
    process.on('SIGHUP', () => {
      if (this.#hadTerminal && !hasTerminal()) this.#onFirst('SIGHUP, the terminal is gone');
      else callback();
    });
  }
}

/** Whether the process has a terminal now. One that was hung up cannot be opened. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

function ignore(): void {}
