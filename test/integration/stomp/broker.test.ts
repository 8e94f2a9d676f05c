import { once } from 'node:events';
import { App, type TemplatedApp } from 'millrace';
import { type StompBroker, type StompBrokerOptions, StompError, stompBroker } from 'millrace/stomp';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { HOST } from '../../support/servers/server.ts';
import { Mailbox, until, within } from '../../support/tools/deadline.ts';

let app: TemplatedApp;
let broker: StompBroker;
let port = 0;
let clients: Client[] = [];

/** A client that sends bytes as they are, and shows the frames that come, one WebSocket message each. */
class Client {
  readonly socket: WebSocket;
  readonly frames = new Mailbox<string>('a frame');
  readonly kinds: boolean[] = [];
  /** Close code, when it is closed. */
  readonly closed: Promise<number>;

  constructor(path = '/stomp', protocols: string[] = [], headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`ws://${HOST}:${port}${path}`, protocols, { headers });
    this.socket.on('message', (data: Buffer, isBinary) => {
      this.kinds.push(isBinary);
      this.frames.put(data.toString());
    });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code) => {
        resolve(code);
      });
    });
    clients.push(this);
  }

  async open(): Promise<this> {
    await within(once(this.socket, 'open'), 'the connection');
    return this;
  }

  send(...frames: (string | Uint8Array)[]): void {
    for (const frame of frames) this.socket.send(frame);
  }

  next(): Promise<string> {
    return this.frames.next();
  }

  async connect(login = 'ann', extra = ''): Promise<string> {
    this.send(`CONNECT\naccept-version:1.2\nhost:h\nlogin:${login}\n${extra}\n\0`);
    return this.next();
  }

  code(): Promise<number> {
    return within(this.closed, 'the end');
  }
}

function start(options: StompBrokerOptions = {}): void {
  app = App({ maxConnectionsPerAddress: 0 });
  broker = stompBroker(app, options);
  app.listen(HOST, 0, (socket) => {
    if (socket !== false) port = socket.port;
  });
}

const connected = async (login = 'ann'): Promise<Client> => {
  const client = await new Client().open();
  expect(await client.connect(login)).toMatch(/^CONNECTED\nversion:1.2\n/);
  return client;
};

afterEach(() => {
  for (const { socket } of clients) socket.terminate();
  clients = [];
  app.close();
});

describe('the first frame', () => {
  it.each([
    'SEND\ndestination:/topic/a\n\n\0',
    'SUBSCRIBE\nid:0\ndestination:/topic/a\n\n\0',
    'BEGIN\ntransaction:1\n\n\0',
  ])('must be CONNECT (M01): %j', async (frame) => {
    start();
    const client = await new Client().open();
    client.send(frame);
    expect(await client.next()).toContain('message:the first frame must be CONNECT');
    expect(await client.code()).toBe(1002);
    expect(app.stats()).toMatchObject({ stompErrors: 1, stompSessions: 0, topicSubscriptions: 0 });
  });

  it('is not CONNECT again (M01), and nothing is done behind DISCONNECT', async () => {
    start();
    const twice = await connected();
    twice.send('CONNECT\naccept-version:1.2\nhost:h\n\n\0');
    expect(await twice.next()).toMatch(/^ERROR\n/);
    expect(await twice.code()).toBe(1002);
    const leaves = await connected();
    leaves.send('DISCONNECT\nreceipt:1\n\n\0SEND\ndestination:/queue/a\n\n\0');
    expect(await leaves.next()).toBe('RECEIPT\nreceipt-id:1\n\n\0');
    leaves.socket.close();
    expect(await leaves.code()).toBe(1005);
    expect(app.stats()).toMatchObject({ stompSends: 0, stompSessions: 0 });
  });

  it.each([
    ['1.0,1.1,1.2', 'version:1.2'],
    ['1.1', 'version:1.1'],
    ['1.0', 'version:1.0'],
  ])('agrees on a version (M02): %s', async (accepted, version) => {
    start();
    const client = await new Client().open();
    client.send(`STOMP\naccept-version:${accepted}\n\n\0`);
    expect(await client.next()).toContain(version);
  });

  it('without a version in common is told which there are', async () => {
    start();
    const client = await new Client().open();
    client.send('CONNECT\naccept-version:9.9\nhost:h\n\n\0');
    expect(await client.next()).toMatch(/^ERROR\nversion:1.0,1.1,1.2\n/);
    expect(await client.code()).toBe(1002);
  });

  it.each(['v12.stomp', 'v11.stomp', 'v10.stomp'])(
    'has the version of the subprotocol %s',
    async (protocol) => {
      start();
      const client = await new Client('/stomp', [protocol]).open();
      expect(client.socket.protocol).toBe(protocol);
      client.send('CONNECT\naccept-version:1.0,1.1,1.2\nhost:h\n\n\0');
      expect(await client.next()).toContain(`version:1.${protocol[2]}`);
    },
  );

  it('may come at /stomp/websocket', async () => {
    start();
    const client = await new Client('/stomp/websocket').open();
    expect(await client.connect()).toMatch(/^CONNECTED/);
  });

  it('has 16 KiB at most, and a second to come (M03)', async () => {
    start({ connectTimeout: 1 });
    const endless = await new Client().open();
    endless.send('A'.repeat(17_000));
    expect(await endless.next()).toMatch(/^ERROR\n/);
    expect([1002, 1008]).toContain(await endless.code());
    const long = await new Client().open();
    long.send(
      `CONNECT\n${'a:b\n'.repeat(30)}x:${'y'.repeat(8000)}\n`,
      `z:${'y'.repeat(8100)}\n`,
      `q:${'y'.repeat(300)}\n\n\0`,
    );
    expect(await long.next()).toMatch(/^ERROR\n/);
    const silent = await new Client().open();
    expect(await silent.next()).toContain('message:not connected in time');
    expect(await silent.code()).toBe(1002);
  });
});

