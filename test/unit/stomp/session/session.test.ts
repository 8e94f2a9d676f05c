import { describe, expect, it } from 'vitest';
import type { StompVersion } from '../../../../src/stomp/codec/frame.ts';
import { StompError, StompFault } from '../../../../src/stomp/codec/frame.ts';
import { DrivenSession } from './driven-session.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A promise that is settled when the test wants it. */
function later<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const error = (message: string, receipt = ''): string =>
  `ERROR message:${message}${receipt === '' ? '' : ` receipt-id:${receipt}`} content-type:text/plain ${message}`;

describe('connecting', () => {
  it.each<[string, string]>([
    ['CONNECT\naccept-version:1.0,1.1,1.2\nhost:h\n\n', '1.2'],
    ['STOMP\naccept-version:1.1\nhost:h\n\n', '1.1'],
    ['CONNECT\nhost:h\n\n', '1.0'],
  ])('by %j agrees on %s', (frame, version) => {
    const driven = new DrivenSession();
    driven.say(frame);
    expect(driven.taken()).toEqual([
      `CONNECTED version:${version} session:s1 server:millrace/0 heart-beat:10000,10000`,
    ]);
    expect(driven.session.version).toBe(version);
    expect(driven.session.isConnected).toBe(true);
  });

  it('tells the handler who it is', () => {
    const driven = new DrivenSession();
    driven.say('\n\nCONNECT\nlogin:me\npasscode:a\\nb\nhost:v\naccept-version:1.2\n\n');
    expect(driven.log).toEqual(['connect me a\\nb v']);
  });

  it.each<[string, string, string]>([
    [
      'a version nobody speaks',
      'CONNECT\naccept-version:3.0\n\n',
      'ERROR version:1.0,1.1,1.2 message:no version in common content-type:text/plain no version in common',
    ],
    [
      'a heart-beat that is none',
      'CONNECT\naccept-version:1.2\nheart-beat:soon\n\n',
      error('heart-beat is not two numbers of milliseconds'),
    ],
    [
      'another frame first',
      'SEND\ndestination:/a\nreceipt:7\n\n',
      error('the first frame must be CONNECT', '7'),
    ],
    ['a body', 'CONNECT\naccept-version:1.2\n\nx', error('CONNECT has no body')],
    [
      'a length before it',
      'CONNECT\ncontent-length:-1\n\n',
      error('content-length is not a number of bytes'),
    ],
    [
      'too long a frame',
      `CONNECT\n${`a:${'b'.repeat(1000)}\n`.repeat(17)}\n`,
      error('a frame is longer than 16384 bytes'),
    ],
  ])('with %s is refused by an ERROR, and ends', (_name, frame, answer) => {
    const driven = new DrivenSession();
    driven.say(frame);
    expect(driven.taken()).toEqual([answer]);
    expect([driven.finished, driven.session.isOver, driven.log.at(-1)]).toEqual([false, true, 'ended']);
    driven.say('CONNECT\naccept-version:1.2\n\n');
    expect(driven.taken()).toEqual([]);
  });

  it('twice is refused', () => {
    const driven = DrivenSession.connected();
    driven.say('CONNECT\naccept-version:1.2\nreceipt:r\n\n');
    expect(driven.taken()).toEqual([error('the session is connected already', 'r')]);
  });

  it('waits for the handler, and what came behind it waits, too', async () => {
    const driven = new DrivenSession();
    const verdict = later<boolean>();
    driven.onConnect = () => verdict.promise;
    driven.raw('CONNECT\naccept-version:1.2\n\n\0SEND\ndestination:/a\n\none\0SEND\ndestina');
    driven.raw('tion:/a\n\ntwo\0');
    expect([driven.isPaused, driven.taken()]).toEqual([true, []]);
    verdict.resolve(true);
    await turn();
    expect(driven.log).toEqual(['connect undefined undefined undefined', 'send /a one', 'send /a two']);
    expect(driven.isPaused).toBe(false);
  });

  it.each<[string, (driven: DrivenSession) => void, string, number]>([
    ['returns false', (driven) => (driven.onConnect = () => false), 'access refused', 0],
    [
      'fulfils with false',
      (driven) => (driven.onConnect = () => Promise.resolve(false)),
      'access refused',
      0,
    ],
    [
      'rejects with a StompError',
      (driven) =>
        (driven.onConnect = () => Promise.reject(new StompError(StompFault.PROTOCOL, 'no such user'))),
      'no such user',
      0,
    ],
    [
      'rejects',
      (driven) => (driven.onConnect = () => Promise.reject(new Error('password of db is 123'))),
      'internal error',
      1,
    ],
    [
      'throws',
      (driven) => {
        driven.onConnect = () => {
          throw new Error('password of db is 123');
        };
      },
      'internal error',
      1,
    ],
  ])('is refused when the handler %s', async (_name, prepare, message, failures) => {
    const driven = new DrivenSession();
    prepare(driven);
    driven.say('CONNECT\naccept-version:1.2\n\n');
    await turn();
    expect(driven.taken()).toEqual([error(message)]);
    expect(driven.finished).toBe(false);
    expect(driven.failures).toHaveLength(failures);
  });

  it('holds no more than its limit of what comes before it is let in', () => {
    const driven = new DrivenSession();
    driven.onConnect = () => later<boolean>().promise;
    driven.raw('CONNECT\naccept-version:1.2\n\n\0');
    driven.raw('\n'.repeat(1000));
    expect(driven.taken()).toEqual([]);
    driven.raw('\n');
    expect(driven.taken()).toEqual([error('too much was sent before an answer')]);
  });

  it('takes no longer than its time', () => {
    const driven = new DrivenSession();
    expect(driven.session.tickInterval).toBe(5000);
    driven.tick(4999);
    expect(driven.finished).toBeUndefined();
    driven.tick(1);
    expect(driven.taken()).toEqual([error('not connected in time')]);
  });

  it('waits for anything that has a then, and refuses what is no answer', async () => {
    const thenable = <T>(value: T): Promise<T> =>
      // oxlint-disable-next-line unicorn/no-thenable -- what is tested
      ({ then: (resolve: (value: T) => void) => resolve(value) }) as unknown as Promise<T>;
    const driven = new DrivenSession();
    driven.onConnect = () => thenable(true);
    driven.onAuthorize = (_action, destination) => thenable(destination !== '/no');
    driven.onSend = () => thenable(undefined);
    driven.raw('CONNECT\naccept-version:1.2\n\n\0SEND\ndestination:/a\nreceipt:1\n\nx\0');
    await turn();
    driven.say('SEND\ndestination:/no\nreceipt:2\n\nx');
    await turn();
    expect(driven.taken().slice(1)).toEqual([
      'RECEIPT receipt-id:1',
      error('sending there is not allowed', '2'),
    ]);

    const odd = new DrivenSession();
    odd.onConnect = () => undefined as unknown as boolean;
    odd.say('CONNECT\naccept-version:1.2\n\n');
    expect(odd.taken()).toEqual([error('access refused')]);

    const broken = new DrivenSession();
    broken.onConnect = () =>
      ({
        // oxlint-disable-next-line unicorn/no-thenable -- what is tested
        get then(): never {
          throw new Error('no then');
        },
      }) as unknown as Promise<boolean>;
    broken.say('CONNECT\naccept-version:1.2\n\n');
    expect([broken.taken(), broken.failures.length]).toEqual([[error('internal error')], 1]);
  });

  it('that is given up meanwhile is not let in later', async () => {
    const driven = new DrivenSession();
    const verdict = later<boolean>();
    driven.onConnect = () => verdict.promise;
    driven.say('CONNECT\naccept-version:1.2\n\n');
    driven.session.end();
    verdict.resolve(true);
    await turn();
    expect(driven.taken()).toEqual([]);
    expect(driven.log).toEqual(['connect undefined undefined undefined', 'ended']);
  });
});

