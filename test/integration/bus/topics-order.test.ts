import type { WebSocket, WebSocketBehavior } from 'millrace';
import { afterEach, describe, expect, test } from 'vitest';
import type { ServerFrame } from '../../support/clients/raw-client.ts';
import { asciiPattern, pattern, text } from '../../support/protocol/frame-bytes.ts';
import { type Pair, Route } from '../../support/protocol/route.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

/**
 * Random interleavings of everything that writes to sockets, over real ones, against a model that is a list of
 * messages for each client and a Set of clients for each topic.
 */

const CLIENTS = 6;
const TOPICS = ['', 'news', 'room/1', 'ümläut'];
const MAX_SIZE = 200 * 1024;
const BYTES = Buffer.from(pattern(MAX_SIZE + 4096));
const ASCII = asciiPattern(MAX_SIZE + 4096);

/** A message as the model remembers it: its bytes can be made again. */
interface Expected {
  readonly id: number;
  readonly size: number;
  readonly isBinary: boolean;
}

function payloadOf({ id, size, isBinary }: Expected): Uint8Array {
  const start = (id * 31) % 4096;
  if (!isBinary) return Buffer.from(textOf(id, size));
  const payload = Buffer.from(BYTES.subarray(start, start + size));
  if (size >= 4) payload.writeUInt32LE(id);
  return payload;
}

/** ASCII, or three bytes a character in one of four texts. */
function textOf(id: number, size: number): string {
  if (id % 4 === 0) return '語'.repeat(Math.floor(size / 3));
  const start = (id * 31) % 4096;
  return size < 10 ? ASCII.slice(start, start + size) : `${id}:${ASCII.slice(start, start + size - 10)}`;
}

type Random = (below: number) => number;

function randomFrom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

class Scenario {
  readonly route: Route;
  readonly expected: Expected[][] = [];
  readonly dropped = new Set<string>();
  readonly random: Random;
  readonly #subscribers = new Map(TOPICS.map((topic) => [topic, new Set<number>()]));
  /** Those that were subscribed to any topic at any time: they may publish. */
  readonly #known = new Set<number>();
  #pairs: Pair[] = [];
  #index = new Map<WebSocket, number>();
  #nextId = 0;
  #minSize: number;
  #largeShare: number;
  /** Scripts that were started from a client's message and have not run yet. */
  #outstanding = 0;

  constructor(seed: number, maxBackpressure: number, minSize = 0, largeShare = 4) {
    this.random = randomFrom(seed);
    this.#minSize = minSize;
    this.#largeShare = largeShare;
    const behavior: WebSocketBehavior = {
      maxBackpressure,
      message: (ws) => {
        this.#outstanding--;
        this.#burst(this.#index.get(ws)!);
      },
      dropped: (ws, message) => {
        this.dropped.add(`${this.#index.get(ws)} ${Buffer.from(message).readUInt32LE()}`);
      },
    };
    this.route = new Route(behavior);
  }