describe('limits (M04)', () => {
  it.each([
    ['headers', 'h:1\n'.repeat(64), '', 1008],
    ['a line', `h:${'x'.repeat(8192)}\n`, '', 1008],
    ['a body', '', 'x'.repeat(1001), 1008],
  ])('of %s', async (_what, headers, body, code) => {
    start({ maxPayloadLength: 1000 });
    const client = await connected();
    client.send(`SEND\ndestination:/topic/a\n${headers}\n${body}\0`);
    expect(await client.next()).toMatch(/^ERROR\n/);
    expect(await client.code()).toBe(code);
  });

  it('let what reaches them pass', async () => {
    start({ maxPayloadLength: 1000 });
    const client = await connected();
    const line = `h:${'x'.repeat(8190)}\n`;
    client.send(`SEND\ndestination:/topic/a\nreceipt:1\n${line}${'h:1\n'.repeat(61)}\n${'x'.repeat(1000)}\0`);
    expect(await client.next()).toBe('RECEIPT\nreceipt-id:1\n\n\0');
  });
});

it('takes frames in any split, and several in a message, as text and as binary (M16)', async () => {
  start();
  const client = await connected();
  client.send('SUBSCRIBE\nid:0\ndestination:/topic/a\n\n\0');
  const frame = Buffer.from('SEND\ndestination:/topic/a\n\nhéllo\0');
  for (let at = 1; at < frame.length; at++) client.send(frame.subarray(0, at), frame.subarray(at));
  client.send(Buffer.concat([frame, Buffer.from('\n\n'), frame]).toString());
  for (let i = 1; i < frame.length + 2; i++)
    expect(await client.next()).toMatch(/^MESSAGE\n[^]*\n\nhéllo\0$/);
  expect(client.kinds.every((isBinary) => !isBinary)).toBe(true);
  client.send(Buffer.concat([Buffer.from('SEND\ndestination:/topic/a\n\n'), Buffer.from([0xff, 0])]));
  await client.next();
  expect(client.kinds.at(-1)).toBe(true);
});

it('sends all in binary where it is told to', async () => {
  start({ binary: true });
  const client = await connected();
  client.send('SUBSCRIBE\nid:0\ndestination:/topic/a\nreceipt:1\n\n\0SEND\ndestination:/topic/a\n\nx\0');
  await client.next();
  await client.next();
  expect(client.kinds).toEqual([true, true, true]);
});

it('bears a flood of line ends, between frames and before them (M10)', async () => {
  start();
  const client = await new Client().open();
  client.send('\n'.repeat(60_000), '\r\n'.repeat(20_000));
  await client.connect();
  for (let i = 0; i < 20; i++) client.send('\n'.repeat(60_000));
  client.send('SEND\ndestination:/topic/a\nreceipt:1\n\n\0');
  expect(await client.next()).toBe('RECEIPT\nreceipt-id:1\n\n\0');
});

