import { App, serve } from 'millrace';
import { afterEach, describe, expect, it } from 'vitest';
import { HostileClient, handshakeHead, requestHead } from '../../support/clients/hostile-client.ts';
import { startApp, startServe, type Target } from '../../support/servers/hostile-server.ts';
import { HOST } from '../../support/servers/server.ts';
import { tlsMode } from '../../support/tls/tls-mode.ts';

/** Which names a server may be called by, and pages of an https host behind a proxy. */

const WAYS = [
  ['serve()', startServe, false],
  ['App()', startApp, false],
  ['serve() with TLS', startServe, true],
  ['SSLApp()', startApp, true],
] as const;

let target: Target;
afterEach(async () => {
  for (const client of HostileClient.live) client.destroy();
  tlsMode.isOn = false;
  await target.close();
});

async function ask(client: HostileClient, request: Uint8Array): Promise<string> {
  const before = client.received;
  client.write(request);
  await client.until(() => client.isOver || client.received > before, 'an answer');
  return client.bytes.toString('latin1', before + 9, before + 12);
}

/** The status of the answer to a request with this Host. */
async function statusFor(host: string, kind: '/echo' | '/upgrade' | '/hello', origin = ''): Promise<string> {
  const client = await HostileClient.open(target.port);
  const fields = origin === '' ? [] : [`Origin: ${origin}`];
  const request =
    kind === '/hello'
      ? requestHead('GET /hello HTTP/1.1', [`Host: ${host}`])
      : handshakeOf(kind, host, fields);
  return await ask(client, request);
}

function handshakeOf(path: string, host: string, fields: readonly string[]): Buffer {
  return Buffer.from(handshakeHead(path, fields).toString().replace('Host: x', `Host: ${host}`));
}

describe.each(WAYS)('%s', (_name, start, isTls) => {
  it('answers by the names that it is given, and 403 by others', async () => {
    tlsMode.isOn = isTls;
    target = await start({ allowedHosts: ['Example.com', '.example.org'] });
    for (const kind of ['/echo', '/upgrade', '/hello'] as const) {
      const taken = kind === '/hello' ? '200' : '101';
      const allowed = [
        'example.com',
        'example.com:8080',
        'a.example.org',
        `${HOST}:${target.port}`,
        'localhost',
      ];
      for (const host of allowed) expect(`${host} ${await statusFor(host, kind)}`).toBe(`${host} ${taken}`);
      for (const host of ['evil.com', `evil.com:${target.port}`, 'a.example.com', 'localhost.evil.com']) {
        expect(`${host} ${await statusFor(host, kind)}`).toBe(`${host} 403`);
      }
    }
    // Each request of a connection is looked at.
    const client = await HostileClient.open(target.port);
    expect(await ask(client, requestHead('GET /hello HTTP/1.1', ['Host: example.com']))).toBe('200');
    expect(await ask(client, requestHead('GET /hello HTTP/1.1', ['Host: evil.com']))).toBe('403');
    expect(client.bytes.toString('latin1')).toContain('This host is not allowed here');
    await client.untilOver();
  });

  it('takes any name when none are given, also where the page of another site leads its own here', async () => {
    tlsMode.isOn = isTls;
    target = await start();
    expect(await statusFor('evil.com', '/hello')).toBe('200');
    const page = `${isTls ? 'https' : 'http'}://evil.com:9`;
    const client = await HostileClient.open(target.port);
    expect(await ask(client, handshakeOf('/same-origin', 'evil.com:9', [`Origin: ${page}`]))).toBe('101');
  });

  it("takes https pages alone as of the 'same-origin' where clients come by https", async () => {
    tlsMode.isOn = isTls;
    const statusOf = async (origin: string): Promise<string> => {
      const client = await HostileClient.open(target.port);
      return await ask(client, handshakeOf('/same-origin', 'example.com', [`Origin: ${origin}`]));
    };
    target = await start({ behindTls: true });
    expect(await statusOf('https://example.com')).toBe('101');
    expect(await statusOf('https://example.com:443')).toBe('101');
    expect(await statusOf('http://example.com')).toBe('403');
    await target.close();
    target = await start();
    expect(await statusOf('https://example.com')).toBe('101');
    expect(await statusOf('http://example.com')).toBe(isTls ? '403' : '101');
  });
});

describe('the options', () => {
  const app = new URL('../fixtures/main-app.js', import.meta.url);
  it.each([
    [
      'example.com',
      "must be a list of names such as ['example.com', '.example.org'], or true for any; got 'example.com'",
    ],
    [[''], 'which is no host name'],
    [['https://example.com'], 'without scheme'],
    [['example.com:80'], 'which is no host name'],
    [['*.example.com'], "'.example.com' for it and all names below it"],
    [[7], 'which is no host name'],
    [['a..b'], 'which is no host name'],
  ])('allowedHosts: %j is an error that says what to write', async (allowedHosts, message) => {
    target = { close: async () => {} } as Target;
    const options = { allowedHosts } as never;
    expect(() => App(options)).toThrow(message);
    const error: unknown = await serve({ ...(options as object), app, port: 0 }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'MILLRACE_INVALID_OPTION' });
    expect((error as Error).message).toMatch(/^serve: 'allowedHosts' /);
  });

  it('behindTls is true or false', () => {
    target = { close: async () => {} } as Target;
    expect(() => App({ behindTls: 'nginx' } as never)).toThrow("App: 'behindTls' must be true or false");
  });
});
