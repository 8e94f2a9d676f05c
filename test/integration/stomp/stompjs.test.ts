import { Client, type IMessage, type StompConfig, Versions } from '@stomp/stompjs';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '../../support/tools/deadline.ts';
import { WebSocketBroker } from './websocket-broker.ts';

const brokers: WebSocketBroker[] = [];
const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.deactivate({ force: true });
  for (const broker of brokers.splice(0)) broker.close();
});

function brokerOf(...args: ConstructorParameters<typeof WebSocketBroker>): WebSocketBroker {
  const broker = new WebSocketBroker(...args);
  brokers.push(broker);
  return broker;
}

type Config = Pick<StompConfig, keyof StompConfig>;

/** A client, and what it was told. */
class Talker {
  readonly client: Client;
  readonly errors: string[] = [];
  readonly receipts: string[] = [];
  connects = 0;
  closes = 0;

  constructor(broker: WebSocketBroker, version: string, config: Config = {}) {
    const stompVersions = new Versions([version]);
    this.client = new Client({
      stompVersions,
      webSocketFactory: () => new WebSocket(broker.url, stompVersions.protocolVersions()),
      reconnectDelay: 0,
      heartbeatIncoming: 0,
      heartbeatOutgoing: 0,
      onConnect: () => this.connects++,
      onWebSocketClose: () => this.closes++,
      onStompError: ({ headers }) => this.errors.push(headers['message'] ?? ''),
      onUnhandledReceipt: ({ headers }) => this.receipts.push(headers['receipt-id'] ?? ''),
      ...config,
    });
    clients.push(this.client);
  }

  static async connected(broker: WebSocketBroker, version: string, config?: Config): Promise<Talker> {
    const talker = new Talker(broker, version, config);
    await talker.connect();
    return talker;
  }

  async connect(): Promise<void> {
    this.client.activate();
    await until(() => this.connects > 0, 'the client is connected');
  }

  /** Subscribes, and gives the list that messages go to, when the server knows. */
  async subscribed(
    destination: string,
    headers: Record<string, string> = {},
    onMessage?: (message: IMessage) => void,
  ): Promise<IMessage[]> {
    const messages: IMessage[] = [];
    const receipt = `subscribed-${destination}`;
    const take = (message: IMessage): void => {
      messages.push(message);
      onMessage?.(message);
    };
    this.client.subscribe(destination, take, { receipt, ...headers });
    await until(() => this.receipts.includes(receipt), 'it is subscribed');
    return messages;
  }
}

const bodies = (messages: readonly IMessage[]): string[] => messages.map(({ body }) => body);