describe('heart-beats (M15)', () => {
  it.each([
    ['0,0', '0,0'],
    ['1,1', '1000,2000'],
  ])('are agreed on: %s', async (asked) => {
    start({ heartBeat: [1000, 2000] });
    const client = await new Client().open();
    expect(await client.connect('ann', `heart-beat:${asked}\n`)).toContain('heart-beat:1000,2000');
    if (asked === '0,0') return;
    expect(await client.next()).toBe('\n');
    expect(await client.next()).toBe('\n');
    // It is silent itself.
    let frame = '\n';
    while (frame === '\n') frame = await client.next();
    expect(frame).toContain('message:no heart-beat for');
    expect(await client.code()).toBe(1002);
  });

  it.each(['-1,x', '1', 'a,b', '1,,2'])('that are none are an ERROR: %s', async (asked) => {
    start();
    const client = await new Client().open();
    expect(await client.connect('ann', `heart-beat:${asked}\n`)).toMatch(/^ERROR\n/);
  });
});

describe('receipts (M14)', () => {
  it('come for all frames, in order', async () => {
    start();
    const client = await connected();
    const frames = [
      'SUBSCRIBE\nid:0\ndestination:/queue/a\nack:client\nreceipt:1',
      'BEGIN\ntransaction:t\nreceipt:2',
      'SEND\ndestination:/topic/x\ntransaction:t\nreceipt:3',
      'COMMIT\ntransaction:t\nreceipt:4',
      'BEGIN\ntransaction:t\nreceipt:5',
      'ABORT\ntransaction:t\nreceipt:6',
      'UNSUBSCRIBE\nid:0\nreceipt:7',
      'DISCONNECT\nreceipt:8',
    ];
    client.send(frames.map((frame) => `${frame}\n\n\0`).join(''));
    const seen = [];
    for (let i = 0; i < frames.length; i++)
      seen.push((await client.next()).match(/^RECEIPT\nreceipt-id:(\d)/)?.[1]);
    expect(seen.sort()).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
    expect(seen.at(-1)).toBe('8');
  });
});

describe('authenticate', () => {
  it('is given what the client says, and how it came; what comes meanwhile waits', async () => {
    const seen: unknown[] = [];
    start({
      authenticate: async ({ login, passcode, host, headers, request, remoteAddress }) => {
        seen.push([login, passcode, host, headers.get('x'), request?.url, request?.query, remoteAddress]);
        seen.push(request?.getHeader('cookie'));
        await new Promise(setImmediate);
        return { user: `user of ${login}` };
      },
    });
    broker.on('/app/who', (message, client) => {
      seen.push(client.user);
      return broker.publish('/topic/who', message.text);
    });
    const client = await new Client('/stomp?a=b', [], { cookie: 'c=d' }).open();
    client.send(
      'CONNECT\naccept-version:1.2\nhost:h\nlogin:ann\npasscode:s\nx:y\nx:z\n\n\0' +
        'SUBSCRIBE\nid:0\ndestination:/topic/who\n\n\0SEND\ndestination:/app/who\n\nme\0',
    );
    expect(await client.next()).toMatch(/^CONNECTED/);
    expect(await client.next()).toMatch(/^MESSAGE/);
    expect(seen).toEqual([['ann', 's', 'h', 'y', '/stomp', 'a=b', HOST], 'c=d', 'user of ann']);
  });

  it.each<[string, StompBrokerOptions['authenticate'], RegExp, number, number]>([
    ['false', () => false, /message:access refused/, 1008, 0],
    ['nothing', () => undefined as never, /message:access refused/, 1008, 0],
    ['no user', async () => ({ user: '' }), /message:access refused/, 1008, 0],
    [
      'a StompError',
      () => {
        throw new StompError('access', 'too late');
      },
      /message:too late/,
      1008,
      0,
    ],
    ['a rejection', () => Promise.reject(new Error('a secret')), /message:internal error/, 1011, 1],
    [
      'a throw',
      () => {
        throw new Error('a secret');
      },
      /message:internal error/,
      1011,
      1,
    ],
  ])('refuses by %s', async (_what, authenticate, message, code, failures) => {
    const errors: unknown[] = [];
    start({ authenticate: authenticate!, onError: (error) => errors.push(error) });
    const client = await new Client().open();
    const frame = await client.connect();
    expect(frame).toMatch(message);
    expect(frame).not.toContain('secret');
    expect(await client.code()).toBe(code);
    expect(errors).toHaveLength(failures);
    expect(app.stats().stompSessions).toBe(0);
  });
});

