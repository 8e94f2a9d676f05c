import ProgressBar from 'progress';
import type { BenchProgress } from '../load/index.ts';
import { plural } from './banner.ts';

/** Says what begins, once the server is known to be there, and on a terminal how far it is. */
export class BenchProgressBar {
  readonly #stream: NodeJS.WriteStream;
  #bar: ProgressBar | null = null;
  #phase: BenchProgress['phase'] | '' = '';
  #announcement: string | null;

  /** @param announcement null: show nothing at all */
  constructor(stream: NodeJS.WriteStream, announcement: string | null) {
    this.#stream = stream;
    this.#announcement = announcement;
  }

  update({ phase, done, open, messagesPerSecond }: BenchProgress): void {
    if (this.#announcement === null) return;
    if (this.#announcement !== '') this.#stream.write(`${this.#announcement}\n`);
    this.#announcement = '';
    if (!this.#stream.isTTY) return;
    if (phase !== this.#phase) this.#begin(phase);
    const rate = messagesPerSecond === 0 ? '' : `${messagesPerSecond.toLocaleString('en')} a second, `;
    // A bar that is full is gone: the last step is left to `end`.
    this.#bar?.update(Math.min(done, 0.99), { what: `${rate}${plural(open, 'connection')}` });
  }

  /** Removes the bar. */
  end(): void {
    this.#bar?.terminate();
    this.#bar = null;
  }

  #begin(phase: BenchProgress['phase']): void {
    this.end();
    this.#phase = phase;
    const format = `${phase} [:bar] :percent :what`;
    this.#bar = new ProgressBar(format, {
      total: 100,
      width: 20,
      incomplete: ' ',
      clear: true,
      stream: this.#stream,
    });
  }
}
