import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { CLIENT_KEY, handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { MODES, type Running, startModule } from '../../support/servers/server.ts';

describe.each(MODES)('the opening handshake in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    running = await startModule(mode, 'main-app.js');
  });
  afterAll(() => running.stop());

  /** The status of the answer to a handshake. */
  async function statusOf(path: string, headers: Record<string, string | null> = {}): Promise<number> {
    const client = await RawClient.connect(running.port);
    client.write(handshakeText(path, headers));
    const { status } = await client.response();
    client.destroy();
    return status;
  }

  test('the 101 carries the accept value of RFC 6455 §1.3', async () => {
    const client = await RawClient.connect(running.port);
    client.write(handshakeText('/echo', { 'Sec-WebSocket-Key': CLIENT_KEY }));
    const { status, headers } = await client.response();
    expect(status).toBe(101);
    expect(headers.get('sec-websocket-accept')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    expect(headers.get('upgrade')?.toLowerCase()).toBe('websocket');
    expect(headers.get('connection')?.toLowerCase()).toBe('upgrade');
    expect(headers.has('sec-websocket-protocol')).toBe(false);
    expect(headers.has('sec-websocket-extensions')).toBe(false);
    client.destroy();
  });

  test('a route without protocols takes the first one the client offers', async () => {
    const client = await Client.connect(running.ws('/any-protocol'), {}, ['first', 'second']);
    expect(client.socket.protocol).toBe('first');
    expect(await client.next()).toBe('first,second');
    await client.close();
  });

  test("a route with protocols takes the client's first choice among them", async () => {
    const client = await Client.connect(running.ws('/protocols'), {}, ['other', 'chat.v1', 'chat.v2']);
    expect(client.socket.protocol).toBe('chat.v1');
    await client.close();
    const undici = await Client.connectUndici(running.ws('/protocols'), {}, ['chat.v2']);
    expect(undici.socket.protocol).toBe('chat.v2');
    await undici.close();
  });

  test('a route with protocols opens without one when the client offers none of them', async () => {
    const client = await RawClient.connect(running.port);
    client.write(handshakeText('/protocols', { 'Sec-WebSocket-Protocol': 'other' }));
    const { status, headers } = await client.response();
    expect(status).toBe(101);
    expect(headers.has('sec-websocket-protocol')).toBe(false);
    client.destroy();
  });

  test('a list of origins lets in those pages alone, and clients that are no page', async () => {
    expect(await statusOf('/list-origin', { Origin: 'https://good.example' })).toBe(101);
    expect(await statusOf('/list-origin', { Origin: 'http://localhost:8080' })).toBe(101);
    expect(await statusOf('/list-origin')).toBe(101);
    for (const Origin of [
      'https://evil.example',
      'http://good.example',
      'https://good.example:8443',
      'https://good.example.evil.example',
      'https://evil-good.example',
      'http://localhost',
      'null',
      '',
    ]) {
      expect(await statusOf('/list-origin', { Origin }), Origin).toBe(Origin === '' ? 101 : 403);
    }
  });

  test("'same-origin' lets in the pages of the host that is asked", async () => {
    const Host = `127.0.0.1:${running.port}`;
    expect(await statusOf('/same-origin', { Host, Origin: `http://${Host}` })).toBe(101);
    expect(await statusOf('/same-origin', { Host })).toBe(101);
    expect(await statusOf('/same-origin', { Host, Origin: 'http://127.0.0.1:1' })).toBe(403);
    expect(await statusOf('/same-origin', { Host, Origin: 'https://evil.example' })).toBe(403);
  });

  test('a refused origin is told the reason, and the connection ends', async () => {
    await expect(
      Client.connect(running.ws('/list-origin'), { origin: 'https://evil.example' }),
    ).rejects.toThrow('403');
    const client = await RawClient.connect(running.port);
    client.write(handshakeText('/list-origin', { Origin: 'https://evil.example' }) + handshakeText('/echo'));
    const { status, headers } = await client.response();
    expect([status, headers.get('connection')]).toEqual([403, 'close']);
    expect(await client.readToEnd()).toHaveLength(0);
    client.destroy();
  });

  test('bad handshakes are refused with the status of their fault', async () => {
    expect(await statusOf('/echo', { 'Sec-WebSocket-Version': '8' })).toBe(426);
    expect(await statusOf('/echo', { 'Sec-WebSocket-Version': null })).toBe(426);
    expect(await statusOf('/echo', { 'Sec-WebSocket-Key': null })).toBe(400);
    expect(await statusOf('/echo', { 'Sec-WebSocket-Key': 'c2hvcnQ=' })).toBe(400);
    expect(await statusOf('/echo', { Connection: 'keep-alive' })).toBe(400);
    expect(await statusOf('/echo', { 'Content-Length': '5' })).toBe(400);
    expect(await statusOf('/echo', { Host: null })).toBe(400);
    expect(await statusOf('/nowhere')).toBe(404);
    expect(await statusOf('/echo', { Connection: 'keep-alive, Upgrade' })).toBe(101);
  });

  test('a wrong version is told the right one, and what to upgrade to', async () => {
    const client = await RawClient.connect(running.port);
    client.write(handshakeText('/echo', { 'Sec-WebSocket-Version': '8' }) + handshakeText('/echo'));
    const { status, headers } = await client.response();
    const fields = ['upgrade', 'connection', 'sec-websocket-version'].map((name) => headers.get(name));
    expect([status, ...fields]).toEqual([426, 'websocket', 'Upgrade, close', '13']);
    expect(await client.readToEnd()).toHaveLength(0);
    client.destroy();
  });

  test('a client of Node.js reads the refusal of a version as an answer, not as an upgrade', async () => {
    const refused = request(running.http('/echo'), {
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Key': CLIENT_KEY,
        'Sec-WebSocket-Version': '8',
      },
    });
    refused.end();
    const [response] = (await once(refused, 'response')) as [IncomingMessage];
    expect([response.statusCode, response.headers.upgrade]).toEqual([426, 'websocket']);
    expect(await textOf(response)).toBe('Sec-WebSocket-Version must be 13\n');
  });

  test('open gets the upgrade request with parameters, query and headers, and may keep it', async () => {
    const client = await Client.connect(running.ws('/rooms/blue/7?name=J%C3%BCrgen+K&x'), {
      headers: { 'X-Custom': 'of mine' },
    });
    expect(JSON.parse((await client.next()) as string)).toMatchObject({
      url: '/rooms/blue/7',
      method: 'get',
      query: 'name=J%C3%BCrgen+K&x',
      name: 'Jürgen K',
      missing: null,
      room: 'blue',
      seat: '7',
      custom: 'of mine',
      headers: { 'x-custom': 'of mine', 'sec-websocket-version': '13' },
    });
    expect(await client.next()).toBe('/rooms/blue/7');
    await client.close();
  });

  test('a handshake that arrives byte by byte is answered', async () => {
    const client = await RawClient.connect(running.port);
    for (const char of handshakeText('/echo')) {
      await new Promise((resolve) => client.socket.write(char, resolve));
    }
    expect((await client.response()).status).toBe(101);
    expect(await client.close(1000)).toBe(1000);
  });

  test('names of Object.prototype are headers, parameters and query keys like any other', async () => {
    const client = await Client.connect(running.ws('/rooms/__proto__/constructor?name=toString'), {
      headers: { constructor: 'c', 'x-custom': '__proto__' },
    });
    expect(JSON.parse((await client.next()) as string)).toMatchObject({
      room: '__proto__',
      seat: 'constructor',
      name: 'toString',
      custom: '__proto__',
    });
    await client.close();
  });
});