describe.each(['1.0', '1.1', '1.2'])('stompjs in STOMP %s', (version) => {
  it('connects, is told who is there, and leaves when all is done', async () => {
    const broker = brokerOf();
    const talker = await Talker.connected(broker, version, {
      connectHeaders: { login: 'me', passcode: 'a:b\\c', host: 'h' },
    });
    expect(talker.client.connectedVersion).toBe(version);
    expect([...broker.sessions].map(({ stomp }) => stomp.version)).toEqual([version]);
    await talker.client.deactivate();
    expect([broker.sessions.size, broker.ended, talker.errors]).toEqual([0, 1, []]);
  });

  it('gets what it sends: text, headers, nothing, and what is not text', async () => {
    const broker = brokerOf();
    const { client, errors, ...talker } = await Talker.connected(broker, version);
    expect(talker.receipts).toEqual([]);
    const messages: IMessage[] = [];
    client.subscribe('/topic/a', (message) => messages.push(message), { id: 'mine' });
    client.publish({ destination: '/topic/a', body: 'hällo ☃ 𝄞', headers: { colour: 'räd', odd: 'a:b' } });
    client.publish({ destination: '/topic/a' });
    const bytes = Uint8Array.of(0, 255, 10, 0, 13, 200);
    client.publish({ destination: '/topic/a', binaryBody: bytes });
    client.publish({ destination: '/topic/a', body: 'one\0two' });
    client.publish({ destination: '/topic/b', body: 'not for it' });
    client.publish({ destination: '/topic/a', body: 'last' });
    await until(() => messages.length === 5, 'all have come');
    expect(bodies(messages).toSpliced(2, 1)).toEqual(['hällo ☃ 𝄞', '', 'one\0two', 'last']);
    expect([...messages[2]!.binaryBody]).toEqual([...bytes]);
    expect(messages[0]!.headers).toMatchObject({
      colour: 'räd',
      // It knows the escapes of 1.2 only.
      odd: version === '1.1' ? 'a\\cb' : 'a:b',
      destination: '/topic/a',
      subscription: 'mine',
    });
    expect(errors).toEqual([]);
  });

  it('is confirmed what it wants confirmed, and no more when it has unsubscribed', async () => {
    const broker = brokerOf();
    const talker = await Talker.connected(broker, version);
    const { client, receipts } = talker;
    const messages: IMessage[] = [];
    const subscription = client.subscribe('/topic/a', (message) => messages.push(message), { receipt: '1' });
    client.publish({ destination: '/topic/a', body: 'one', headers: { receipt: '2' } });
    await until(() => receipts.includes('2'), 'the second RECEIPT');
    subscription.unsubscribe({ receipt: '3' });
    client.publish({ destination: '/topic/a', body: 'two', headers: { receipt: '4' } });
    await until(() => receipts.length === 4, 'all RECEIPTs');
    expect([receipts, bodies(messages)]).toEqual([['1', '2', '3', '4'], ['one']]);
  });

  it('acknowledges one, or all before it', async () => {
    const broker = brokerOf();
    const talker = await Talker.connected(broker, version);
    const sender = await Talker.connected(broker, version);
    const cumulative = await talker.subscribed('/queue/all', { ack: 'client' }, (message) => {
      if (message.body === '3') message.ack();
    });
    const send = (destination: string): void => {
      for (const body of ['1', '2', '3']) {
        sender.client.publish({ destination, body, headers: { token: `${destination} ${body}` } });
      }
    };
    send('/queue/all');
    await until(() => broker.settled.length === 3, 'all are acknowledged');
    expect(bodies(cumulative)).toEqual(['1', '2', '3']);
    if (version === '1.0') return;
    await talker.subscribed('/queue/each', { ack: 'client-individual' }, (message) => {
      if (message.body === '2') message.ack();
      if (message.body === '3') message.nack();
    });
    send('/queue/each');
    await until(() => broker.settled.length === 5, 'two more are settled');
    expect(broker.settled.slice(3)).toEqual(['/queue/each 2', 'not /queue/each 3']);
    const [session] = broker.sessions;
    expect(session!.stomp.subscriptions.unacknowledged).toBe(1);
  });

  it('does what is in a transaction when it commits, and nothing of one that it aborts', async () => {
    const broker = brokerOf();
    const talker = await Talker.connected(broker, version);
    const { client, receipts } = talker;
    const messages = await talker.subscribed('/queue/a', { ack: 'client' });
    const results = await talker.subscribed('/queue/results');
    client.publish({ destination: '/queue/a', body: 'work', headers: { token: 'work' } });
    await until(() => messages.length === 1, 'there is work');
    const given = client.begin();
    client.publish({ destination: '/queue/results', body: 'never', headers: { transaction: given.id } });
    messages[0]!.ack({ transaction: given.id });
    given.abort();
    const taken = client.begin('mine');
    client.publish({ destination: '/queue/results', body: 'done', headers: { transaction: 'mine' } });
    messages[0]!.ack({ transaction: taken.id });
    client.publish({ destination: '/queue/results', body: 'before', headers: { receipt: 'r' } });
    await until(() => receipts.includes('r'), 'all is read');
    expect([broker.settled, bodies(results)]).toEqual([[], ['before']]);
    taken.commit();
    await until(() => results.length === 2, 'it is done');
    expect([broker.settled, bodies(results)]).toEqual([['work'], ['before', 'done']]);
  });

  it('is told what it may not, and closed', async () => {
    const broker = brokerOf();
    broker.onAuthorize = (_action, destination) => Promise.resolve(destination !== '/topic/secret');
    const talker = await Talker.connected(broker, version);
    talker.client.publish({ destination: '/topic/open', body: 'x' });
    talker.client.subscribe('/topic/secret', () => undefined, { receipt: 'r' });
    await until(() => talker.closes === 1, 'it is closed');
    expect([talker.errors, talker.receipts]).toEqual([['subscribing there is not allowed'], []]);
    expect(broker.sessions.size).toBe(0);

    broker.onConnect = ({ login, passcode }) => Promise.resolve(login === 'me' && passcode === 'right');
    const refused = new Talker(broker, version, { connectHeaders: { login: 'me', passcode: 'wrong' } });
    refused.client.activate();
    await until(() => refused.closes === 1, 'it is refused');
    expect([refused.errors, refused.connects]).toEqual([['access refused'], 0]);
    await Talker.connected(broker, version, { connectHeaders: { login: 'me', passcode: 'right' } });
  });

  it('sends a large frame in many messages, as text or binary', async () => {
    const broker = brokerOf({
      frames: {
        maxHeaders: 64,
        maxLineLength: 8192,
        maxBodyLength: 1024 * 1024,
        maxFrameLength: 2 * 1024 * 1024,
      },
    });
    const body = 'wörds and ☃ '.repeat(30_000);
    for (const config of [{ splitLargeFrames: true }, { forceBinaryWSFrames: true }]) {
      const before = { ...broker.received };
      const talker = await Talker.connected(broker, version, config);
      const messages = await talker.subscribed('/topic/a');
      talker.client.publish({ destination: '/topic/a', body });
      await until(() => messages.length === 1, 'it has come');
      expect(messages[0]!.body === body).toBe(true);
      const { text, binary } = broker.received;
      if (config.splitLargeFrames) expect(text - before.text).toBeGreaterThan(40);
      else expect([text - before.text, binary - before.binary]).toEqual([0, 3]);
    }
  });

  it('sends a body with NUL and no length at its peril', async () => {
    const broker = brokerOf();
    const talker = await Talker.connected(broker, version);
    const messages = await talker.subscribed('/topic/a');
    talker.client.publish({ destination: '/topic/a', body: 'one\0two', skipContentLengthHeader: true });
    await until(() => talker.closes === 1, 'it is closed');
    expect([bodies(messages), talker.errors]).toEqual([['one'], ['unknown command']]);
  });

  it('comes back when it was cut off, and subscribes again', async () => {
    const broker = brokerOf();
    const messages: IMessage[] = [];
    const talker = new Talker(broker, version, { reconnectDelay: 10 });
    talker.client.onConnect = () => {
      talker.connects++;
      talker.client.subscribe('/topic/a', (message) => messages.push(message), { id: 'same' });
    };
    await talker.connect();
    broker.cut();
    await until(() => talker.connects === 2, 'it is back');
    talker.client.publish({ destination: '/topic/a', body: 'still here' });
    await until(() => messages.length === 1, 'it gets messages');
    expect([broker.sessions.size, broker.ended, talker.errors]).toEqual([1, 1, []]);
  });

  it('and the server keep a silent connection alive', async () => {
    const broker = brokerOf({ heartBeat: { send: 100, receive: 100 } });
    const beats = { sent: 0, received: 0 };
    const talker = await Talker.connected(broker, version, {
      heartbeatIncoming: 100,
      heartbeatOutgoing: 100,
      // A busy machine is late.
      heartbeatToleranceMultiplier: 300,
      debug: (text) => {
        if (text.includes('PONG')) beats.received++;
        if (text.includes('PING')) beats.sent++;
      },
    });
    // Clients of 1.0 know of no heart-beats, and stompjs does none then.
    if (version === '1.0') return;
    await until(() => beats.sent > 2 && beats.received > 2, 'both have beaten');
    expect([talker.closes, broker.sessions.size]).toEqual([0, 1]);
  });
});

