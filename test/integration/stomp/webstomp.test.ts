import { afterEach, describe, expect, it } from 'vitest';
import webstomp, { type Client, type Frame, type Message } from 'webstomp-client';
import { WebSocket } from 'ws';
import { until } from '../../support/tools/deadline.ts';
import { WebSocketBroker } from './websocket-broker.ts';

let broker: WebSocketBroker;
const sockets: WebSocket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate();
  broker.close();
});

type Headers = Record<string, string>;

/** Headers that its types do not name. */
const headersOf = (headers: Headers): Headers => headers;

/** A client of one version, what it was told, and its RECEIPTs. */
class Talker {
  readonly client: Client;
  readonly receipts: string[] = [];
  readonly errors: string[] = [];
  readonly #version: string;

  constructor(version: string, binary = false) {
    const socket = new WebSocket(broker.url, [`v1${version.slice(2)}.stomp`]);
    sockets.push(socket);
    this.#version = version;
    this.client = webstomp.over(socket, { debug: false, heartbeat: false, binary });
    this.client.onreceipt = ({ headers }: Frame) =>
      this.receipts.push((headers as Headers)['receipt-id'] ?? '');
  }

  static async connected(version: string, binary = false): Promise<Talker> {
    const talker = new Talker(version, binary);
    await talker.connect();
    return talker;
  }

  async connect(headers: Record<string, string> = {}): Promise<boolean> {
    let isConnected = false;
    this.client.connect(
      { 'accept-version': this.#version, ...headers },
      () => {
        isConnected = true;
      },
      (error) => {
        if ('command' in error) this.errors.push((error.headers as Headers)['message'] ?? '');
      },
    );
    await until(() => isConnected || this.errors.length > 0, 'it is connected, or refused');
    return isConnected;
  }

  async confirmed(receipt: string): Promise<void> {
    await until(() => this.receipts.includes(receipt), `the RECEIPT ${receipt}`);
  }
}

describe.each(['1.0', '1.1', '1.2'])('webstomp-client in STOMP %s', (version) => {
  it.each([
    ['text', false],
    ['binary', true],
  ])('sends and gets %s, subscribes and unsubscribes, and leaves', async (_kind, binary) => {
    broker = new WebSocketBroker();
    const { client, ...talker } = await Talker.connected(version, binary);
    const waiting = new Talker(version);
    const messages: Message[] = [];
    const subscription = client.subscribe('/topic/a', (message) => messages.push(message));
    client.send('/topic/a', 'hällo ☃', { colour: 'red' });
    // Two of its messages of 16 KiB each, at least.
    const large = 'wörds '.repeat(6000);
    client.send('/topic/a', large);
    await until(() => messages.length === 2, 'both have come');
    expect(messages.map(({ body }) => body === large || body)).toEqual(['hällo ☃', true]);
    expect(messages[0]!.headers).toMatchObject({ colour: 'red', destination: '/topic/a' });
    subscription.unsubscribe();
    client.send('/topic/a', 'late', headersOf({ receipt: 'r' }));
    await until(() => talker.receipts.includes('r'), 'it is confirmed');
    expect(messages).toHaveLength(2);
    let isOver = false;
    client.disconnect(() => {
      isOver = true;
    });
    await until(() => isOver, 'it has left');
    expect(await waiting.connect()).toBe(true);
  });

  it('acknowledges, and does what is in a transaction', async () => {
    broker = new WebSocketBroker();
    const talker = await Talker.connected(version);
    const { client } = talker;
    const messages: Message[] = [];
    client.subscribe('/queue/a', (message) => messages.push(message), { ack: 'client' });
    for (const token of ['1', '2', '3']) client.send('/queue/a', token, { token });
    await until(() => messages.length === 3, 'all have come');
    client.begin('t');
    messages[1]!.ack(headersOf({ transaction: 't' }));
    client.send('/queue/a', 'more', { token: '4', transaction: 't' });
    client.send('/queue/b', '', headersOf({ receipt: 'r' }));
    await talker.confirmed('r');
    expect([broker.settled, messages.length]).toEqual([[], 3]);
    client.commit('t');
    client.begin('u');
    client.send('/queue/a', 'never', { transaction: 'u' });
    client.abort('u');
    await until(() => messages.length === 4, 'the fourth has come');
    expect([broker.settled, messages[3]!.body]).toEqual([['1', '2'], 'more']);
    if (version !== '1.0') {
      messages[2]!.nack();
      await until(() => broker.settled.length === 3, 'it is settled');
      expect(broker.settled[2]).toBe('not 3');
    }
  });

  it('is told what it may not', async () => {
    broker = new WebSocketBroker();
    broker.onConnect = ({ login }) => login === 'me';
    const refused = new Talker(version);
    expect(await refused.connect({ login: 'you', passcode: 'x' })).toBe(false);
    expect(refused.errors).toEqual(['access refused']);
    const talker = new Talker(version);
    expect(await talker.connect({ login: 'me', passcode: 'x' })).toBe(true);
    talker.client.abort('none');
    await until(() => talker.errors.length > 0, 'an ERROR');
    expect(talker.errors).toEqual(['there is no such transaction']);
    expect([broker.sessions.size, broker.ended]).toEqual([0, 2]);
  });

  it('takes no header of a publisher for one of the frame', async () => {
    broker = new WebSocketBroker();
    const victim = await Talker.connected(version);
    const messages: Message[] = [];
    victim.client.subscribe('/topic/a', (message) => messages.push(message), headersOf({ receipt: 's' }));
    await victim.confirmed('s');
    // Names that webstomp-client trims, and whose escapes mean nothing in 1.0.
    const attacker = new WebSocket(broker.url);
    sockets.push(attacker);
    await new Promise((resolve) => attacker.once('open', resolve));
    attacker.send('CONNECT\naccept-version:1.2\nhost:h\n\n\0');
    const body = 'all of it';
    for (const name of ['content-length ', 'content-length\\c', 'content-length\\n', '\\ncontent-length']) {
      attacker.send(
        `SEND\ndestination:/topic/a\n${name}:1\nother:a\\n\\nb\ncontent-length:${body.length}\n\n${body}\0`,
      );
    }
    await until(() => messages.length === 4, 'all have come');
    expect(messages.map((message) => [message.headers['destination'], message.body])).toEqual(
      Array.from({ length: 4 }, () => ['/topic/a', body]),
    );
  });
});
