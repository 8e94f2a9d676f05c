import { afterEach, describe, expect, it } from 'vitest';
import { MESSAGE_OVERHEAD } from '../../../../src/stomp/queue/queued-message.ts';
import { type Options, QueueThreads, until } from './queue-threads.ts';

let threads: QueueThreads;
afterEach(() => {
  threads.stop();
});

async function start(count: number, options: Options = {}) {
  threads = new QueueThreads(count, options);
  return threads.start();
}

describe.each([
  ['its own thread', 0],
  ['another thread', 1],
])('a client of a queue that is owned by %s', (_, owner) => {
  it('gets what others send, with their headers', async () => {
    const [thread] = await start(2);
    const queue = threads.queueOf(owner);
    const client = thread!.client();
    await client.send(queue, 'one', { destination: queue, receipt: 'r', colour: 'red', 'a:b': 'c\nd' });
    await client.subscribe(queue, 'client-individual');
    await client.send(queue, 'two', { 'content-type': 'text/plain' });
    await until(() => client.got.length === 2);
    const [one, two] = client.got;
    expect(one).toMatchObject({
      body: 'one',
      head: `\ndestination:${queue}\ncontent-length:3\ncolour:red\na\\cb:c\\nd`,
    });
    expect(two).toMatchObject({
      body: 'two',
      head: `\ndestination:${queue}\ncontent-length:3\ncontent-type:text/plain`,
    });
    expect(threads.total('QUEUE_UNACKNOWLEDGED')).toBe(2);
    await client.settle(one!.id);
    await client.settle(two!.id);
    expect(threads.total('QUEUE_MESSAGES')).toBe(0);
    expect(threads.total('QUEUE_BYTES')).toBe(0);
  });

  it('gets a message id without an acknowledgement, and as much as its connection takes', async () => {
    const [thread] = await start(2);
    const queue = threads.queueOf(owner);
    const client = thread!.client();
    await client.subscribe(queue, 'auto', 3);
    for (let i = 0; i < 10; i++) await client.send(queue, `${i}`);
    await until(() => threads.total('QUEUE_MESSAGES') === 0);
    expect(client.bodies).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
    const ids = client.got.map(({ head }) => /message-id:(\S+)/.exec(head)?.[1]);
    expect(new Set(ids).size).toBe(10);

    client.bufferedAmount = 1_000_000;
    for (let i = 0; i < 10; i++) await client.send(queue, `more ${i}`);
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    expect(client.got).toHaveLength(10);
    expect(threads.total('QUEUE_MESSAGES')).toBe(10);
    expect(threads.total('QUEUE_UNACKNOWLEDGED')).toBe(3);
    client.bufferedAmount = 0;
    await until(() => client.got.length === 20);
    await until(() => threads.total('QUEUE_MESSAGES') === 0);
  });

  it('gives back what it did not acknowledge when it ends, and what it was not sent as if it never had it', async () => {
    const [thread] = await start(2);
    const queue = threads.queueOf(owner);
    const [client, other] = [thread!.client(), thread!.client()];
    for (let i = 0; i < 4; i++) await client.send(queue, `${i}`);
    client.onMessage = () => {
      if (client.got.length === 2) client.bufferedAmount = 1_000_000;
    };
    await client.subscribe(queue, 'client');
    await until(() => client.got.length === 2 && threads.total('QUEUE_UNACKNOWLEDGED') === 4);
    client.end();
    await other.subscribe(queue, 'client');
    await until(() => other.got.length === 4);
    expect(other.bodies).toEqual(['0', '1', '2', '3']);
    const redelivered = other.got.map(({ head }) => head.includes('\nredelivered:true\ndelivery-count:2'));
    expect(redelivered).toEqual([true, true, false, false]);
    expect(threads.total('QUEUE_REDELIVERED')).toBe(2);
  });

  it('may say that a message is to be delivered again, or not', async () => {
    const [thread] = await start(2, { deadLetterQueue: '/queue/dead', maxDeliveries: 3 });
    const queue = threads.queueOf(owner);
    const client = thread!.client();
    const undertaker = thread!.client();
    await undertaker.subscribe('/queue/dead', 'auto');
    await client.subscribe(queue, 'client-individual');
    await client.send(queue, 'bad', { colour: 'red' });
    await client.send(queue, 'ugly', { 'odd:name': '1' });
    await until(() => client.got.length === 2);
    await client.settle(client.got[0]!.id, false);
    await until(() => client.got.length === 3);
    expect(client.got[2]).toMatchObject({ body: 'bad' });
    await client.settle(client.got[1]!.id, false, { requeue: 'false' });
    await until(() => undertaker.got.length === 1);
    await client.settle(client.got[2]!.id, false);
    await until(() => client.got.length === 4);
    await client.settle(client.got[3]!.id, false);
    await until(() => undertaker.got.length === 2);
    expect(undertaker.got.map(({ head, body }) => `${body}${head.replace(/\nmessage-id:.*/, '')}`)).toEqual([
      `ugly\ndestination:/queue/dead\ncontent-length:4\noriginal-destination:${queue}\ndead-letter-reason:rejected\ndeliveries:1\nodd\\cname:1`,
      `bad\ndestination:/queue/dead\noriginal-destination:${queue}\ndead-letter-reason:deliveries\ndeliveries:3\ncontent-length:3\ncolour:red`,
    ]);
    expect(threads.total('QUEUE_DEAD_LETTERED')).toBe(2);
  });

  it('is told what a queue has no room for', async () => {
    const [thread] = await start(2, { maxMessages: 2, maxQueues: 2 });
    const queue = threads.queueOf(owner);
    const said = async (destination: string): Promise<string[]> => {
      const client = thread!.client();
      await client.send(destination, 'x').catch((error: Error) => client.errors.push(error.message));
      return client.errors;
    };
    expect(await said(queue)).toEqual([]);
    expect(await said(queue)).toEqual([]);
    expect(await said(queue)).toEqual(['the queue is full']);
    expect(await said(threads.queueOf(owner, 'b'))).toEqual([]);
    expect(await said(threads.queueOf(owner, 'c'))).toEqual(['there are too many queues']);
    const client = thread!.client();
    await client
      .subscribe(threads.queueOf(owner, 'd'), 'auto')
      .catch((error: Error) => client.errors.push(error.message));
    expect(client.errors).toEqual(['there are too many queues']);
    expect(threads.total('QUEUE_REFUSED')).toBe(2);
  });

  it('is refused when all queues of an owner are too large', async () => {
    const [thread] = await start(2, { maxQueueMemory: 2 * MESSAGE_OVERHEAD + 100 });
    const client = thread!.client();
    await client.send(threads.queueOf(owner), 'x');
    await client.send(threads.queueOf(owner, 'b'), 'x');
    await client
      .send(threads.queueOf(owner, 'c'), 'x')
      .catch((error: Error) => client.errors.push(error.message));
    expect(client.errors).toEqual(['there is no room for more messages in queues']);
  });

  it('leaves no queue behind', async () => {
    const [thread] = await start(2);
    const client = thread!.client();
    const name = threads.queueOf(owner);
    // More than there may be at a time.
    for (let i = 0; i < 3000; i++) {
      const subscription = await client.subscribe(`${name}/${i}`, 'client');
      if (i % 2 === 0) await client.unsubscribe(subscription);
      else {
        await client.send(`${name}/${i}`, 'x');
        await until(() => client.got.length > 0);
        await client.settle(client.got.shift()!.id);
        await client.unsubscribe(subscription);
      }
    }
    expect(client.errors).toEqual([]);
  });
});