describe('heart-beats', () => {
  function beating(header: string): DrivenSession {
    const driven = new DrivenSession();
    driven.say(`CONNECT\naccept-version:1.2\nheart-beat:${header}\n\n`);
    driven.taken();
    return driven;
  }

  it('are sent when nothing else was', () => {
    const driven = beating('0,20000');
    expect(driven.session.tickInterval).toBe(20_000);
    driven.tick(19_999);
    expect(driven.bytes()).toBe('');
    driven.tick(1);
    expect(driven.bytes()).toBe('\n');
    driven.tick(19_999);
    expect(driven.bytes()).toBe('');
  });

  it('of the client may be late by the tolerance; any bytes count', () => {
    const driven = beating('10000,0');
    driven.tick(20_000);
    driven.raw('\n');
    driven.tick(20_000);
    driven.raw('SEND\ndest');
    driven.tick(20_000);
    expect(driven.finished).toBeUndefined();
    driven.tick(1);
    expect(driven.taken()).toEqual([error('no heart-beat for 20001 ms')]);
    expect(driven.finished).toBe(false);
  });

  it('are none where none were asked for', () => {
    const driven = beating('0,0');
    driven.tick(1_000_000);
    expect([driven.bytes(), driven.session.tickInterval]).toEqual(['', 0]);
  });
});

