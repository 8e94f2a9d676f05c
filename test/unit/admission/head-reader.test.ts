import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type HeadConnection, HeadReader } from '../../../src/admission/head-reader.ts';
import { refusalText } from '../../../src/admission/refusal-text.ts';
import { WaitingRoom } from '../../../src/admission/waiting-room.ts';
import { ParseStatus, RequestParser } from '../../../src/http/request-parser.ts';
import { ThreadMetrics } from '../../../src/metrics/control-block.ts';
import { Counter } from '../../../src/metrics/counter.ts';
import { IoLoop } from '../../../src/net/io-loop.ts';
import { Transport, type TransportContext } from '../../../src/net/transport.ts';
import { AcceptedHandles, readToEnd } from '../../support/servers/accepted-handles.ts';

let sockets: AcceptedHandles;
const { counters } = ThreadMetrics.alone();
const io = new IoLoop(counters);
beforeEach(async () => {
  sockets = await AcceptedHandles.start();
});
afterEach(() => {
  sockets.close();
});

class Connection implements HeadConnection, TransportContext {
  transport!: Transport;
  parser: RequestParser | null = null;
  deadline = 0;
  isLingering = false;
  isClosed = false;

  onChunk(): void {}
  onWritable(): void {}
  onEnd(): void {}
  onClosed(): void {
    this.isClosed = true;
  }
  onTimer(): number {
    return 0;
  }
}

function readerOf() {
  const order: string[] = [];
  const reader = new HeadReader<Connection>(
    io,
    10,
    () => new RequestParser(),
    (connection) => order.push(`linger ${connection.isLingering}`),
  );
  return { reader, order };
}

async function connected(): Promise<{ connection: Connection; client: Socket }> {
  const { handle, client } = await sockets.accept();
  const connection = new Connection();
  connection.transport = new Transport(io, handle, connection, connection);
  connection.transport.startReading();
  return { connection, client };
}

const begun = Buffer.from('GET / HTTP/1.1\r\nHost');

it('answers a head that is late 408, sends FIN, and cuts off a peer that does not follow', async () => {
  const { reader, order } = readerOf();
  const { connection, client } = await connected();
  const timeouts = counters[Counter.TIMEOUTS]!;
  expect(reader.parserOf(connection).feed(begun, 0, begun.length)).toBe(ParseStatus.INCOMPLETE);
  const text = readToEnd(client);
  const next = reader.expire(connection);
  expect(next).toBe(connection.deadline);
  expect(next - io.timer.now).toBe(6);
  expect(order).toEqual(['linger false']);
  expect(connection.isLingering).toBe(true);
  expect(counters[Counter.TIMEOUTS]).toBe(timeouts + 1);
  expect(await text).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\nDate: [^\r]+ GMT\r\nConnection: close\r\n/);
  expect(connection.isClosed).toBe(false);
  expect(reader.expire(connection)).toBe(0);
  expect(connection.isClosed).toBe(true);
});

it('ends a connection that has sent nothing without a word, and counts no timeout', async () => {
  const { reader } = readerOf();
  const { connection, client } = await connected();
  const timeouts = counters[Counter.TIMEOUTS]!;
  const text = readToEnd(client);
  expect(reader.expire(connection)).toBe(connection.deadline);
  expect(await text).toBe('');
  expect([connection.isLingering, connection.isClosed]).toEqual([true, false]);
  expect(counters[Counter.TIMEOUTS]).toBe(timeouts);
  connection.transport.destroy();
});

it('lends parsers, and takes them back ready for another head', async () => {
  const { reader } = readerOf();
  const { connection } = await connected();
  const parser = reader.parserOf(connection);
  expect(reader.parserOf(connection)).toBe(parser);
  parser.feed(begun, 0, begun.length);
  reader.release(connection);
  reader.release(connection);
  expect(connection.parser).toBeNull();
  expect(reader.take()).toBe(parser);
  expect(reader.take()).not.toBe(parser);
  const whole = Buffer.from('GET /whole HTTP/1.1\r\nHost: x\r\n\r\n');
  expect(parser.feed(whole, 0, whole.length)).toBe(ParseStatus.COMPLETE);
  expect(parser.head.path).toBe('/whole');
  connection.transport.destroy();
});

it('does nothing more for a connection that is closed already', async () => {
  const { reader, order } = readerOf();
  const { connection } = await connected();
  connection.transport.destroy();
  reader.linger(connection);
  expect([order.length, connection.isLingering, connection.transport.timerSlot]).toEqual([1, true, -1]);
});

it('says when to try again behind 503 alone, and answers HEAD without a body', () => {
  expect(refusalText(503)).toMatch(/\r\nRetry-After: 1\r\n\r\nService Unavailable\n$/);
  expect(refusalText(429)).not.toContain('Retry-After');
  expect(refusalText(429, true)).toMatch(/Content-Length: 18\r\n\r\n$/);
});

it('has the oldest that waits give way, but none that came in this turn or the one before', async () => {
  const changes: number[] = [];
  const room = new WaitingRoom((change) => changes.push(change));
  expect([room.evict(), room.oldest()]).toEqual([false, undefined]);
  const first = await connected();
  const second = await connected();
  for (const { connection } of [first, second]) {
    connection.onClosed = () => {
      room.delete(connection.transport);
    };
  }
  room.add(first.connection.transport);
  expect([room.evict(), room.size]).toEqual([false, 1]);
  const turns = io.turns.now;
  while (io.turns.now < turns + 2) await new Promise(setImmediate);
  room.add(second.connection.transport);
  const evicted = counters[Counter.EVICTED]!;
  const gone = once(first.client, 'close');
  first.client.end();
  first.client.resume();
  expect([room.evict(), room.evict(), room.size]).toEqual([true, false, 1]);
  await gone;
  expect(room.oldest()).toBe(second.connection.transport);
  expect(counters[Counter.EVICTED]).toBe(evicted + 1);
  room.delete(second.connection.transport);
  room.delete(second.connection.transport);
  expect(changes).toEqual([1, 1, -1, -1]);
  second.connection.transport.destroy();
});