  async run(steps: number): Promise<void> {
    this.#pairs = await this.route.pairs(CLIENTS);
    this.#pairs.forEach(({ ws }, i) => {
      this.#index.set(ws, i);
      this.expected.push([]);
    });
    for (let step = 0; step < steps; step++) {
      this.#start();
      if (this.random(3) === 0) await this.#pause();
    }
    await until(() => this.#outstanding === 0, 'all scripts have run');
    await sleep(2);
  }

  /** Everything each client got. */
  async received(): Promise<ServerFrame[][]> {
    for (const { client } of this.#pairs) client.resume();
    // A blocked socket could drop the end mark.
    await until(() => this.#pairs.every(({ ws }) => ws.getBufferedAmount() === 0), 'nothing waits any more');
    return Promise.all(
      this.#pairs.map(async ({ ws, client }) => {
        const frames: ServerFrame[] = [];
        ws.send('the end');
        for (;;) {
          const frame = await client.frame();
          if (frame.opcode === 1 && frame.payload.toString() === 'the end') return frames;
          frames.push(frame);
        }
      }),
    );
  }

  /** Has a burst of calls made from one of the places that calls come from. */
  #start(): void {
    const place = this.random(7);
    if (place === 0) this.#burst(-1);
    else if (place === 1) setTimeout(() => this.#later(), this.random(3));
    else if (place === 2) setImmediate(() => this.#later());
    else if (place === 3) void Promise.resolve().then(() => this.#later());
    else if (place === 4) process.nextTick(() => this.#later());
    else {
      const { client } = this.#pairs[this.random(CLIENTS)]!;
      const count = 1 + this.random(3);
      this.#outstanding += count;
      client.send(...Array.from({ length: count }, () => text('go')));
      return;
    }
    if (place > 0) this.#outstanding++;
  }

  #later(): void {
    this.#outstanding--;
    this.#burst(-1);
  }

  #pause(): Promise<void> {
    if (this.random(2) === 0) return sleep(this.random(3));
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  /** Some calls in a row; `self` is the client whose handler this is, or -1. */
  #burst(self: number): void {
    for (let i = 1 + this.random(8); i > 0; i--) this.#call(self);
  }

  #call(self: number): void {
    const who = self >= 0 && this.random(2) === 0 ? self : this.random(CLIENTS);
    const { ws, client } = this.#pairs[who]!;
    const topic = TOPICS[this.random(TOPICS.length)]!;
    const members = this.#subscribers.get(topic)!;
    switch (this.random(12)) {
      case 0:
      case 1:
        expect(ws.subscribe(topic)).toBe(true);
        this.#known.add(who);
        members.add(who);
        break;
      case 2:
        expect(ws.unsubscribe(topic)).toBe(members.delete(who));
        break;
      case 3:
      case 4:
        this.#send(who);
        break;
      case 5:
        ws.cork(() => {
          for (let i = this.random(4); i > 0; i--) this.#call(who);
        });
        break;
      case 6:
        if (this.random(2) === 0) client.pause();
        else client.resume();
        break;
      case 7:
      case 8:
      case 9:
        this.#publish(topic, members, who);
        break;
      default:
        this.#publish(topic, members, -1);
    }
    expect(this.route.app.numSubscribers(topic)).toBe(members.size);
  }

  #send(to: number): void {
    const message = this.#message();
    this.expected[to]!.push(message);
    this.#pairs[to]!.ws.send(this.#content(message), message.isBinary);
  }

  #publish(topic: string, members: Set<number>, from: number): void {
    const message = this.#message();
    const mayPublish = from < 0 || this.#known.has(from);
    const others = [...members].filter((member) => member !== from);
    const wasSent =
      from < 0
        ? this.route.app.publish(topic, this.#content(message), message.isBinary)
        : this.#pairs[from]!.ws.publish(topic, this.#content(message), message.isBinary);
    expect(wasSent).toBe(mayPublish && others.length > 0);
    if (wasSent) for (const member of others) this.expected[member]!.push(message);
  }

  #content(message: Expected): string | Uint8Array {
    return message.isBinary ? payloadOf(message) : textOf(message.id, message.size);
  }

  #message(): Expected {
    const kind = this.random(100);
    let size = this.random(200);
    if (kind < this.#largeShare) size = this.random(MAX_SIZE);
    else if (kind < 15) size = 14_000 + this.random(5000);
    else if (kind < 30) size = this.random(6000);
    else if (kind < 40) size = 0;
    const isBinary = this.#minSize > 0 || this.random(2) === 0;
    return { id: this.#nextId++, size: Math.max(size, this.#minSize), isBinary };
  }
}

let scenario: Scenario | null = null;
afterEach(async () => {
  await scenario?.route.stop();
  scenario = null;
});

function same({ opcode, payload }: ServerFrame, message: Expected): boolean {
  return (opcode === 2) === message.isBinary && Buffer.compare(payload, payloadOf(message)) === 0;
}

describe('every client gets exactly what the model says, in its order', () => {
  test.each(Array.from({ length: 12 }, (_, i) => i + 1))('run %i', async (seed) => {
    scenario = new Scenario(seed, 0);
    await scenario.run(150);
    const received = await scenario.received();
    let total = 0;
    received.forEach((frames, i) => {
      const expected = scenario!.expected[i]!;
      const wrong = frames.findIndex((frame, at) => expected[at] === undefined || !same(frame, expected[at]));
      expect(wrong, `client ${i} got something else than the model at`).toBe(-1);
      expect(frames.length, `messages of client ${i}`).toBe(expected.length);
      total += frames.length;
    });
    expect(total).toBeGreaterThan(300);
    expect(scenario.dropped.size).toBe(0);
  });
});

test('readers that do not keep up get all but what their dropped handler was told of, still in order', async () => {
  let dropped = 0;
  for (let seed = 101; seed <= 104; seed++) {
    scenario = new Scenario(seed, 30_000, 4, 60);
    await scenario.run(150);
    const received = await scenario.received();
    received.forEach((frames, i) => {
      const expected = scenario!.expected[i]!.filter(({ id }) => !scenario!.dropped.has(`${i} ${id}`));
      const wrong = frames.findIndex((frame, at) => expected[at] === undefined || !same(frame, expected[at]));
      expect(wrong, `client ${i} got something else than the model at`).toBe(-1);
      expect(frames.length, `messages of client ${i}`).toBe(expected.length);
    });
    dropped += scenario.dropped.size;
    await scenario.route.stop();
  }
  expect(dropped).toBeGreaterThan(20);
});
