import { createRequire } from 'node:module';
import { afterEach, expect, it } from 'vitest';
import { until } from '../../support/tools/deadline.ts';
import { TcpBroker } from './tcp-broker.ts';

/** What is used of stompit, which has no types of its own. */
interface Message {
  readString(encoding: string, done: (error: Error | null, text: string) => void): void;
}
interface StompitClient {
  subscribe(headers: object, onMessage: (error: Error | null, message: Message) => void): void;
  send(headers: object): { end(text: string): void };
  ack(message: Message): void;
  nack(message: Message): void;
  disconnect(done: (error: Error | null) => void): void;
  destroy(): void;
  on(event: 'error', listener: (error: Error) => void): void;
}
interface Stompit {
  connect(options: object, done: (error: Error | null, client: StompitClient) => void): void;
}

const stompit = createRequire(import.meta.url)('stompit') as Stompit;

let broker: TcpBroker;
let client: StompitClient | null = null;
afterEach(() => {
  client?.destroy();
  broker.close();
});

function connected(version: string, heartBeat = '0,0'): Promise<StompitClient> {
  return new Promise((resolve, reject) => {
    const connectHeaders = { host: '/', 'accept-version': version, 'heart-beat': heartBeat };
    stompit.connect({ host: '127.0.0.1', port: broker.port, connectHeaders }, (error, opened) => {
      if (error === null) resolve(opened);
      else reject(error);
    });
  });
}

it.each(['1.0', '1.1', '1.2'])(
  'stompit sends, subscribes, acknowledges and leaves in STOMP %s',
  async (version) => {
    broker = new TcpBroker();
    client = await connected(version);
    const texts: string[] = [];
    const errors: Error[] = [];
    client.on('error', (error) => errors.push(error));
    client.subscribe({ destination: '/queue/a', ack: 'client' }, (error, message) => {
      if (error !== null) {
        errors.push(error);
        return;
      }
      message.readString('utf-8', (failure, text) => {
        if (failure !== null) errors.push(failure);
        texts.push(text);
        if (text === 'no' && version !== '1.0') client!.nack(message);
        else client!.ack(message);
      });
    });
    const bodies = ['wäll', 'no', 'a\0b', 'x'.repeat(50_000)];
    for (const [i, text] of bodies.entries()) {
      client
        .send({ destination: '/queue/a', token: `t${i}`, 'content-length': Buffer.byteLength(text) })
        .end(text);
    }
    await until(() => broker.settled.length === bodies.length, 'all are settled');
    expect(texts).toEqual(bodies);
    expect(broker.settled).toEqual(['t0', version === '1.0' ? 't1' : 'not t1', 't2', 't3']);
    const leaving = client;
    await new Promise<void>((resolve, reject) => {
      leaving.disconnect((error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    expect(broker.sessions.size).toBe(0);
    expect(errors.map(({ message }) => message)).toEqual([]);
  },
);

it('stompit and the server keep a silent connection alive by heart-beats', async () => {
  broker = new TcpBroker();
  client = await connected('1.2', '1000,2000');
  const errors: Error[] = [];
  client.on('error', (error) => errors.push(error));
  const [session] = broker.sessions;
  const since = performance.now();
  // Longer than either side would wait for the other in vain.
  await until(
    () => performance.now() - since > 4500 || errors.length > 0,
    'there was time for both to give up',
  );
  expect(errors).toEqual([]);
  expect(session!.stomp.isConnected).toBe(true);
});
