import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { createApp, createSslApp, partsOf } from '../../../src/app/app.ts';
import { listenTcp } from '../../../src/stomp/front/tcp-binding.ts';
import type { TcpOptions } from '../../../src/stomp/front/tcp-options.ts';
import { tlsOptions } from '../../support/tls/tls-mode.ts';
import { until } from '../../support/tools/deadline.ts';
import { TcpBroker } from './tcp-broker.ts';

const brokers: TcpBroker[] = [];
const clients: Client[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.socket.destroy();
  for (const broker of brokers.splice(0)) broker.close();
});

function brokerOf(...args: ConstructorParameters<typeof TcpBroker>): TcpBroker {
  const broker = new TcpBroker(...args);
  brokers.push(broker);
  return broker;
}

/** A socket, and what came from it. */
class Client {
  readonly socket: Socket;
  text = '';
  isEnded = false;
  isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      this.text += data.toString('latin1');
    });
    socket.on('end', () => {
      this.isEnded = true;
    });
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  static async open(broker: TcpBroker, allowHalfOpen = false): Promise<Client> {
    const socket = connect({ port: broker.port, host: '127.0.0.1', allowHalfOpen });
    const client = new Client(socket);
    clients.push(client);
    await once(socket, 'connect');
    return client;
  }

  static async connected(broker: TcpBroker): Promise<Client> {
    const client = await Client.open(broker);
    client.socket.write(CONNECT);
    await client.saw('CONNECTED');
    return client;
  }

  async saw(part: string): Promise<void> {
    await until(() => this.text.includes(part), `${JSON.stringify(part)} is in ${JSON.stringify(this.text)}`);
  }

  async over(): Promise<void> {
    await until(() => this.isEnded || this.isClosed, 'the server ends the connection');
  }
}

const CONNECT = 'CONNECT\naccept-version:1.2\nhost:x\n\n\0';
const SESSION = [
  CONNECT,
  'SUBSCRIBE\nid:0\ndestination:/topic/a\nack:client\nreceipt:r1\n\n\0\n',
  'SEND\ndestination:/topic/a\ntoken:t1\ncontent-length:5\n\na\0b\nc\0',
  '\nACK\nid:s1-1\nreceipt:r2\n\n\0',
  'DISCONNECT\nreceipt:r3\n\n\0',
].join('');
const ANSWER = [
  'CONNECTED\nversion:1.2\nsession:s1\nserver:millrace/0\nheart-beat:1000,1000\n\n\0',
  'RECEIPT\nreceipt-id:r1\n\n\0',
  'MESSAGE\nsubscription:0\nmessage-id:s1-1\nack:s1-1\ncontent-length:5\ndestination:/topic/a\nmessage-id:t1\n\na\0b\nc\0',
  'RECEIPT\nreceipt-id:r2\n\n\0',
  'RECEIPT\nreceipt-id:r3\n\n\0',
].join('');

