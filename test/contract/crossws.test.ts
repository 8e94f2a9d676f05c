import uWS from 'uWebSockets.js';
import newest from 'crossws/adapters/uws';
import before from 'crossws-0.3/adapters/uws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Client } from '../support/clients/clients.ts';

// 0.3 reads the request after an await.
describe.each([
  ['0.3', before as unknown as typeof newest],
  ['0.4', newest],
])('crossws %s on its uWebSockets adapter', (version, uwsAdapter) => {
  const app = uWS.App();
  const closed: [string, number | undefined][] = [];
  let base = '';

  beforeAll(() => {
    const adapter = uwsAdapter({
      hooks: {
        async upgrade(request) {
          const { searchParams, pathname } = new URL(request.url);
          if (searchParams.has('forbidden')) return new Response('not here', { status: 403 });
          await Promise.resolve();
          const context = { name: searchParams.get('name') ?? '' };
          const headers = { 'x-path': pathname };
          if (version !== '0.3') return { headers, context };
          Object.assign(request.context!, context);
          return { headers };
        },
        open(peer) {
          peer.subscribe('room');
          peer.send(`hello ${String(peer.context['name'])} from ${peer.remoteAddress}`);
        },
        message(peer, message) {
          const text = message.text();
          if (text === 'bytes') peer.send(new Uint8Array([1, 2, 3]));
          else if (text.startsWith('all ')) peer.publish('room', text.slice(4));
          else if (text === 'end') peer.close(4001, 'as you wish');
          else if (text === 'leave') peer.unsubscribe('room');
          else peer.send({ text, header: peer.request.headers.get('x-header') });
        },
        close(peer, { code }) {
          closed.push([String(peer.context['name']), code]);
        },
      },
    });
    app.ws('/*', adapter.websocket).listen('127.0.0.1', 0, (socket) => {
      if (socket) base = `ws://127.0.0.1:${uWS.us_socket_local_port(socket)}`;
    });
    expect(base).toMatch(/:\d+$/);
  });
  afterAll(() => {
    app.close();
  });

  it('opens with a context, headers and the address of the peer', async () => {
    const socket = new WebSocket(`${base}/some/path?name=ada`);
    const headers = new Promise<unknown>((resolve) =>
      socket.once('upgrade', (response) => resolve(response.headers['x-path'])),
    );
    const first = new Promise<string>((resolve) =>
      socket.once('message', (data: Buffer) => resolve(data.toString())),
    );
    expect(await headers).toBe('/some/path');
    expect(await first).toBe('hello ada from 127.0.0.1');
    socket.close(1000);
    await new Promise((resolve) => socket.once('close', resolve));
    expect(closed).toContainEqual(['ada', 1000]);
  });

  it('answers with objects and bytes', async () => {
    const client = await Client.connect(`${base}/?name=b`, { headers: { 'X-Header': 'seen' } });
    await client.next();
    expect(JSON.parse(String(await client.ask('Grüße')))).toEqual({ text: 'Grüße', header: 'seen' });
    expect(await client.ask('bytes')).toEqual(new Uint8Array([1, 2, 3]));
    await client.close();
  });

  it('publishes to the others', async () => {
    const [a, b, c] = await Promise.all(
      ['a', 'b', 'c'].map((name) => Client.connect(`${base}/?name=${name}`)),
    );
    for (const client of [a!, b!, c!]) await client.next();
    c!.send('leave');
    await c!.ask('left');
    a!.send('all hear this');
    expect(await b!.next()).toBe('hear this');
    expect(JSON.parse(String(await c!.ask('x')))).toEqual({ text: 'x', header: null });
    for (const client of [a!, b!, c!]) await client.close();
  });

  it('refuses with the response of the upgrade hook', async () => {
    await expect(Client.connect(`${base}/?forbidden`)).rejects.toThrow('403');
  });

  it('closes with the code it is told', async () => {
    const client = await Client.connect(`${base}/?name=d`);
    await client.next();
    client.send('end');
    expect(await client.closed()).toMatchObject({ code: 4001, reason: 'as you wish' });
  });
});
