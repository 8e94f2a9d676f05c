import { Room, type Client as RoomClient, Server } from '@colyseus/core';
import { Client, type Room as JoinedRoom } from '@colyseus/sdk';
import { uWebSocketsTransport } from '@colyseus/uwebsockets-transport';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const left: (number | undefined)[] = [];

class Chat extends Room {
  override onCreate(): void {
    this.onMessage('say', (client: RoomClient, text: string) => {
      this.broadcast('said', text, { except: client });
    });
    this.onMessage('echo', (client: RoomClient, message: unknown) => {
      client.send('echoed', message);
    });
    this.onMessage('bye', (client: RoomClient) => {
      client.leave(4001);
    });
  }
  override async onAuth(_client: RoomClient, options: { token?: string }): Promise<boolean> {
    await Promise.resolve();
    return options.token !== 'wrong';
  }
  override onLeave(_client: RoomClient, code?: number): void {
    left.push(code);
  }
}

describe('colyseus on its uWebSockets transport', () => {
  const transport = new uWebSocketsTransport({ maxPayloadLength: 1024 * 1024 });
  const server = new Server({ transport, greet: false, gracefullyShutdown: false });
  let client: Client;
  let base = '';

  beforeAll(async () => {
    server.define('chat', Chat);
    await server.listen(0, '127.0.0.1');
    const { port } = (transport as unknown as { _listeningSocket: { port: number } })._listeningSocket;
    base = `127.0.0.1:${port}`;
    client = new Client(`ws://${base}`);
  });
  afterAll(() => server.gracefullyShutdown(false));

  function message<T>(room: JoinedRoom, type: string): Promise<T> {
    return new Promise((resolve) => room.onMessage(type, resolve as (message: T) => void));
  }

  it('makes a room, brings its members together, and says to the others what one says', async () => {
    const a = await client.joinOrCreate('chat');
    const b = await client.joinOrCreate('chat');
    expect(b.roomId).toBe(a.roomId);
    const [said, echoed] = [message(b, 'said'), message(a, 'echoed')];
    a.onMessage('said', () => expect.fail('it said so itself'));
    a.send('say', 'Grüße');
    expect(await said).toBe('Grüße');
    const large = { list: Array.from({ length: 20_000 }, (_, i) => i), text: 'ü' };
    a.send('echo', large);
    expect(await echoed).toEqual(large);
    await Promise.all([a.leave(), b.leave()]);
    await expect.poll(() => left.splice(0), { interval: 2 }).toHaveLength(2);
  });

  it('sends a member away with a code', async () => {
    const room = await client.create('chat');
    const code = new Promise((resolve) => room.onLeave(resolve));
    room.reconnection.enabled = false;
    room.send('bye');
    expect(await code).toBe(4001);
  });

  it('refuses who is not allowed, and rooms that are not there', async () => {
    await expect(client.create('chat', { token: 'wrong' })).rejects.toThrow('onAuth failed');
    await expect(client.joinById('nothing')).rejects.toThrow('not found');
    const response = await fetch(`http://${base}/matchmake/create/none`, { method: 'POST', body: '{}' });
    expect(await response.json()).toMatchObject({ code: 520 });
  });

  it('answers a preflight', async () => {
    const headers = { origin: 'https://page.example' };
    const response = await fetch(`http://${base}/matchmake/create/chat`, { method: 'OPTIONS', headers });
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([
      204,
      'https://page.example',
    ]);
  });
});