describe('receipts', () => {
  it('come when the effect is done, not before, and DISCONNECT waits for all', async () => {
    const driven = DrivenSession.connected();
    const effects = [later<void>(), later<void>()];
    let sent = 0;
    driven.onSend = () => effects[sent++]!.promise;
    driven.say(
      'SEND\ndestination:/a\nreceipt:1\n\na',
      'SEND\ndestination:/a\nreceipt:2\n\nb',
      'DISCONNECT\nreceipt:3\n\n',
    );
    driven.say('SEND\ndestination:/a\n\nignored');
    await turn();
    expect(driven.taken()).toEqual([]);
    effects[1]!.resolve();
    await turn();
    expect(driven.taken()).toEqual(['RECEIPT receipt-id:2']);
    effects[0]!.resolve();
    await turn();
    expect(driven.taken()).toEqual(['RECEIPT receipt-id:1', 'RECEIPT receipt-id:3']);
    expect([driven.finished, driven.log]).toEqual([true, ['send /a a', 'send /a b', 'ended']]);
  });

  it('do not come for what failed: an ERROR names it instead, once', async () => {
    const driven = DrivenSession.connected();
    driven.onSend = () => Promise.reject(new StompError(StompFault.LIMIT, 'the queue is full'));
    driven.say('SEND\ndestination:/a\nreceipt:1\n\na', 'SEND\ndestination:/a\nreceipt:2\n\nb');
    await turn();
    expect(driven.taken()).toEqual([error('the queue is full', '1')]);
    expect(driven.failures).toEqual([]);
  });

  it('come once for a frame in a transaction', async () => {
    const driven = DrivenSession.connected();
    driven.say(
      'BEGIN\ntransaction:t\nreceipt:1\n\n',
      'SEND\ndestination:/a\ntransaction:t\nreceipt:2\n\na',
      'COMMIT\ntransaction:t\nreceipt:3\n\n',
    );
    await turn();
    expect(driven.taken()).toEqual(['RECEIPT receipt-id:1', 'RECEIPT receipt-id:2', 'RECEIPT receipt-id:3']);
  });
});

