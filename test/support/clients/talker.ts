import { frameBytes, SAMPLE_KEY, text } from '../protocol/frame-bytes.ts';
import { framesBytes } from '../protocol/frame-reader.ts';
import { until } from '../tools/deadline.ts';
import { HostileClient } from './hostile-client.ts';

/** Messages sent at a time, and ms from one time to the next. */
const BATCH = 3;
const PAUSE = 40;

/**
 * Talker: a client of '/control' that never stops talking. Each of its messages has a number, and is echoed; it
 * knows when an echo was lost, doubled or out of order.
 */
export class Talker {
  readonly client: HostileClient;
  /** The shard it is on. */
  readonly shard: string;
  /** What went wrong, '' as long as nothing did. */
  problem = '';
  #sent = 0;
  #echoed = 0;
  #isTalking = false;
  #rest = '';

  private constructor(client: HostileClient, shard: string) {
    this.client = client;
    this.shard = shard;
    client.forget();
    client.socket.on('data', (chunk: Buffer) => {
      client.forget();
      this.#take(chunk.toString('latin1'));
    });
  }

  static async open(port: number, path = '/control'): Promise<Talker> {
    const client = await HostileClient.upgrade(port, path);
    const [hello] = await client.untilFrames(1);
    if (hello === undefined) throw new Error(`the connection ended at once ${client.error}`);
    return new Talker(client, Buffer.from(hello.payload).toString());
  }

  /** Echoes that came so far. */
  get echoed(): number {
    return this.#echoed;
  }

  start(): void {
    this.#isTalking = true;
    this.#talk();
  }

  /** Says no more, and waits for the echoes that are due. */
  async stop(): Promise<void> {
    this.#isTalking = false;
    await until(() => this.client.isOver || this.#echoed === this.#sent, 'the last echoes are there');
    if (this.#echoed !== this.#sent && this.problem === '') this.problem = 'the connection ended';
  }

  /** Has the shard do something. */
  command(words: string): void {
    this.client.write(frameBytes(text(`!${words}`), SAMPLE_KEY));
  }

  #talk(): void {
    if (!this.#isTalking || this.client.isOver) return;
    const messages = Array.from({ length: BATCH }, () => text(`${String(this.#sent++).padStart(8, '0')};`));
    this.client.write(framesBytes(messages, SAMPLE_KEY));
    setTimeout(() => {
      this.#talk();
    }, PAUSE);
  }

  #take(chunk: string): void {
    // Each echo is a frame of 2 + 9 bytes.
    let bytes = this.#rest + chunk;
    for (; bytes.length >= 11; bytes = bytes.slice(11)) {
      const expected = `\x81\x09${String(this.#echoed).padStart(8, '0')};`;
      if (!bytes.startsWith(expected) && this.problem === '') {
        this.problem = `echo ${this.#echoed} is ${JSON.stringify(bytes.slice(0, 11))}`;
      }
      this.#echoed++;
    }
    this.#rest = bytes;
  }
}
