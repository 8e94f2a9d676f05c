import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { detachHandle } from '../../../src/net/node-internals.ts';
import { peerAddress } from '../../../src/net/peer-name.ts';
import { AcceptedHandles } from '../../support/servers/accepted-handles.ts';
import { until } from '../../support/tools/deadline.ts';

it('is the address of the peer until it has left', async () => {
  const sockets = await AcceptedHandles.start();
  const { handle, client } = await sockets.accept('127.0.0.9');
  expect(peerAddress(handle)).toBe('127.0.0.9');
  client.resetAndDestroy();
  await until(() => peerAddress(handle) === '', 'the peer is gone');
  handle.close();
  sockets.close();
});

it('is empty over a Unix socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'peer-'));
  const path = join(folder, 's');
  const server = createServer({ pauseOnConnect: true }).listen(path);
  await once(server, 'listening');
  const client = connect(path);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const handle = detachHandle(socket)!;
  expect(peerAddress(handle)).toBe('');
  handle.close();
  client.destroy();
  server.close();
  rmSync(folder, { recursive: true });
});
