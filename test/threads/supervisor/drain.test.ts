import { once } from 'node:events';
import { Agent, get as httpGet } from 'node:http';
import { Agent as HttpsAgent, get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import { connect as secure } from 'node:tls';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { type CloseOptions, type ServeOptions, type Server, serve } from 'millrace';
import { Client as UndiciClient } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { HostileClient } from '../../support/clients/hostile-client.ts';
import { requestText } from '../../support/clients/http-client.ts';
import { closeCodeOf, RawClient } from '../../support/clients/raw-client.ts';
import { close, text } from '../../support/protocol/frame-bytes.ts';
import { MillraceProcess } from '../../support/servers/millrace-process.ts';
import { HOST } from '../../support/servers/server.ts';
import { SERVER_CERTIFICATE, tlsOptions } from '../../support/tls/tls-mode.ts';
import { LONG, sleep, until } from '../../support/tools/deadline.ts';

const APP = new URL('../fixtures/drained-app.js', import.meta.url);
const Slot = { HALTED: 0, GO_ON: 1, MESSAGES: 2, CLOSE_CODE: 3, BEFORE_CLOSE: 4 } as const;

let server: Server;
let slots: Int32Array;

async function start(options: Partial<ServeOptions> = {}): Promise<void> {
  const data = new SharedArrayBuffer(32);
  slots = new Int32Array(data);
  server = await serve({ app: APP, port: 0, host: HOST, shards: 1, data, ...options });
}

const slot = (at: number): number => Atomics.load(slots, at);
const get = (path: string): string => requestText('GET', path);

/** Has the shard stand still; what is sent to it from here on waits in the kernel. */
async function halt(): Promise<void> {
  const client = await RawClient.connect(server.port);
  client.write(get('/halt'));
  await client.response();
  await until(() => slot(Slot.HALTED) === 1, 'the shard stands still');
  client.destroy();
}

function goOn(): void {
  Atomics.store(slots, Slot.GO_ON, 1);
  Atomics.notify(slots, Slot.GO_ON);
}

/**
 * Closes the server; the shard is told while it stands still, and goes on when `send` has sent something: all of it waits
 * in the kernel by then.
 */
async function closeHalted(
  options: CloseOptions,
  send: () => void = () => {},
): Promise<{ closing: Promise<void> }> {
  const closing = server.close(options);
  // Now the message to the shard waits before what is sent.
  await sleep(50);
  send();
  goOn();
  await until(() => server.stats().shards[0]!.state !== 'ready', 'the drain begins');
  return { closing };
}

afterEach(async () => {
  goOn();
  await server.close({ drain: 0 });
  for (const client of HostileClient.live) client.destroy();
});

/** Of a request that was the first on its connection. */
const NEWCOMER = 'newcomer:';

/** Requests of node:http, one after the other on connections that are kept. None is sent again. */
function viaAgent(agent: Agent, path: string, isTls = false, port = server.port): Promise<string> {
  return new Promise((resolve) => {
    const options = { port, host: HOST, path, agent, ca: isTls ? SERVER_CERTIFICATE.cert : '' };
    const request = (isTls ? httpsGet : httpGet)(options, (response) => {
      response.resume();
      response.on('end', () => {
        resolve(String(response.statusCode));
      });
      response.on('error', ({ message }) => {
        resolve(`in the body: ${message}`);
      });
    });
    request.on('error', ({ message }) => {
      resolve(request.reusedSocket ? message : `${NEWCOMER} ${message}`);
    });
  });
}

async function viaUndici(client: UndiciClient, path: string): Promise<string> {
  try {
    const { statusCode, body } = await client.request({ method: 'GET', path });
    await body.text();
    return String(statusCode);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Sends requests in lanes, one after the other in each, some with a pause, until `during` is over. */
async function underLoad(
  lanes: readonly ((path: string) => Promise<string>)[],
  during: () => Promise<void>,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  let isOn = true;
  const ends = lanes.map(async (request, i) => {
    const path = ['/', '/later', '/parts'][i % 3]!;
    while (isOn) {
      const outcome = await request(path);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
      if (i % 4 === 3) await sleep(5);
    }
  });
  await during();
  isOn = false;
  await Promise.all(ends);
  return counts;
}

/** The grace is no time that passes: every connection is used within it, and is then told that it is the last time. */
const reloads = (count: number) => async (): Promise<void> => {
  for (let round = 0; round < count; round++) await server.reload({ drain: LONG, grace: LONG });
};

const LANES = Array.from({ length: 6 });

describe('keep-alive clients lose no request', () => {
  it('while two shards are replaced ten times, under the load of node:http and of undici, which send none again', async () => {
    await start({ shards: 2 });
    const agents = LANES.map(() => new Agent({ keepAlive: true }));
    const clients = LANES.map(() => new UndiciClient(`http://${HOST}:${server.port}`));
    const lanes = [
      ...agents.map((agent) => (path: string) => viaAgent(agent, path)),
      ...clients.map((client) => (path: string) => viaUndici(client, path)),
    ];
    const counts = await underLoad(lanes, reloads(10));
    for (const agent of agents) agent.destroy();
    await Promise.all(clients.map((client) => client.close()));
    expect(Object.keys(counts)).toEqual(['200']);
  });

  it.each([
    ['plain', {}],
    ['TLS', { tls: tlsOptions() }],
  ])('where the only shard is replaced, and newcomers wait for its successor: %s', async (_name, options) => {
    await start(options);
    const isTls = 'tls' in options;
    const agents = LANES.map(() => new (isTls ? HttpsAgent : Agent)({ keepAlive: true }));
    const lanes = agents.map((agent) => (path: string) => viaAgent(agent, path, isTls));
    const counts = await underLoad(lanes, reloads(3));
    for (const agent of agents) agent.destroy();
    expect(Object.keys(counts)).toEqual(['200']);
  });

  it('under the load of autocannon', async () => {
    await start({ shards: 2 });
    const run = autocannon({ url: `http://${HOST}:${server.port}/`, connections: 20, duration: 60 });
    await reloads(3)();
    run.stop();
    const { errors, timeouts, non2xx, requests } = await run;
    expect({ errors, timeouts, non2xx }).toEqual({ errors: 0, timeouts: 0, non2xx: 0 });
    expect(requests.total).toBeGreaterThan(0);
  });
});

describe('what was sent before a drain', () => {
  it('is answered, though the shard reads it only then, and no connection is reset', async () => {
    await start();
    const idle = await RawClient.connect(server.port);
    const twice = await RawClient.connect(server.port);
    for (const client of [idle, twice]) {
      client.write(get('/'));
      expect((await client.response()).status).toBe(200);
    }
    await halt();
    const { closing } = await closeHalted({ drain: LONG }, () => {
      idle.write(get('/'));
      twice.write(get('/') + get('/later'));
    });
    const answers = [await idle.response(), await twice.response(), await twice.response()];
    expect(answers.map(({ body }) => body)).toEqual(['hello', 'hello', 'later']);
    for (const client of [idle, twice]) expect(await client.readToEnd()).toHaveLength(0);
    await closing;
  });

  it('is delivered to WebSocket handlers, and their replies come before the Close frame', async () => {
    await start();
    const clients = await Promise.all(Array.from({ length: 5 }, () => RawClient.webSocket(server.port, '/')));
    await halt();
    const { closing } = await closeHalted({ drain: LONG }, () => {
      for (const client of clients) client.send(text('one'), text('two'));
    });
    for (const client of clients) {
      expect([await client.text(), await client.text()]).toEqual(['one', 'two']);
      expect(closeCodeOf(await client.frame())).toBe(1001);
      client.send(close(1001));
    }
    await closing;
    expect(slot(Slot.MESSAGES)).toBe(10);
  });

  it('reaches the handlers, too, when more waits than is read in a turn', async () => {
    await start();
    const client = await RawClient.webSocket(server.port, '/');
    await halt();
    const many = 60_000;
    client.write(Buffer.concat(Array.from({ length: many }, () => maskedText('0123456789'))));
    const { closing } = await closeHalted({ drain: LONG });
    let replies = 0;
    let frame = await client.frame();
    for (; frame.opcode !== 8; frame = await client.frame()) replies++;
    client.send(close(1001));
    await closing;
    // What the kernel had no room for was not sent yet: it comes behind the Close frame, and needs no reply.
    expect(slot(Slot.BEFORE_CLOSE)).toBe(many);
    expect(replies).toBeGreaterThan(0);
  });
});

it('what a client sends until it has read the Close frame is delivered, then its close handler runs', async () => {
  await start();
  const client = await RawClient.webSocket(server.port, '/');
  const closing = server.close({ drain: LONG });
  expect(closeCodeOf(await client.frame())).toBe(1001);
  expect(slot(Slot.CLOSE_CODE)).toBe(0);
  client.send(text('one'), text('two'), close(1001));
  await client.closed();
  await closing;
  expect([slot(Slot.BEFORE_CLOSE), slot(Slot.CLOSE_CODE)]).toEqual([2, 1001]);
});

it('clients of ws lose no message that they sent before they had the Close frame', async () => {
  await start({ shards: 2 });
  let sent = 0;
  let isOn = true;
  const lanes = Array.from({ length: 8 }, async () => {
    while (isOn) {
      const client = await Client.connect(`ws://${HOST}:${server.port}/`);
      while (isOn && client.socket.readyState === client.socket.OPEN) {
        client.send('counted');
        sent++;
        await new Promise((resolve) => setImmediate(resolve));
      }
      await client.close();
    }
  });
  await reloads(4)();
  isOn = false;
  await Promise.all(lanes);
  await until(() => server.stats().total.webSockets === 0, 'all are closed');
  expect(slot(Slot.MESSAGES)).toBe(sent);
});

describe('a connection that waits for a request when its shard is drained', () => {
  it('may send one in the grace, and is told that it is the last', async () => {
    await start();
    const client = await RawClient.connect(server.port);
    client.write(get('/'));
    await client.response();
    const closing = server.close({ drain: LONG, grace: LONG });
    await until(() => server.stats().shards[0]!.state === 'draining', 'the drain begins');
    client.write(get('/later') + get('/'));
    const answers = [await client.response(), await client.response()];
    expect(answers.map(({ body, headers }) => [body, headers.get('connection')])).toEqual([
      ['later', undefined],
      ['hello', 'close'],
    ]);
    expect(await client.readToEnd()).toHaveLength(0);
    await closing;
  });

  it('gets a FIN after it, and no reset for what it sends still', async () => {
    await start();
    const client = await HostileClient.open(server.port);
    client.write(get('/'));
    await client.until(() => client.received > 0, 'an answer');
    const closing = server.close({ drain: LONG, grace: 10 });
    await client.until(() => client.hasFin, 'the FIN');
    const { received } = client;
    const { bytesIn } = server.stats().total;
    client.write(get('/'));
    await until(() => server.stats().total.bytesIn > bytesIn, 'it was read');
    client.socket.end();
    await client.until(() => client.isClosed, 'the end');
    expect([client.error, client.received - received]).toEqual(['', 0]);
    await closing;
  });
});

describe('a connection that the acceptor has when the server is closed', () => {
  it('is served when its head comes in the grace', async () => {
    await start();
    const client = await RawClient.connect(server.port);
    client.write('GET / HTTP/1.1\r\nHost: x\r\n');
    await until(() => server.stats().acceptor.bytesIn > 0, 'the acceptor has half of the head');
    const closing = server.close({ drain: LONG, grace: LONG });
    await until(() => server.stats().shards[0]!.state === 'draining', 'the drain begins');
    client.write('\r\n');
    const { body, headers } = await client.response();
    expect([body, headers.get('connection')]).toEqual(['hello', 'close']);
    expect(await client.readToEnd()).toHaveLength(0);
    await closing;
  });

  it('gets 503 for half a head, and a FIN for none, and no reset', async () => {
    await start();
    const half = await HostileClient.open(server.port);
    half.write('GET / HTTP/1.1\r\n');
    const silent = await HostileClient.open(server.port);
    await until(() => server.stats().acceptor.sockets === 2, 'both are accepted');
    await until(() => server.stats().acceptor.bytesIn > 0, 'the acceptor has half of the head');
    const closing = server.close({ drain: LONG, grace: 10 });
    for (const client of [half, silent]) await client.until(() => client.hasFin, 'the FIN');
    for (const client of [half, silent]) {
      client.write('Host: x\r\n\r\n');
      client.socket.end();
      await client.until(() => client.isClosed, 'the end');
    }
    expect([half.bytes.toString().slice(0, 12), silent.received]).toEqual(['HTTP/1.1 503', 0]);
    expect([half.error, silent.error]).toEqual(['', '']);
    await closing;
  });
});

it('a TLS handshake that begins when its shard is drained is done, and its request answered', async () => {
  await start({ tls: tlsOptions() });
  const halting = new HttpsAgent({ keepAlive: false });
  expect(await viaAgent(halting, '/halt', true)).toBe('200');
  await until(() => slot(Slot.HALTED) === 1, 'the shard stands still');
  const tcp = connect({ port: server.port, host: HOST });
  await once(tcp, 'connect');
  const { closing } = await closeHalted({ drain: LONG, grace: LONG });
  const socket = secure({ socket: tcp, ca: SERVER_CERTIFICATE.cert, servername: 'localhost' });
  socket.write(get('/'));
  let answer = '';
  socket.on('data', (bytes: Buffer) => {
    answer += bytes.toString();
  });
  await once(socket, 'end');
  expect(answer).toMatch(/^HTTP\/1.1 200 [^]*Connection: close[^]*hello$/);
  await closing;
});

it('a connection that the kernel has and the acceptor has not yet is served when the server is closed', async () => {
  await start();
  const clients = await Promise.all(Array.from({ length: 20 }, () => HostileClient.open(server.port)));
  for (const client of clients) client.write(get('/'));
  const closing = server.close({ drain: LONG });
  for (const client of clients) await client.untilOver();
  for (const client of clients) {
    client.socket.end();
    expect([client.error, client.bytes.toString()]).toEqual(['', expect.stringMatching(/hello$/)]);
  }
  await closing;
});

it('a newcomer that waits for the successor of the only shard is answered 503 when the server is closed', async () => {
  await start();
  const stays = await RawClient.webSocket(server.port, '/', {}, { allowHalfOpen: true });
  const reloading = server.reload({ drain: LONG });
  expect(closeCodeOf(await stays.frame())).toBe(1001);
  const waits = await RawClient.connect(server.port);
  waits.write(get('/'));
  await until(() => server.stats().acceptor.requests === 2, 'it waits');
  const closing = server.close({ drain: LONG });
  expect((await waits.response()).status).toBe(503);
  stays.send(close(1001));
  stays.end();
  await Promise.all([reloading, closing]);
});

it('SIGTERM to millrace serve: requests on connections are answered, and only new connections refused', async () => {
  await start();
  const path = fileURLToPath(APP);
  const command = await MillraceProcess.serve([
    path,
    '--port',
    '0',
    '--host',
    HOST,
    '--drain',
    '60000',
    '--grace',
    '20000',
  ]);
  const { port } = command;
  const agents = LANES.map(() => new Agent({ keepAlive: true }));
  let answers = 0;
  const lanes = agents.map((agent) => async (target: string) => {
    const outcome = await viaAgent(agent, target, false, port);
    answers++;
    return outcome;
  });
  const counts = await underLoad(lanes, async () => {
    await until(() => answers > 100, 'all have a connection');
    command.kill('SIGTERM');
    expect((await command.exit()).code).toBe(0);
  });
  for (const agent of agents) agent.destroy();
  // The kernel resets who connects between the last accept and the end of the listening socket.
  expect(Object.keys(counts).filter((outcome) => !outcome.startsWith(NEWCOMER))).toEqual(['200']);
});

/** A masked text frame. */
function maskedText(payload: string): Buffer {
  const bytes = Buffer.from(payload);
  return Buffer.concat([Buffer.of(0x81, 0x80 | bytes.length, 0, 0, 0, 0), bytes]);
}