describe('escapes of stompjs in STOMP 1.2', () => {
  it('come back as they were sent', async () => {
    const broker = brokerOf();
    const talker = await Talker.connected(broker, '1.2');
    const messages = await talker.subscribed('/topic/a');
    const headers = { colon: 'c:d:', back: 'x\\y\\', lines: 'one\ntwo\r\nthree' };
    talker.client.publish({ destination: '/topic/a', headers, body: 'x' });
    await until(() => messages.length === 1, 'it has come');
    expect(messages[0]!.headers).toMatchObject(headers);
  });
});

describe('what a client cannot do to another', () => {
  it('is settle its messages', async () => {
    const broker = brokerOf();
    const [mine, other] = [await Talker.connected(broker, '1.2'), await Talker.connected(broker, '1.2')];
    const messages = await mine.subscribed('/queue/a', { ack: 'client-individual' });
    other.client.publish({ destination: '/queue/a', body: 'x', headers: { token: 'x' } });
    await until(() => messages.length === 1, 'it has come');
    other.client.ack(messages[0]!.headers['message-id']!, 'sub-0');
    await until(() => other.closes === 1, 'who acknowledges what it never got is closed');
    expect(other.errors).toEqual(['this session was sent no message of this id']);
    expect(broker.settled).toEqual([]);
    messages[0]!.ack({ receipt: 'first' });
    messages[0]!.ack({ receipt: 'again' });
    await until(() => mine.receipts.includes('again'), 'both are confirmed');
    expect([broker.settled, mine.errors]).toEqual([['x'], []]);
  });

  it('is keep the server full of transactions', async () => {
    const broker = brokerOf({
      transactions: { maxTransactions: 2, maxTransactionFrames: 1000, maxTransactionBytes: 100_000 },
    });
    const listener = await Talker.connected(broker, '1.2');
    const messages = await listener.subscribed('/topic/a');
    const failures: [(client: Client) => void, string][] = [
      [
        (client) => {
          client.begin('t');
          client.begin('t');
        },
        'the transaction has begun already',
      ],
      [
        (client) => {
          for (const id of ['1', '2', '3']) client.begin(id);
        },
        'more than 2 transactions',
      ],
      [
        (client) => {
          const { id } = client.begin();
          for (let i = 0; i <= 1000; i++) {
            client.publish({ destination: '/topic/a', headers: { transaction: id } });
          }
        },
        'more than 1000 frames in transactions',
      ],
      [
        (client) => {
          const { id } = client.begin();
          for (let i = 0; i < 3; i++) {
            client.publish({
              destination: '/topic/a',
              body: 'x'.repeat(40_000),
              headers: { transaction: id },
            });
          }
        },
        'more than 100000 bytes in transactions',
      ],
    ];
    for (const [abuse, message] of failures) {
      const talker = await Talker.connected(broker, '1.2');
      abuse(talker.client);
      await until(() => talker.closes === 1, 'it is closed');
      expect(talker.errors).toEqual([message]);
    }
    // One that leaves with a transaction open: none of it is done.
    const leaver = await Talker.connected(broker, '1.2');
    const { id } = leaver.client.begin();
    leaver.client.publish({ destination: '/topic/a', body: 'never', headers: { transaction: id } });
    await leaver.client.deactivate();
    listener.client.publish({ destination: '/topic/a', body: 'last' });
    await until(() => messages.length > 0, 'the last has come');
    expect(bodies(messages)).toEqual(['last']);
  });
});
