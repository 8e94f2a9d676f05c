import { readdirSync, readFileSync } from 'node:fs';
import { type Server, serve } from 'millrace';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClientMessage, ServerMessage } from '../../../examples/chat.js';
import { expectPageFile, UNSAFE_MARKUP, UNSAFE_SCRIPT } from '../../support/browser/example-page.ts';
import { Client } from '../../support/clients/clients.ts';
import { EXAMPLES } from '../../support/servers/millrace-process.ts';
import { within } from '../../support/tools/deadline.ts';

const HOST = '127.0.0.1';

/** The tests of each example. A new example needs a row. */
const TESTS: Record<string, () => void> = { 'chat.js': testChat, 'echo.js': testEcho };
/** Examples whose tests are a file of their own. */
const TESTED_ELSEWHERE = ['ticker.js', 'worker-threads.js', 'relay.js', 'stomp-chat.js'];

describe.each(Object.entries(TESTS))('examples/%s', (_name, tests) => {
  tests();
});

test('every example is tested', () => {
  const files = readdirSync(EXAMPLES).filter((name) => name.endsWith('.js'));
  expect(files.sort()).toEqual([...Object.keys(TESTS), ...TESTED_ELSEWHERE].sort());
});

function testEcho(): void {
  const MIB = 1024 * 1024;
  let server: Server;
  beforeAll(async () => {
    process.env['MAX_PAYLOAD'] = String(MIB);
    server = await serve({ app: new URL('echo.js', EXAMPLES), port: 0, host: HOST, shards: 2 });
    delete process.env['MAX_PAYLOAD'];
  });
  afterAll(() => server.close({ drain: 0 }));

  test('200 clients of ws on two shards get all back: text, binary, 1 MiB, fragments and pings', async () => {
    const clients: Client[] = [];
    for (let i = 0; i < 200; i++) clients.push(await Client.connect(`ws://${HOST}:${server.port}/`));
    for (const { webSockets } of server.stats().shards) expect(webSockets).toBeGreaterThan(80);
    const large = Buffer.alloc(MIB, 'mill');
    const talk = async (client: Client, i: number): Promise<void> => {
      const pong = new Promise<Buffer>((resolve) => {
        client.socket.once('pong', resolve);
      });
      client.send(`text ${i} größer €`);
      client.send(new Uint8Array([i, 0, 255]));
      client.socket.send('frag', { fin: false });
      client.socket.ping(`ping ${i}`);
      client.socket.send('ment', { fin: true });
      expect(await client.next()).toBe(`text ${i} größer €`);
      expect(await client.next()).toEqual(new Uint8Array([i, 0, 255]));
      expect(await client.next()).toBe('fragment');
      expect(String(await within(pong, 'the pong'))).toBe(`ping ${i}`);
      if (i % 10 !== 0) return;
      const answer = await client.ask(large);
      expect(large.equals(answer as Uint8Array)).toBe(true);
    };
    await Promise.all(clients.map(talk));
    const ends = await Promise.all(clients.map((client) => client.close()));
    expect(new Set(ends.map(({ code }) => code))).toEqual(new Set([1000]));
  });

  test('a browser is told what this is', async () => {
    expect(await (await fetch(`http://${HOST}:${server.port}/`)).text()).toContain('WebSocket');
  });
}

/** A client of the chat, which waits for the messages of one type and takes no notice of others. */
class Guest {
  readonly client: Client;
  /** All messages so far. */
  readonly seen: ServerMessage[] = [];
  shard = -1;

  constructor(client: Client) {
    this.client = client;
  }

  static async enter(url: string, name: string, room: string): Promise<Guest> {
    const guest = new Guest(await Client.connect(url));
    guest.shard = (await guest.next('welcome')).shard;
    guest.send({ type: 'join', name, room });
    await guest.next('joined');
    return guest;
  }

  send(message: ClientMessage): void {
    this.client.send(JSON.stringify(message));
  }

  say(text: string): void {
    this.send({ type: 'say', text });
  }