describe('authorize', () => {
  it('is asked before any effect', async () => {
    const asked: string[] = [];
    start({
      authorize: async (client, action, destination) => {
        asked.push(`${client.user} ${action} ${destination}`);
        await new Promise(setImmediate);
        return !destination.includes('no');
      },
    });
    const client = await connected();
    client.send('SUBSCRIBE\nid:0\ndestination:/queue/yes\nack:auto\n\n\0SEND\ndestination:/queue/yes\n\n1\0');
    expect(await client.next()).toMatch(/^MESSAGE/);
    client.send('SEND\ndestination:/queue/no\nreceipt:r\n\n1\0SEND\ndestination:/queue/yes\n\n2\0');
    const error = await client.next();
    expect(error).toContain('message:sending there is not allowed');
    expect(error).toContain('receipt-id:r');
    expect(await client.code()).toBe(1008);
    expect(asked).toEqual(['ann subscribe /queue/yes', 'ann send /queue/yes', 'ann send /queue/no']);
    expect(app.stats()).toMatchObject({ stompRefused: 1, queueStored: 1, stompSends: 1 });
  });
});

describe('onSend', () => {
  it('changes messages and refuses them', async () => {
    start({
      onSend: async ({ text, destination }) => {
        await new Promise(setImmediate);
        if (text === 'no') return false;
        if (text === 'other') return { destination: '/topic/b', body: 'changed', headers: { h: 'v' } };
        return destination === '/topic/a' ? undefined : true;
      },
    });
    const client = await connected();
    client.send('SUBSCRIBE\nid:a\ndestination:/topic/*\n\n\0');
    client.send('SEND\ndestination:/topic/a\nk:w\nreceipt:1\n\nx\0');
    const first = await client.next();
    expect(first).toMatch(/^MESSAGE\n[^]*k:w[^]*\n\nx\0$/);
    expect(await client.next()).toMatch(/^RECEIPT/);
    client.send('SEND\ndestination:/topic/a\nk:w\n\nother\0');
    const second = await client.next();
    expect(second).toMatch(/^MESSAGE\n[^]*destination:\/topic\/b[^]*\n\nchanged\0$/);
    expect(second).toContain('\nh:v\n');
    expect(second).not.toContain('k:w');
    client.send('SEND\ndestination:/topic/a\nreceipt:2\n\nno\0');
    expect(await client.next()).toContain('message:the message was refused');
    expect(await client.code()).toBe(1008);
  });
});

describe('virtual hosts', () => {
  it('keep destinations apart; an unknown one is an ERROR, none is the first', async () => {
    start({ hosts: ['a', 'b'] });
    const join = async (host: string): Promise<Client> => {
      const client = await new Client().open();
      client.send(`CONNECT\naccept-version:1.2\n${host}\n\0`);
      return client;
    };
    const [a, b, none, unknown] = [
      await join('host:a\n'),
      await join('host:b\n'),
      await join(''),
      await join('host:c\n'),
    ];
    expect(await unknown.next()).toContain('message:there is no such virtual host');
    for (const client of [a, b, none]) {
      expect(await client.next()).toMatch(/^CONNECTED/);
      client.send('SUBSCRIBE\nid:0\ndestination:/topic/t\nreceipt:1\n\n\0');
      expect(await client.next()).toMatch(/^RECEIPT/);
    }
    await broker.publish('/topic/t', 'to b', {}, { host: 'b' });
    await broker.publish('/topic/t', 'to a');
    expect(await b.next()).toMatch(/to b\0$/);
    expect(await a.next()).toMatch(/to a\0$/);
    expect(await none.next()).toMatch(/to a\0$/);
  });
});

