import { request } from 'node:https';
import { SSLApp } from 'millrace';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MODES, type Running } from '../../support/servers/server.ts';
import { SERVER_CERTIFICATE, startTls, tlsOptions } from '../../support/tls/tls.ts';
import { within } from '../../support/tools/deadline.ts';
import { pattern } from '../fixtures/bodies-app.js';

/** One request over TLS. */
function ask(port: number, path: string, body?: Buffer, servername?: string): Promise<Buffer> {
  return within(
    new Promise<Buffer>((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port,
          path,
          method: body === undefined ? 'GET' : 'POST',
          ca: SERVER_CERTIFICATE.cert,
          rejectUnauthorized: false,
          ...(servername === undefined ? {} : { servername }),
        },
        (incoming) => {
          const parts: Buffer[] = [];
          incoming.on('data', (part: Buffer) => parts.push(part));
          incoming.on('end', () => {
            resolve(Buffer.concat(parts));
          });
        },
      );
      outgoing.on('error', reject).end(body);
    }),
    `the answer to ${path}`,
  );
}

describe.each(MODES)('HTTP over TLS in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    running = await startTls(mode, 'bodies-app.js');
  });
  afterAll(() => running.stop());

  test('bodies and streamed responses arrive whole', async () => {
    const body = pattern(5, 1_000_000);
    expect((await ask(running.port, '/echo', body)).equals(body)).toBe(true);
    expect((await ask(running.port, '/collect/2000000', body)).equals(body)).toBe(true);
    expect((await ask(running.port, '/late/5', body)).equals(body)).toBe(true);
    expect((await ask(running.port, '/file/3000000')).equals(pattern(7, 3_000_000))).toBe(true);
    expect((await ask(running.port, '/pieces/3000000')).equals(pattern(9, 3_000_000))).toBe(true);
    expect((await ask(running.port, '/at-once/3000000')).equals(pattern(3, 3_000_000))).toBe(true);
    expect((await ask(running.port, '/chunks/100/30000')).length).toBe(3_000_000);
    expect((await ask(running.port, '/hello')).toString()).toBe('hello');
  });
});

test('a domain is the name that was asked for in the handshake, whatever Host says', async () => {
  const app = SSLApp(tlsOptions());
  app.get('/', (res) => void res.end('default'));
  app.domain('one.test').get('/', (res) => void res.end('one'));
  app.domain('*.two.test').get('/', (res) => void res.end('two'));
  let port = 0;
  app.listen('127.0.0.1', 0, (socket) => {
    if (socket !== false) port = socket.port;
  });
  expect(String(await ask(port, '/', undefined, 'one.test'))).toBe('one');
  expect(String(await ask(port, '/', undefined, 'a.two.test'))).toBe('two');
  expect(String(await ask(port, '/', undefined, 'three.test'))).toBe('default');
  app.close();
});

test('the PROXY protocol is for plain connections', () => {
  expect(() => SSLApp({ ...tlsOptions(), proxyProtocol: true })).toThrow(
    expect.objectContaining({ code: 'MILLRACE_NOT_SUPPORTED' }),
  );
});
