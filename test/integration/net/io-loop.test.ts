import { connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { Counter, THREAD_SLOTS } from '../../../src/metrics/counter.ts';
import { IoLoop } from '../../../src/net/io-loop.ts';
import { bindAddress, boundPort, Listener } from '../../../src/net/listener.ts';
import { Transport, type TransportContext } from '../../../src/net/transport.ts';
import { HOST } from '../../support/servers/server.ts';
import { until } from '../../support/tools/deadline.ts';

const MIB = 1024 * 1024;

const SILENT: TransportContext = {
  onChunk: () => {},
  onWritable: () => {},
  onEnd: () => {},
  onClosed: () => {},
  onTimer: () => 0,
};

const open: { destroy(): void }[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

/** Transports of one loop, and what the other end of each has received. */
async function connected(
  io: IoLoop,
  count: number,
): Promise<{ transports: Transport[]; received: number[] }> {
  const transports: Transport[] = [];
  const listener = new Listener(count, {
    onConnection: (client) => {
      transports.push(new Transport(io, client, SILENT, null));
    },
    onAcceptError: () => {},
  });
  const handle = bindAddress(HOST, 0);
  const port = boundPort(handle);
  listener.start(handle);
  const received = new Array<number>(count).fill(0);
  const clients = Array.from({ length: count }, (_, i): Socket => {
    const client = connect(port, HOST);
    client.on('data', ({ length }) => {
      received[i]! += length;
    });
    return client;
  });
  open.push(...clients);
  await until(() => transports.length === count, 'all are accepted');
  listener.close();
  open.push(...transports);
  return { transports, received };
}

function write(transport: Transport, size: number): void {
  const at = transport.reserve(size);
  transport.bytes.fill(120, at, at + size);
  transport.commit(size);
}

it('what many sockets are sent in one turn waits for its end, but no more than 4 MiB of it', async () => {
  const io = new IoLoop(new Float64Array(THREAD_SLOTS));
  const written = (): number => io.counters[Counter.BYTES_OUT]!;
  const SIZE = 32 * 1024;
  const sockets = 300;
  const { transports, received } = await connected(io, sockets);
  const before: number[] = [];
  for (const transport of transports) {
    write(transport, SIZE);
    before.push(written());
  }
  // Twice in this turn there was more than 4 MiB, and all of it was written at once; the rest waits.
  const batch = (4 * MIB) / SIZE + 1;
  expect(before).toEqual(
    Array.from({ length: sockets }, (_, i) => Math.floor((i + 1) / batch) * batch * SIZE),
  );
  await until(() => received.every((bytes) => bytes === SIZE), 'each has what it was sent');
  expect(written()).toBe(sockets * SIZE);
  // The next turn begins with none.
  for (const transport of transports.slice(0, batch - 1)) write(transport, SIZE);
  expect(written()).toBe(sockets * SIZE);
  write(transports[batch]!, SIZE);
  expect(written()).toBe((sockets + batch) * SIZE);
});
