import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { PortReceiver } from '../../../src/net/socket-transfer.ts';

it('a message comes with its socket, and also when its socket is lost on the way', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  const receiver = new PortReceiver();
  expect(receiver.receive('lost')).toEqual({ handle: null, message: Buffer.from('lost') });
  expect(receiver.receive(socket)).toBeUndefined();
  const received = receiver.receive('with a socket: ÿ')!;
  expect(received.message).toEqual(Buffer.from('with a socket: ÿ', 'latin1'));
  expect(received.handle).not.toBeNull();
  received.handle!.close();
  expect(receiver.receive('lost again')!.handle).toBeNull();
  client.destroy();
  server.close();
});