describe('rules of frames', () => {
  it.each<[StompVersion, string, string]>([
    ['1.2', 'SEND\nreceipt:r\n\n', 'SEND needs the header destination'],
    ['1.2', 'SUBSCRIBE\nreceipt:r\nid:1\n\n', 'SUBSCRIBE needs the header destination'],
    ['1.2', 'SUBSCRIBE\nreceipt:r\ndestination:/a\n\n', 'SUBSCRIBE needs the header id'],
    [
      '1.2',
      'SUBSCRIBE\nreceipt:r\ndestination:/a\nid:1\nack:never\n\n',
      'ack must be auto, client or client-individual',
    ],
    [
      '1.0',
      'SUBSCRIBE\nreceipt:r\ndestination:/a\nack:client-individual\n\n',
      'ack must be auto, client or client-individual',
    ],
    [
      '1.2',
      'SUBSCRIBE\nreceipt:r\ndestination:/a\nid:1\nprefetch-count:0\n\n',
      'prefetch-count must be a number from 1',
    ],
    [
      '1.2',
      'SUBSCRIBE\nreceipt:r\ndestination:/a\nid:1\nprefetch-count:-5\n\n',
      'prefetch-count must be a number from 1',
    ],
    ['1.2', 'UNSUBSCRIBE\nreceipt:r\n\n', 'UNSUBSCRIBE needs the header id'],
    ['1.2', 'UNSUBSCRIBE\nreceipt:r\nid:9\n\n', 'there is no such subscription'],
    ['1.0', 'UNSUBSCRIBE\nreceipt:r\n\n', 'UNSUBSCRIBE needs the header destination'],
    ['1.2', 'ACK\nreceipt:r\nmessage-id:1\n\n', 'ACK needs the header id'],
    ['1.1', 'ACK\nreceipt:r\nid:1\n\n', 'ACK needs the header message-id'],
    ['1.2', 'ACK\nreceipt:r\nid:s1-1\n\n', 'this session was sent no message of this id'],
    ['1.0', 'NACK\nreceipt:r\nmessage-id:1\n\n', 'STOMP 1.0 has no NACK'],
    ['1.2', 'BEGIN\nreceipt:r\n\n', 'BEGIN needs the header transaction'],
    ['1.2', 'COMMIT\nreceipt:r\ntransaction:t\n\n', 'there is no such transaction'],
    ['1.2', 'ABORT\nreceipt:r\ntransaction:t\n\n', 'there is no such transaction'],
    ['1.2', 'SEND\nreceipt:r\ndestination:/a\ntransaction:t\n\n', 'there is no such transaction'],
  ])('%s: %j is refused: %s', (version, frame, message) => {
    const driven = DrivenSession.connected(version);
    driven.say(frame);
    expect(driven.taken()).toEqual([error(message, 'r')]);
    expect([driven.finished, driven.log]).toEqual([false, ['ended']]);
  });

  it('of 1.1 name the subscription of what they acknowledge, or none', () => {
    for (const [subscription, answer] of [
      ['subscription:7\n', 'RECEIPT receipt-id:r'],
      ['', 'RECEIPT receipt-id:r'],
      ['subscription:8\n', error('this subscription was sent no message of this id', 'r')],
    ]) {
      const driven = DrivenSession.connected('1.1');
      driven.say('SUBSCRIBE\ndestination:/queue/a\nid:7\nack:client\n\n');
      driven.deliver(driven.subscriptions[0]!, 'one');
      driven.taken();
      driven.say(`ACK\n${subscription}message-id:s1-1\nreceipt:r\n\n`);
      expect(driven.taken()).toEqual([answer]);
    }
  });

  it('of 1.0 may have a body that means nothing', () => {
    const driven = DrivenSession.connected('1.0');
    driven.say('SUBSCRIBE\ndestination: /a\nid: 1\n\nwhatever', 'UNSUBSCRIBE\nid: 1\nreceipt: r\n\nmore');
    expect(driven.log).toEqual(['subscribe 1 /a auto 100', 'unsubscribe 1 /a []']);
    expect(driven.taken()).toEqual(['RECEIPT receipt-id:r']);
  });

  it('let subscriptions of 1.0 do without an id', () => {
    const driven = DrivenSession.connected('1.0');
    driven.say('SUBSCRIBE\ndestination:/queue/a\nack:client\n\n');
    driven.deliver(driven.subscriptions[0]!, 'hello');
    expect(driven.taken()).toEqual(['MESSAGE message-id:s1-1 destination:/queue/a hello']);
    driven.say('ACK\nmessage-id:s1-1\n\n', 'UNSUBSCRIBE\ndestination:/queue/a\n\n');
    expect(driven.log.slice(1)).toEqual(['ack [hello]', 'unsubscribe undefined /queue/a []']);
  });

  it('let a subscription be refused before it has an effect', async () => {
    const driven = DrivenSession.connected();
    driven.onAuthorize = (action) => Promise.resolve(action === 'send');
    driven.say(
      'SEND\ndestination:/a\n\nx',
      'SUBSCRIBE\ndestination:/a\nid:1\nreceipt:2\n\n',
      'SEND\ndestination:/a\n\ny',
    );
    await turn();
    await turn();
    expect(driven.taken()).toEqual([error('subscribing there is not allowed', '2')]);
    expect(driven.log).toEqual(['send /a x', 'ended']);
  });

  it('keep the order of frames while the handler decides', async () => {
    const driven = DrivenSession.connected();
    const verdicts: ReturnType<typeof later<boolean>>[] = [];
    driven.onAuthorize = () => {
      const verdict = later<boolean>();
      verdicts.push(verdict);
      return verdict.promise;
    };
    driven.say('SEND\ndestination:/a\n\n1', 'SEND\ndestination:/a\n\n2', 'DISCONNECT\nreceipt:bye\n\n');
    expect([verdicts.length, driven.isPaused]).toEqual([1, true]);
    verdicts[0]!.resolve(true);
    await turn();
    expect(driven.log).toEqual(['send /a 1']);
    verdicts[1]!.resolve(true);
    await turn();
    expect(driven.log).toEqual(['send /a 1', 'send /a 2', 'ended']);
    expect(driven.taken()).toEqual(['RECEIPT receipt-id:bye']);
  });
});

