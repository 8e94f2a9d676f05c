import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { concat, pattern, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { framesBytes } from '../../support/protocol/frame-reader.ts';
import { MODES, type Running, startModule } from '../../support/servers/server.ts';

describe.each(MODES)('an upgrade handler in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    running = await startModule(mode, 'upgrade-app.js');
  });
  afterAll(() => running.stop());

  const NAME = { 'X-Name': 'Ada' };

  test('accepts at once, with headers of its own', async () => {
    const client = await RawClient.connect(running.port);
    client.write(handshakeText('/sync', NAME));
    const { status, headers } = await client.response();
    expect(status).toBe(101);
    expect([headers.get('x-extra'), headers.get('set-cookie')]).toEqual(['one', 'a=b']);
    expect(headers.get('sec-websocket-accept')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    expect(await client.text()).toBe('Ada at /sync, no id');
    expect(await client.close()).toBe(1000);
  });

  test('accepts later; open still gets the request', async () => {
    const client = await Client.connect(running.ws('/async/7?ms=5'), { headers: NAME });
    expect(await client.next()).toBe('Ada at /async/7, 7');
    expect(await client.ask('echo')).toBe('echo');
    await client.close();
  });

  test('chooses the subprotocol it names', async () => {
    const client = await Client.connect(running.ws('/sync'), { headers: NAME }, ['chat', 'other']);
    expect(client.socket.protocol).toBe('chat');
    await client.close();
  });

  test.each([
    ['/refused', 401, 'who are you?'],
    ['/refused-later', 403, 'not you'],
  ])('refuses with a response of its own: %s', async (path, status, body) => {
    const client = await RawClient.connect(running.port);
    client.write(handshakeText(path));
    expect(await client.response()).toMatchObject({ status, body });
    await expect(Client.connect(running.ws(path))).rejects.toThrow(String(status));
    client.destroy();
  });

  test('may pass the request on to a route of HTTP', async () => {
    const client = await RawClient.connect(running.port);
    client.write(handshakeText('/yields'));
    expect(await client.response()).toMatchObject({ status: 200, body: 'not a WebSocket' });
    client.destroy();
  });

  const PATHS = ['/sync', '/async/1?ms=20'];

  test.each(PATHS)('gets frames that come glued to the handshake after open, in order: %s', async (path) => {
    const frames = framesBytes([text('one'), text('two'), text('three')], SAMPLE_KEY);
    const client = await RawClient.connect(running.port);
    client.write(concat(Buffer.from(handshakeText(path, NAME)), frames));
    expect((await client.response()).status).toBe(101);
    expect(await client.text()).toContain('Ada at');
    expect([await client.text(), await client.text(), await client.text()]).toEqual(['one', 'two', 'three']);
    expect(await client.close()).toBe(1000);
  });

  test.each(PATHS)('gets frames cut anywhere by the end of the first packet: %s', async (path) => {
    const handshake = Buffer.from(handshakeText(path, NAME));
    const stream = concat(handshake, framesBytes([text('one'), text('x'.repeat(200))], SAMPLE_KEY));
    const cuts = [handshake.length - 1, handshake.length, handshake.length + 1];
    for (let cut = handshake.length + 4; cut < stream.length; cut += 3) cuts.push(cut);
    await Promise.all(
      cuts.map(async (cut) => {
        const client = await RawClient.connect(running.port);
        client.write(stream.subarray(0, cut));
        await new Promise((resolve) => setTimeout(resolve, 2));
        client.write(stream.subarray(cut));
        expect((await client.response()).status).toBe(101);
        await client.text();
        expect([await client.text(), await client.text()]).toEqual(['one', 'x'.repeat(200)]);
        client.destroy();
      }),
    );
  });

  test('gets a lot that was sent before the 101, whole and in order', async () => {
    const messages = Array.from({ length: 8 }, (_, i) => pattern(100_000, i));
    const client = await RawClient.connect(running.port);
    client.write(handshakeText('/async/1?ms=50', NAME));
    for (const message of messages) {
      client.send({ opcode: 2, payload: message });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect((await client.response()).status).toBe(101);
    await client.text();
    for (const message of messages) {
      expect(Buffer.compare((await client.frame()).payload, message)).toBe(0);
    }
    expect(await client.close()).toBe(1000);
  });
});