describe('consumers on several threads', () => {
  it('get messages in turn', async () => {
    const all = await start(3);
    const queue = threads.queueOf(0);
    const consumers = all.map((thread) => thread.client());
    for (const client of consumers) await client.subscribe(queue, 'client');
    for (let i = 0; i < 30; i++) await consumers[1]!.send(queue, `${i}`);
    await until(() => consumers.every(({ got }) => got.length === 10));
    expect(consumers[0]!.bodies).toEqual(Array.from({ length: 10 }, (_, i) => `${3 * i}`));
    // The last acknowledges all before it.
    for (const client of consumers) await client.settle(client.got[9]!.id);
    expect(threads.total('QUEUE_MESSAGES')).toBe(0);
  });

  it('get what one of them had whose thread died', async () => {
    const [first, second] = await start(2);
    const queue = threads.queueOf(0);
    const [steady, doomed] = [first!.client(), second!.client()];
    await doomed.subscribe(queue, 'client');
    for (let i = 0; i < 20; i++) await steady.send(queue, `${i}`);
    await until(() => doomed.got.length === 20);
    await doomed.settle(doomed.got[4]!.id);
    await threads.crash(1);
    await steady.subscribe(queue, 'client');
    await until(() => steady.got.length === 15);
    expect(steady.bodies).toEqual(Array.from({ length: 15 }, (_, i) => `${i + 5}`));
    expect(steady.got.every(({ head }) => head.includes('redelivered:true'))).toBe(true);
  });
});