  async next<T extends ServerMessage['type']>(type: T): Promise<Extract<ServerMessage, { type: T }>> {
    for (;;) {
      const message = JSON.parse((await this.client.next()) as string) as ServerMessage;
      this.seen.push(message);
      if (message.type === type) return message as Extract<ServerMessage, { type: T }>;
    }
  }
}

function testChat(): void {
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = await serve({ app: new URL('chat.js', EXAMPLES), port: 0, host: HOST, shards: 2 });
    url = `ws://${HOST}:${server.port}/chat`;
  });
  afterAll(() => server.close({ drain: 0 }));

  test.each([
    ['/', 'text/html; charset=utf-8', 'chat/index.html'],
    ['/client.js', 'text/javascript; charset=utf-8', 'chat/client.js'],
    ['/style.css', 'text/css; charset=utf-8', 'chat/style.css'],
  ])('%s is served, and may load nothing from elsewhere', async (path, type, file) => {
    await expectPageFile(`http://${HOST}:${server.port}${path}`, type, file);
  });

  test('no other path is there', async () => {
    for (const path of ['/chat.js', '/chat/index.html', '/../package.json', '/%2e%2e/package.json']) {
      expect((await fetch(`http://${HOST}:${server.port}${path}`)).status).toBe(404);
    }
  });

  test('the page puts in what others write as text only', () => {
    const source = readFileSync(new URL('chat/client.js', EXAMPLES), 'utf8');
    expect(source).not.toMatch(UNSAFE_SCRIPT);
    expect(readFileSync(new URL('chat/index.html', EXAMPLES), 'utf8')).not.toMatch(UNSAFE_MARKUP);
  });

  test('a page of another site is refused', async () => {
    await expect(Client.connect(url, { origin: 'http://evil.example' })).rejects.toThrow('403');
    const own = await Client.connect(url, { origin: `http://${HOST}:${server.port}` });
    await own.close();
  });

  test('a message reaches everybody in the room, whatever their shard, and nobody else', async () => {
    const guests = await Promise.all(['a', 'b', 'c', 'd'].map((name) => Guest.enter(url, name, 'one')));
    const stranger = await Guest.enter(url, 'e', 'two');
    expect(new Set(guests.map(({ shard }) => shard))).toEqual(new Set([0, 1]));
    for (const [i, guest] of guests.entries()) {
      guest.say(`hello ${i}`);
      for (const other of guests) {
        const { name, text, shard, time } = await other.next('message');
        expect({ name, text, shard }).toEqual({ name: 'abcd'[i], text: `hello ${i}`, shard: guest.shard });
        expect(Math.abs(Date.now() - time)).toBeLessThan(60_000);
      }
    }
    stranger.say('alone');
    expect((await stranger.next('message')).text).toBe('alone');
    expect(stranger.seen.filter(({ type }) => type === 'message')).toHaveLength(1);
    await Promise.all([...guests, stranger].map(({ client }) => client.close()));
  });

  test('names, rooms and texts are taken as they are, markup and all', async () => {
    const guest = await Guest.enter(url, '<b>Ada</b>', '<script>');
    guest.say('<img src=x onerror=alert(1)> & "quotes" 😀');
    expect(await guest.next('message')).toMatchObject({
      name: '<b>Ada</b>',
      text: '<img src=x onerror=alert(1)> & "quotes" 😀',
    });
    await guest.client.close();
  });

  test('who comes, leaves and moves to another room is told, and counted', async () => {
    const guest = await Guest.enter(url, 'Ada', 'hall');
    const other = await Guest.enter(url, 'Bob', 'hall');
    expect(await guest.next('arrived')).toEqual({ type: 'arrived', name: 'Bob', shard: other.shard });
    const count = async (people: number): Promise<void> => {
      while ((await guest.next('presence')).people !== people);
    };
    await count(2);
    other.send({ type: 'join', name: 'Robert', room: 'Attic' });
    expect((await other.next('joined')).room).toBe('attic');
    expect(await guest.next('left')).toEqual({ type: 'left', name: 'Bob', shard: other.shard });
    await count(1);
    other.send({ type: 'join', name: 'Robert', room: 'hall' });
    expect((await guest.next('arrived')).name).toBe('Robert');
    await count(2);
    await other.client.close();
    expect((await guest.next('left')).name).toBe('Robert');
    await count(1);
    await guest.client.close();
  });

  test.each<[string, unknown, RegExp]>([
    ['a name of 25 characters', { type: 'join', name: 'x'.repeat(25), room: 'r' }, /A name has 1 to 24/],
    ['an empty name', { type: 'join', name: ' \t', room: 'r' }, /A name has/],
    ['a name of nothing visible', { type: 'join', name: '\u200b\u2060', room: 'r' }, /A name has/],
    ['a name with a control character', { type: 'join', name: 'a\u0007b', room: 'r' }, /A name has/],
    ['a name that is no text', { type: 'join', name: { toString: 1 }, room: 'r' }, /A name has/],
    ['a room of 25 characters', { type: 'join', name: 'a', room: 'x'.repeat(25) }, /A room's name has/],
    ['no room', { type: 'join', name: 'a' }, /A room's name has/],
    ['a message before a room', { type: 'say', text: 'x' }, /Enter a room first/],
    ['an unknown type', { type: 'shout' }, /no message of this chat/],
    ['a list', [1], /no message of this chat/],
    ['null', null, /no message of this chat/],
  ])('%s is refused', async (_what, message, reason) => {
    const guest = new Guest(await Client.connect(url));
    guest.client.send(JSON.stringify(message));
    expect((await guest.next('refused')).reason).toMatch(reason);
    await guest.client.close();
  });

  test('what is no JSON is refused, and so is binary', async () => {
    const guest = new Guest(await Client.connect(url));
    for (const message of ['', '{', 'x', new Uint8Array([123, 125])]) {
      guest.client.send(message);
      expect((await guest.next('refused')).reason).toMatch(/no message of this chat/);
    }
    await guest.client.close();
  });

  test('24 characters of a name and 500 of a message are taken, however many bytes they have; 501 are not', async () => {
    const guest = await Guest.enter(url, '😀'.repeat(24), 'long');
    guest.say('😀'.repeat(500));
    expect((await guest.next('message')).text).toBe('😀'.repeat(500));
    guest.say('x'.repeat(501));
    expect((await guest.next('refused')).reason).toMatch(/1 to 500 characters/);
    guest.say('two\nlines');
    expect((await guest.next('refused')).reason).toMatch(/on one line/);
    await guest.client.close();
  });

  test('a message of more than 4 KiB closes the connection with 1009', async () => {
    const guest = await Guest.enter(url, 'Ada', 'huge');
    guest.say('x'.repeat(5000));
    expect((await guest.client.closed()).code).toBe(1009);
  });

  test('ten messages at once are taken; more are refused until there was time', async () => {
    const guest = await Guest.enter(url, 'Fast', 'quick');
    const sent = 30;
    for (let i = 0; i < sent; i++) guest.say(`${i}`);
    const counts = { message: 0, refused: 0 };
    while (counts.message + counts.refused < sent) {
      const { type } = JSON.parse((await guest.client.next()) as string) as ServerMessage;
      if (type === 'message' || type === 'refused') counts[type]++;
    }
    // One of ten was needed to join; a slow machine may have given a few more.
    expect(counts.message).toBeGreaterThanOrEqual(9);
    expect(counts.refused).toBeGreaterThan(0);
    await guest.client.close();
  });

  test('who does not stop is closed with 1008, and the others chat on', async () => {
    const calm = await Guest.enter(url, 'Calm', 'storm');
    const flood = await Guest.enter(url, 'Flood', 'storm');
    for (let i = 0; i < 500; i++) flood.say('x');
    expect(await flood.client.closed()).toEqual({ code: 1008, reason: 'too many messages' });
    calm.say('quiet again');
    let text = '';
    while (text !== 'quiet again') ({ text } = await calm.next('message'));
    await calm.client.close();
  });
}