describe('what waits', () => {
  it('is read frame by frame as each is decided, however it came', async () => {
    const driven = DrivenSession.connected('1.2', { maxHeldBytes: 10_000 });
    driven.onAuthorize = () => Promise.resolve(true);
    const numbers = Array.from({ length: 40 }, (_, i) => String(i));
    const text = numbers.map((number) => `SEND\ndestination:/a\n\n${number}\0\n`).join('');
    driven.raw(text.slice(0, 300));
    for (const byte of text.slice(300)) driven.raw(byte);
    await expect.poll(() => driven.log.length).toBe(40);
    expect(driven.log).toEqual(numbers.map((number) => `send /a ${number}`));
    expect(driven.isPaused).toBe(false);
  });

  it('is forgotten when a frame in it is wrong', async () => {
    const driven = DrivenSession.connected();
    driven.onAuthorize = () => Promise.resolve(true);
    driven.say('SEND\ndestination:/a\n\n1', 'HELLO\n\n', 'SEND\ndestination:/a\n\n2');
    await turn();
    expect([driven.log, driven.taken()]).toEqual([['send /a 1', 'ended'], [error('unknown command')]]);
  });

  it('is no more than so many effects: then nothing is read until one is done', async () => {
    const driven = DrivenSession.connected('1.2', { maxPendingEffects: 2 });
    const effects = [later<void>(), later<void>(), later<void>()];
    let sent = 0;
    driven.onSend = () => effects[sent++]!.promise;
    const send = (text: string): string => `SEND\ndestination:/a\nreceipt:${text}\n\n${text}`;
    driven.say(send('1'), send('2'), send('3'), 'DISCONNECT\nreceipt:bye\n\n');
    driven.raw('\n');
    expect([driven.log, driven.isPaused]).toEqual([['send /a 1', 'send /a 2'], true]);
    effects[1]!.resolve();
    await turn();
    expect([driven.log.at(-1), driven.isPaused]).toEqual(['send /a 3', true]);
    effects[0]!.resolve();
    effects[2]!.resolve();
    await turn();
    expect(driven.taken()).toEqual(['2', '1', '3', 'bye'].map((id) => `RECEIPT receipt-id:${id}`));
    expect(driven.finished).toBe(true);
  });

  it('behind a frame that is refused is not done, also when an effect before it is done at that moment', async () => {
    for (let turns = 0; turns < 8; turns++) {
      const driven = DrivenSession.connected();
      const verdict = later<boolean>();
      const effect = later<void>();
      driven.onAuthorize = (_action, destination) => (destination === '/no' ? verdict.promise : true);
      driven.onSend = () => effect.promise;
      driven.say(
        'SEND\ndestination:/a\n\n1',
        'SUBSCRIBE\ndestination:/no\nid:1\n\n',
        'SEND\ndestination:/a\n\n2',
      );
      verdict.resolve(false);
      for (let i = 0; i < turns; i++) await Promise.resolve();
      effect.resolve();
      await turn();
      expect(driven.log).toEqual(['send /a 1', 'ended']);
    }
  });

  it('for an effect that fails is not done', async () => {
    const driven = DrivenSession.connected('1.2', { maxPendingEffects: 1 });
    const effect = later<void>();
    driven.onSend = () => effect.promise;
    driven.say('SEND\ndestination:/a\nreceipt:1\n\n1', 'SEND\ndestination:/a\n\n2');
    effect.reject(new StompError(StompFault.UNAVAILABLE, 'nobody is there'));
    await turn();
    expect([driven.log, driven.taken()]).toEqual([['send /a 1', 'ended'], [error('nobody is there', '1')]]);
  });
});