describe('the owner of a queue', () => {
  it('that dies gets back what consumers have, and counts what is lost', async () => {
    const [first, second] = await start(2);
    const queue = threads.queueOf(1);
    const [client, idle] = [first!.client(), first!.client()];
    const lost = second!.client();
    await client.subscribe(queue, 'client-individual', 3);
    for (let i = 0; i < 10; i++) await client.send(queue, `${i}`);
    await until(() => client.got.length === 3);
    await lost.subscribe(queue, 'client-individual', 2);
    await until(() => lost.got.length === 2);
    await client.settle(client.got[0]!.id);
    await until(() => client.got.length === 4);
    // 1, 2 and 5 are with the client, 3 and 4 with one that dies, 6 to 9 wait.
    await threads.crash(1);
    await until(() => threads.total('QUEUE_MESSAGES') === 3);
    expect(threads.total('QUEUE_LOST')).toBe(9);
    expect(threads.total('QUEUE_RECOVERED')).toBe(3);
    expect(threads.total('QUEUE_UNACKNOWLEDGED')).toBe(3);
    await idle.subscribe(queue, 'client-individual');
    // Acknowledged where it was, returned, and left.
    await client.settle(client.got[1]!.id);
    await client.settle(client.got[2]!.id, false);
    client.end();
    await until(() => idle.got.length === 2);
    expect(idle.bodies).toEqual(['2', '5']);
    await idle.send(queue, 'new');
    await until(() => idle.got.length === 3);
    await idle.settle(idle.got[0]!.id);
    await idle.settle(idle.got[1]!.id);
    await idle.settle(idle.got[2]!.id);
    expect(threads.total('QUEUE_MESSAGES')).toBe(0);
  });

  it('that dies fails what is on its way, with words that say so, and takes what comes then', async () => {
    const [first, second] = await start(2);
    const queue = threads.queueOf(1);
    const [unlucky, early] = [first!.client(), first!.client()];
    await unlucky.send(queue, 'known');
    // It does not answer any more.
    second!.participant.unlink = () => {};
    const pause = (second!.participant as unknown as { onRecord: unknown }).onRecord;
    (second!.participant as unknown as { onRecord: () => boolean }).onRecord = () => true;
    const sent = unlucky.send(queue, 'on its way');
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    const waiting = early.send(queue, 'waits');
    delete (second!.participant as { unlink?: unknown }).unlink;
    (second!.participant as unknown as { onRecord: unknown }).onRecord = pause;
    await threads.crash(1);
    await sent;
    await waiting;
    expect(unlucky.errors).toEqual([
      'the thread of this queue ended or does not answer; whether the message was stored is not known',
    ]);
    expect(early.errors).toEqual([]);
    const reader = first!.client();
    await reader.subscribe(queue, 'auto');
    await until(() => reader.got.length === 1);
    expect(reader.bodies).toEqual(['waits']);
  });

  it('takes back what clients had of a thread that was replaced, though that had no time to say so', async () => {
    const [first, second] = await start(2);
    const queue = threads.queueOf(0);
    const [client, leaving] = [first!.client(), second!.client()];
    await leaving.subscribe(queue, 'client-individual', 2);
    await client.send(queue, 'x');
    await until(() => leaving.got.length === 1);
    // Its end does not get beyond its thread.
    second!.queues.unsubscribe = () => {};
    await threads.reload(1);
    await client.subscribe(queue, 'client-individual');
    await until(() => client.got.length === 1);
    expect(client.got[0]!.head).toContain('redelivered:true');
  });

  it('that is replaced leaves all to its successor', async () => {
    const [first, second] = await start(2, { deadLetterQueue: '/queue/dead' });
    const queue = threads.queueOf(1);
    const client = first!.client();
    const leaving = second!.client();
    await client.subscribe(queue, 'client-individual', 2);
    await leaving.subscribe(queue, 'client-individual', 2);
    for (let i = 0; i < 10; i++) await client.send(queue, `${i}`);
    await until(() => client.got.length === 2 && leaving.got.length === 2);
    await threads.reload(1);
    expect(threads.total('QUEUE_MESSAGES')).toBe(10);
    expect(threads.total('QUEUE_LOST')).toBe(0);
    client.onMessage = ({ id }) => void client.settle(id);
    for (const { id } of client.got.slice()) await client.settle(id);
    await until(() => threads.total('QUEUE_MESSAGES') === 0);
    expect(client.bodies).toEqual(['0', '2', '1', '3', '4', '5', '6', '7', '8', '9']);
  });

  it('that is replaced ten times under load loses nothing, and nothing comes twice', async () => {
    await start(2);
    const queue = threads.queueOf(1);
    const thread = await threads.reload(0);
    const [producer, consumer] = [thread.client(), thread.client()];
    consumer.onMessage = ({ id }) => void consumer.settle(id);
    await consumer.subscribe(queue, 'client-individual', 10);
    let sent = 0;
    let isLoading = true;
    const load = (async () => {
      while (isLoading) {
        await Promise.all(Array.from({ length: 20 }, () => producer.send(queue, `${sent++}`)));
      }
    })();
    for (let i = 0; i < 10; i++) {
      await threads.reload(1);
      const before = consumer.got.length;
      await until(() => consumer.got.length > before);
    }
    isLoading = false;
    await load;
    await until(() => threads.total('QUEUE_MESSAGES') === 0 && consumer.got.length >= sent);
    expect(producer.errors).toEqual([]);
    expect(consumer.bodies).toEqual(Array.from({ length: sent }, (_, i) => `${i}`));
    expect(consumer.got.some(({ head }) => head.includes('redelivered'))).toBe(false);
  });

  it('drops what has waited for too long', async () => {
    const [thread] = await start(1, { maxAge: 20 });
    const client = thread!.client();
    await client.send('/queue/a', 'old');
    await until(() => threads.total('QUEUE_DROPPED') === 1);
    expect(threads.total('QUEUE_MESSAGES')).toBe(0);
  });
});