describe('a session over TCP', () => {
  it('is the same whatever pieces its bytes come in', async () => {
    const broker = brokerOf();
    for (let split = 0; split < SESSION.length; split++) {
      const client = await Client.open(broker);
      const before = broker.sessions.size;
      client.socket.write(SESSION.slice(0, split), 'latin1');
      if (split > 0) await until(() => client.socket.bytesWritten === split, 'the first piece has left');
      client.socket.write(SESSION.slice(split), 'latin1');
      await client.saw('receipt-id:r3\n\n\0');
      expect(client.text, `split at ${split}`).toBe(ANSWER);
      expect(before).toBe(1);
      client.socket.end();
      await until(() => broker.sessions.size === 0 && client.isClosed, 'it is over');
    }
    expect(broker.settled).toEqual(Array.from({ length: SESSION.length }, () => 't1'));
    expect(broker.ended).toBe(SESSION.length);
  });

  it('is the same byte by byte', async () => {
    const broker = brokerOf();
    const client = await Client.open(broker);
    for (const byte of Buffer.from(SESSION, 'latin1')) {
      client.socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    await client.saw('receipt-id:r3');
    expect(client.text).toBe(ANSWER);
  });

  it('goes on where it was when the broker decides later, with all that was sent meanwhile', async () => {
    const broker = brokerOf();
    const asked: ((isAllowed: boolean) => void)[] = [];
    broker.onConnect = () => new Promise((resolve) => asked.push(resolve));
    broker.onAuthorize = () => new Promise((resolve) => setImmediate(resolve, true));
    const client = await Client.open(broker);
    const sends = Array.from(
      { length: 2000 },
      (_, i) => `SEND\ndestination:/topic/b\ntoken:t${i}\n\n${'x'.repeat(100)}\0`,
    ).join('');
    client.socket.write(
      `${CONNECT}SUBSCRIBE\nid:0\ndestination:/topic/b\n\n\0${sends}DISCONNECT\nreceipt:end\n\n\0`,
    );
    await until(() => asked.length === 1, 'the broker is asked');
    asked[0]!(true);
    await client.saw('receipt-id:end');
    const ids = Array.from(client.text.matchAll(/message-id:t(\d+)/g), (match) => Number(match[1]));
    expect(ids).toEqual(Array.from({ length: 2000 }, (_, i) => i));
  });

  it('does what was pipelined before a FIN, and answers it', async () => {
    const broker = brokerOf();
    broker.onConnect = () => new Promise((resolve) => setImmediate(resolve, true));
    const client = await Client.open(broker, true);
    client.socket.end(
      `${CONNECT}SUBSCRIBE\nid:0\ndestination:/topic/c\n\n\0SEND\ndestination:/topic/c\nreceipt:last\n\nx\0`,
    );
    await client.saw('receipt-id:last');
    expect(client.text).toContain('MESSAGE\nsubscription:0');
    await client.over();
    expect(client.isEnded).toBe(true);
    await until(() => broker.sessions.size === 0, 'the session is over');
  });

  it('ends with its connection, also by RST', async () => {
    const broker = brokerOf();
    const [one, two] = [await Client.connected(broker), await Client.connected(broker)];
    one.socket.write('SUBSCRIBE\nid:0\ndestination:/topic/d\nreceipt:r\n\n\0');
    await one.saw('receipt-id:r');
    one.socket.resetAndDestroy();
    await until(() => broker.sessions.size === 1, 'the session is over');
    two.socket.write('SEND\ndestination:/topic/d\nreceipt:r\n\nx\0');
    await two.saw('receipt-id:r');
  });

  it('gets an ERROR, then FIN, for what is wrong, and what comes behind is not looked at', async () => {
    const broker = brokerOf();
    const client = await Client.open(broker, true);
    client.socket.write('BEGIN\ntransaction:t\n\n\0');
    await client.over();
    expect(client.text).toMatch(/^ERROR\nmessage:the first frame must be CONNECT\n[^]*\0$/);
    // The server reads on, so that no reset eats the ERROR.
    client.socket.end('x'.repeat(100_000));
    await until(() => client.isClosed, 'both have ended');
    expect(broker.ended).toBe(1);
  });

  it('is refused when authentication fails', async () => {
    const broker = brokerOf();
    broker.onConnect = () => Promise.resolve(false);
    const client = await Client.open(broker);
    client.socket.write(CONNECT);
    await client.over();
    expect(client.text).toContain('message:access refused');
  });

  it('gets an ERROR when CONNECT does not come in time', async () => {
    const client = await Client.open(brokerOf({ connectTimeout: 1000 }));
    await client.over();
    expect(client.text).toContain('message:not connected in time');
  });
});

describe('heart-beats over TCP', () => {
  it('are sent, and a client that sends none is told and closed', async () => {
    const broker = brokerOf();
    const client = await Client.open(broker);
    client.socket.write('CONNECT\naccept-version:1.2\nhost:x\nheart-beat:1000,1000\n\n\0');
    await client.saw('CONNECTED');
    await client.over();
    const [, beats] = client.text.split('\n\n\0');
    expect(beats).toMatch(/^\n+ERROR\nmessage:no heart-beat for \d+ ms\n/);
  });
});

describe('a client that does not read', () => {
  it('is cut off and counted when more waits for it than may, and costs the others nothing', async () => {
    const broker = brokerOf();
    broker.maxBackpressure = 256 * 1024;
    const [slow, reader, sender] = [
      await Client.connected(broker),
      await Client.connected(broker),
      await Client.connected(broker),
    ];
    for (const client of [slow, reader]) {
      client.socket.write('SUBSCRIBE\nid:0\ndestination:/topic/e\nreceipt:r\n\n\0');
      await client.saw('receipt-id:r');
    }
    slow.socket.pause();
    const frame = `SEND\ndestination:/topic/e\n\n${'y'.repeat(60_000)}\0`;
    let sent = 0;
    while (broker.slowReaders === 0) {
      sender.socket.write(frame);
      sent++;
      await until(() => reader.text.split('MESSAGE').length > sent, 'the reader has it');
    }
    await until(() => broker.sessions.size === 2, 'it is gone');
    expect(broker.slowReaders).toBe(1);
    sender.socket.write('SEND\ndestination:/topic/e\n\nlast\0');
    await reader.saw('last');
  });
});

describe('the port', () => {
  it('does TLS with the certificates of the App', async () => {
    const broker = brokerOf({}, createSslApp({ ...tlsOptions(), maxConnectionsPerAddress: 0 }), true);
    const socket = connectTls({ port: broker.port, host: '127.0.0.1', rejectUnauthorized: false });
    const client = new Client(socket);
    clients.push(client);
    await once(socket, 'secureConnect');
    socket.write(SESSION, 'latin1');
    await client.saw('receipt-id:r3\n\n\0');
    expect(client.text).toBe(ANSWER);
  });

  it('needs an App with certificates for TLS', () => {
    expect(() => new TcpBroker({}, createApp(), true)).toThrow(
      /stompBroker: 'tcp': TLS needs the certificates/,
    );
  });

  it('is told by its option when it is taken, or is none', () => {
    const broker = brokerOf();
    const listen = (options: object) => () => listenTcp(broker.app, '/other', options as TcpOptions, broker);
    expect(listen({ port: broker.port, host: '127.0.0.1' })).toThrow(
      `stompBroker: 'tcp': Cannot listen on 127.0.0.1 port ${broker.port} (EADDRINUSE)`,
    );
    expect(listen({ port: 70_000 })).toThrow(
      /stompBroker: 'tcp': 'port' must be an integer from 0 to 65,?535/,
    );
    expect(listen({ port: 0, host: 'example.com' })).toThrow(/'host' must be an IP address/);
    expect(listen({ port: 0, tls: 'yes' })).toThrow(/'tls' must be true or false/);
    expect(() => listenTcp(broker.app, '/stomp', { port: 0 }, broker)).toThrow(
      /'\/stomp' has a port already/,
    );
  });

  it('drains with a FIN and no ERROR, behind what was answered', async () => {
    const broker = brokerOf();
    const client = await Client.connected(broker);
    const { shard } = partsOf(broker.app);
    const drained = shard.drain({ code: 1001, deadline: 10_000, grace: 0 }, broker.app, Promise.resolve());
    await client.over();
    await drained;
    expect(client.isEnded).toBe(true);
    expect(client.text).not.toContain('ERROR');
    expect(broker.sessions.size).toBe(0);
  });

  it('is closed with the App, and connections with it', async () => {
    const broker = brokerOf();
    const client = await Client.connected(broker);
    broker.close();
    await client.over();
    expect(broker.sessions.size).toBe(0);
    const late = connect(broker.port, '127.0.0.1');
    await expect(once(late, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