describe('messages', () => {
  it.each<[StompVersion, string, string]>([
    ['1.2', 'MESSAGE subscription:7 message-id:s1-1 ack:s1-1 destination:/queue/a one', 'id:s1-1'],
    [
      '1.1',
      'MESSAGE subscription:7 message-id:s1-1 destination:/queue/a one',
      'subscription:7\nmessage-id:s1-1',
    ],
  ])('of %s are acknowledged by what they say', (version, message, ack) => {
    const driven = DrivenSession.connected(version);
    driven.say('SUBSCRIBE\ndestination:/queue/a\nid:7\nack:client-individual\nprefetch-count:5\n\n');
    driven.deliver(driven.subscriptions[0]!, 'one');
    expect(driven.taken()).toEqual([message]);
    driven.say(`NACK\n${ack}\nrequeue:false\n\n`, `ACK\n${ack}\nreceipt:r\n\n`);
    expect(driven.log).toEqual(['subscribe 7 /queue/a client-individual 5', 'nack [one]false']);
    expect(driven.taken()).toEqual(['RECEIPT receipt-id:r']);
  });

  it('in the mode auto want no acknowledgement', () => {
    const driven = DrivenSession.connected();
    driven.say('SUBSCRIBE\ndestination:/topic/a\nid:1\n\n');
    driven.deliver(driven.subscriptions[0]!, 'x');
    expect(driven.taken()).toEqual(['MESSAGE subscription:1 destination:/topic/a x']);
    expect(driven.session.subscriptions.unacknowledged).toBe(0);
  });

  it('do not come behind UNSUBSCRIBE, which gives back what was not acknowledged', () => {
    const driven = DrivenSession.connected();
    driven.say('SUBSCRIBE\ndestination:/queue/a\nid:1\nack:client\n\n');
    const [subscription] = driven.subscriptions;
    for (const text of ['1', '2']) driven.deliver(subscription!, text);
    driven.taken();
    driven.say('UNSUBSCRIBE\nid:1\n\n', 'ACK\nid:s1-2\nreceipt:late\n\n');
    driven.deliver(subscription!, '3');
    expect(driven.log.at(-1)).toBe('unsubscribe 1 /queue/a [1,2]');
    expect(driven.taken()).toEqual(['RECEIPT receipt-id:late']);
  });
});