it('holds no more of what is sent while it decides than it may, and goes on when it has', async () => {
  let decide = (_isIn: boolean): void => {};
  start({
    authenticate: () =>
      new Promise((resolve) => {
        decide = resolve;
      }),
  });
  const client = await new Client().open();
  client.send('CONNECT\naccept-version:1.2\nhost:h\n\n\0');
  const COUNT = 5000;
  for (let i = 0; i < COUNT; i++) client.send(`SEND\ndestination:/queue/a\n\n${'x'.repeat(1000)}\0`);
  client.send('SEND\ndestination:/queue/a\nreceipt:last\n\n\0');
  await until(() => app.stats().bytesIn > 10_000, 'much has come');
  decide(true);
  expect(await client.next()).toMatch(/^CONNECTED/);
  expect(await client.next()).toBe('RECEIPT\nreceipt-id:last\n\n\0');
  expect(app.stats().queueStored).toBe(COUNT + 1);
});

describe('options', () => {
  it.each<[object, RegExp]>([
    [{ pth: '/x' }, /'pth'.*did you mean 'path'/],
    [{ path: 'x' }, /'path' must be a path/],
    [{ path: '/x/*' }, /'path' must be a path/],
    [{ heartBeat: [1, 1] }, /'heartBeat' must be two numbers of ms/],
    [{ heartBeat: 10 }, /'heartBeat' must be two numbers of ms/],
    [{ hosts: [] }, /'hosts' must be a list of names/],
    [{ hosts: ['a\nb'] }, /'hosts' must be a list of names/],
    [{ authenticate: 'yes' }, /'authenticate' must be a function/],
    [{ maxSubscriptions: 0 }, /'maxSubscriptions' must be an integer from 1/],
    [{ binary: 'maybe' }, /'binary' must be true or false/],
    [{ queuePolicy: 'x' }, /'queuePolicy' must be 'refuse' or 'drop-oldest'/],
    [{ tcp: 61613 }, /'tcp'.*must be an object/],
    [{ origins: 7 }, /origins/],
  ])('that are wrong are named: %j', (options, message) => {
    app = App();
    expect(() => stompBroker(app, options as StompBrokerOptions)).toThrow(message);
  });

  it('may be numbers as text, and null', async () => {
    start({
      maxSubscriptions: '1',
      path: null,
      heartBeat: ['0', 0],
      hosts: null,
      authenticate: null,
    } as never);
    const client = await connected();
    client.send('SUBSCRIBE\nid:0\ndestination:/topic/a\n\n\0SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0');
    expect(await client.next()).toContain('message:more than 1 subscriptions');
    expect(() => stompBroker(app)).toThrow(/has a broker already/);
  });
});

it('serves plain TCP as well, to the same destinations', async () => {
  start({ tcp: { port: 0, host: HOST } });
  expect(broker.tcpPort).toBeGreaterThan(0);
  const client = await connected();
  client.send('SUBSCRIBE\nid:0\ndestination:/topic/a\nreceipt:1\n\n\0');
  await client.next();
  const { connect } = await import('node:net');
  const socket = connect({ port: broker.tcpPort, host: HOST });
  const received: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => received.push(bytes));
  const text = (): string => Buffer.concat(received).toString();
  socket.write('CONNECT\naccept-version:1.2\nhost:h\n\n\0SUBSCRIBE\nid:7\ndestination:/topic/a\n\n\0');
  socket.write('SEND\ndestination:/topic/a\nreceipt:1\n\nby TCP\0');
  await until(() => text().includes('RECEIPT'), 'the receipt');
  expect(text()).toMatch(/^CONNECTED\n[^]*MESSAGE\n[^]*subscription:7[^]*by TCP\0/);
  expect(await client.next()).toMatch(/by TCP\0$/);
  socket.destroy();
  await until(() => app.stats().stompSessions === 1, 'it is gone');
});

it('cuts a slow reader off, once, and goes on for others', async () => {
  start();
  const [slow, other] = [await connected(), await connected()];
  for (const client of [slow, other]) {
    client.send('SUBSCRIBE\nid:0\ndestination:/topic/a\nreceipt:1\n\n\0');
    await client.next();
  }
  slow.socket.pause();
  let sent = 0;
  while (app.stats().stompSessions === 2) {
    for (let i = 0; i < 8; i++) void broker.publish('/topic/a', `${sent++} ${'x'.repeat(20_000)}`);
    await until(() => other.frames.size === 8, 'all for the other');
    for (let i = 0; i < 8; i++) await other.next();
  }
  expect(app.stats()).toMatchObject({ stompSlowReaders: 1, stompSessions: 1, stompErrors: 0 });
});
