import uWS from 'uWebSockets.js';
import { Server } from 'socket.io';
import { Server as Server46 } from 'socket.io-4.6';
import { Server as Server47 } from 'socket.io-4.7';
import { Server as Server483 } from 'socket.io-4.8.3';
import { io as connect, type Socket } from 'socket.io-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

/** Events of one socket, to be awaited in order. */
class Peer {
  readonly socket: Socket;
  readonly #events: unknown[] = [];
  readonly #waiting: ((event: unknown) => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.onAny((...event: unknown[]) => {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#events.push(event);
      else waiting(event);
    });
  }

  static async open(port: number, transports: string[]): Promise<Peer> {
    const socket = connect(`http://127.0.0.1:${port}`, { transports, forceNew: true, reconnection: false });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('connect_error', reject);
    });
    return new Peer(socket);
  }

  next(): Promise<unknown> {
    if (this.#events.length > 0) return Promise.resolve(this.#events.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async isSilent(): Promise<void> {
    await this.socket.timeout(5000).emitWithAck('echo', 'still there?');
    expect(this.#events).toEqual([]);
  }
}

const VERSIONS = [
  ['4.6', Server46 as unknown as typeof Server],
  ['4.7', Server47 as unknown as typeof Server],
  ['4.8.3', Server483 as unknown as typeof Server],
  ['4.8.4', Server],
] as const;
const TRANSPORTS = [
  ['WebSocket', ['websocket']],
  ['polling', ['polling']],
  ['polling that becomes WebSocket', ['polling', 'websocket']],
] as const;
const CASES = VERSIONS.flatMap(([version, AnyServer]) =>
  TRANSPORTS.map(([name, transports]) => [version, name, AnyServer, transports] as const),
);

describe.each(CASES)('Socket.IO %s over %s', (_version, _name, AnyServer, transports) => {
  const app = uWS.App();
  const io = new AnyServer({ maxHttpBufferSize: 1e6 });
  const peers: Peer[] = [];
  let port = 0;

  beforeAll(() => {
    io.attachApp(app);
    io.on('connection', (socket) => {
      socket.on('echo', (...args: unknown[]) => {
        const answer = args.pop() as (...args: unknown[]) => void;
        answer(...args);
      });
      socket.on('join', async (room: string, done: () => void) => {
        await socket.join(room);
        done();
      });
      socket.on('leave', async (room: string, done: () => void) => {
        await socket.leave(room);
        done();
      });
      socket.on('say', (room: string, text: unknown) => socket.to(room).emit('said', text));
      socket.on('end me', () => socket.disconnect(true));
      socket.on('shout', (text: unknown) => io.emit('shouted', text));
    });
    app.listen('127.0.0.1', 0, (socket) => {
      if (socket) port = uWS.us_socket_local_port(socket);
    });
    expect(port).toBeGreaterThan(0);
  });
  afterEach(() => {
    for (const { socket } of peers.splice(0)) socket.disconnect();
  });
  afterAll(async () => {
    await io.close();
    app.close();
  });

  async function open(): Promise<Peer> {
    const peer = await Peer.open(port, [...transports]);
    peers.push(peer);
    return peer;
  }

  it('connects, and answers with what it was asked', async () => {
    const { socket } = await open();
    expect(await socket.emitWithAck('echo', 'Grüße', 7, { a: [1, null] })).toBe('Grüße');
    const binary = (await socket.emitWithAck('echo', Buffer.from([0, 1, 2, 255]))) as Buffer;
    expect(Array.from(new Uint8Array(binary))).toEqual([0, 1, 2, 255]);
  });

  it('carries large messages', async () => {
    const { socket } = await open();
    const text = 'märz '.repeat(60_000);
    expect(await socket.emitWithAck('echo', text)).toBe(text);
  });

  it('sends to a room, but not to the sender and not to those who left', async () => {
    const [speaker, member, stranger, former] = [await open(), await open(), await open(), await open()];
    for (const { socket } of [speaker, member, former]) await socket.emitWithAck('join', 'room');
    await former.socket.emitWithAck('leave', 'room');
    speaker.socket.emit('say', 'room', 'hello');
    speaker.socket.emit('say', 'room', Buffer.from('bytes'));
    expect(await member.next()).toEqual(['said', 'hello']);
    const [, bytes] = (await member.next()) as [string, Buffer];
    expect(Buffer.from(bytes).toString()).toBe('bytes');
    await Promise.all([speaker.isSilent(), stranger.isSilent(), former.isSilent()]);
  });

  it('broadcasts to all, in order', async () => {
    const all = [await open(), await open(), await open()];
    for (let i = 0; i < 20; i++) all[0]!.socket.emit('shout', i);
    for (const peer of all) {
      for (let i = 0; i < 20; i++) expect(await peer.next()).toEqual(['shouted', i]);
    }
  });

  it('tells the server when a client leaves', async () => {
    const left = new Promise<string>((resolve) => {
      io.once('connection', (socket) => socket.once('disconnect', resolve));
    });
    const { socket } = await open();
    socket.disconnect();
    expect(await left).toBe('client namespace disconnect');
  });

  it('tells the client when the server ends it', async () => {
    const { socket } = await open();
    const reason = new Promise<string>((resolve) => socket.once('disconnect', resolve));
    socket.emit('end me');
    expect(await reason).toBe('io server disconnect');
  });

  it('ends up on the transport it should', async () => {
    const { socket } = await open();
    const { engine } = socket.io;
    const wanted = transports.at(-1);
    if (engine.transport.name !== wanted) await new Promise((resolve) => engine.once('upgrade', resolve));
    expect(engine.transport.name).toBe(wanted);
    expect(await socket.emitWithAck('echo', 'after')).toBe('after');
  });
});