describe('transactions', () => {
  it('are done at COMMIT, in order, with bodies as they came; ABORT does nothing', () => {
    const driven = DrivenSession.connected();
    driven.say('SUBSCRIBE\ndestination:/queue/a\nid:1\nack:client-individual\n\n');
    driven.deliver(driven.subscriptions[0]!, 'work');
    driven.log.length = 0;
    driven.say(
      'BEGIN\ntransaction:t\n\n',
      'BEGIN\ntransaction:u\n\n',
      'SEND\ndestination:/a\ntransaction:t\n\none',
      'SEND\ndestination:/a\ntransaction:u\n\nnever',
      'ACK\nid:s1-1\ntransaction:t\n\n',
      'SEND\ndestination:/a\n\nmeanwhile',
      'SEND\ndestination:/a\ntransaction:t\n\ntwo',
      'ABORT\ntransaction:u\n\n',
    );
    expect(driven.log).toEqual(['send /a meanwhile']);
    driven.say('COMMIT\ntransaction:t\n\n');
    expect(driven.log).toEqual(['send /a meanwhile', 'send /a one', 'ack [work]', 'send /a two']);
  });

  it('name no delivery that was never sent here: the ACK is refused, not the COMMIT', () => {
    const driven = DrivenSession.connected();
    driven.say('BEGIN\ntransaction:t\n\n', 'SEND\ndestination:/a\ntransaction:t\n\nx');
    driven.say('ACK\ntransaction:t\nid:other-1\nreceipt:r\n\n');
    expect(driven.taken()).toEqual([error('this session was sent no message of this id', 'r')]);
    expect(driven.log).toEqual(['ended']);
  });

  it('may hold an ACK whose subscription has ended at COMMIT: it is ignored, the rest is done', () => {
    const driven = DrivenSession.connected();
    driven.say('SUBSCRIBE\ndestination:/queue/a\nid:1\nack:client-individual\n\n');
    for (const text of ['1', '2']) driven.deliver(driven.subscriptions[0]!, text);
    driven.taken();
    driven.say(
      'BEGIN\ntransaction:t\n\n',
      'ACK\nid:s1-1\ntransaction:t\n\n',
      'SEND\ndestination:/a\ntransaction:t\n\nx',
      'UNSUBSCRIBE\nid:1\n\n',
      'COMMIT\ntransaction:t\nreceipt:c\n\n',
    );
    expect(driven.log.slice(1)).toEqual(['unsubscribe 1 /queue/a [1,2]', 'send /a x']);
    expect(driven.taken()).toEqual(['RECEIPT receipt-id:c']);
  });

  it('that fail tell the first failure, and watch what was begun', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): unknown => unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      const driven = DrivenSession.connected();
      const effects = [later<void>(), later<void>()];
      let sent = 0;
      driven.onSend = () => {
        const effect = effects[sent++];
        if (effect === undefined) throw new StompError(StompFault.LIMIT, 'the queue is full');
        return effect.promise;
      };
      driven.say('BEGIN\ntransaction:t\n\n');
      for (const text of ['1', '2', '3', '4']) {
        driven.say(`SEND\ndestination:/a\ntransaction:t\n\n${text}`);
      }
      driven.say('COMMIT\ntransaction:t\nreceipt:c\n\n');
      expect(driven.taken()).toEqual([error('the queue is full', 'c')]);
      expect(driven.log).toEqual(['send /a 1', 'send /a 2', 'send /a 3', 'ended']);
      effects[0]!.reject(new Error('lost'));
      effects[1]!.reject(new StompError(StompFault.UNAVAILABLE, 'nobody is there'));
      await turn();
      expect([unhandled, driven.failures.length, driven.taken()]).toEqual([[], 1, []]);
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  it('are confirmed when all is done, and tell one failure of several', async () => {
    const driven = DrivenSession.connected();
    const effects = [later<void>(), later<void>()];
    let sent = 0;
    driven.onSend = () => effects[sent++]!.promise;
    const frame = (text: string): string => `SEND\ndestination:/a\ntransaction:t\n\n${text}`;
    driven.say('BEGIN\ntransaction:t\n\n', frame('1'), frame('2'), 'COMMIT\ntransaction:t\nreceipt:c\n\n');
    effects[0]!.resolve();
    await turn();
    expect(driven.taken()).toEqual([]);
    effects[1]!.resolve();
    await turn();
    expect(driven.taken()).toEqual(['RECEIPT receipt-id:c']);

    const failing = DrivenSession.connected();
    failing.onSend = ({ body }) => Promise.reject(new Error(`lost ${Buffer.from(body).toString()}`));
    failing.say('BEGIN\ntransaction:t\n\n', frame('1'), frame('2'), 'COMMIT\ntransaction:t\nreceipt:c\n\n');
    await turn();
    expect([failing.taken(), failing.failures.map(String)]).toEqual([
      [error('internal error', 'c')],
      ['Error: lost 1', 'Error: lost 2'],
    ]);
  });

  it('count headers, too', () => {
    const driven = DrivenSession.connected();
    driven.say('SUBSCRIBE\ndestination:/queue/a\nid:1\nack:client\n\n', 'BEGIN\ntransaction:t\n\n');
    driven.deliver(driven.subscriptions[0]!, 'x');
    driven.taken();
    driven.say(`ACK\nid:s1-1\ntransaction:t\na:${'x'.repeat(600)}\n\n`);
    driven.say(`SEND\ndestination:/a\ntransaction:t\nreceipt:r\na:${'x'.repeat(600)}\n\n`);
    expect(driven.taken()).toEqual([error('more than 1000 bytes in transactions', 'r')]);
  });

  it('cross no limit', () => {
    const driven = DrivenSession.connected();
    driven.say(
      'BEGIN\ntransaction:t\n\n',
      `SEND\ndestination:/a\ntransaction:t\nreceipt:r\n\n${'x'.repeat(1001)}`,
    );
    expect(driven.taken()).toEqual([error('more than 1000 bytes in transactions', 'r')]);
  });
});

