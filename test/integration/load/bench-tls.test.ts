import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { bench } from 'millrace/bench';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { SERVER_CERTIFICATE } from '../../support/tls/tls.ts';

let url: string;
let received = 0;
const https = createServer({ key: SERVER_CERTIFICATE.key, cert: SERVER_CERTIFICATE.cert });

beforeAll(async () => {
  new WebSocketServer({ server: https }).on('connection', (socket) => {
    socket.on('message', (data, isBinary) => {
      received++;
      socket.send(data, { binary: isBinary });
    });
  });
  await new Promise<void>((resolve) => {
    https.listen(0, '127.0.0.1', resolve);
  });
  url = `wss://localhost:${(https.address() as AddressInfo).port}/`;
});

afterAll(() => {
  https.close();
});

test('wss with a certificate that nobody has signed needs --insecure', async () => {
  await expect(bench({ url, amount: 10 })).rejects.toThrow(
    /the certificate of localhost cannot be trusted \([A-Z_]+\): --insecure accepts any/,
  );
});

test.each([20, 100_000])('messages of %d bytes come back over TLS', async (size) => {
  received = 0;
  const options = { connections: 5, pipelining: 3, amount: 300, workers: 2, insecure: true };
  const result = await bench({ url, size, ...options });
  expect(result).toMatchObject({ errors: 0, mismatches: 0, lost: 0, resets: 0 });
  expect(result.messages.total).toBe(300);
  expect(received).toBe(300);
});