describe('an end', () => {
  it('at DISCONNECT without a receipt is graceful, and silent', () => {
    const driven = DrivenSession.connected();
    driven.say('DISCONNECT\n\n', 'SEND\ndestination:/a\n\nlate');
    expect([driven.taken(), driven.finished, driven.log]).toEqual([[], true, ['ended']]);
  });

  it('is told once, whatever comes behind it', async () => {
    const driven = DrivenSession.connected();
    const effect = later<void>();
    driven.onSend = () => effect.promise;
    driven.say('SEND\ndestination:/a\nreceipt:1\n\nx', 'HELLO\n\n');
    driven.session.end();
    driven.tick(1_000_000);
    effect.reject(new Error('lost'));
    await turn();
    expect(driven.taken()).toEqual([error('unknown command')]);
    expect(driven.log).toEqual(['send /a x', 'ended']);
    expect(driven.failures).toHaveLength(1);
  });
});

it('keeps a copy of a frame that comes in pieces, also of the memory of a Buffer that is used again', () => {
  const driven = new DrivenSession();
  const memory = Buffer.alloc(64);
  const pieces = ['CONN', 'ECT\naccept-ver', 'sion:1.2\nhost:x\n', '\n\0'];
  for (const piece of pieces) {
    const length = memory.write(piece);
    driven.session.receive(memory.subarray(0, length), driven.now);
    memory.fill(0xee);
  }
  expect(driven.session.isConnected).toBe(true);
});

it('sends a heart-beat before the tick that would be too late for it', () => {
  const driven = new DrivenSession();
  driven.raw('CONNECT\naccept-version:1.2\nhost:x\nheart-beat:0,10000\n\n\0');
  driven.taken();
  driven.session.tick(driven.now + 7999, 2000);
  expect(driven.bytes()).toBe('');
  driven.session.tick(driven.now + 8000, 2000);
  expect(driven.bytes()).toBe('\n');
});
