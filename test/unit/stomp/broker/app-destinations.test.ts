import { beforeEach, describe, expect, it, test } from 'vitest';
import { AppDestinations, type AppMessage } from '../../../../src/stomp/broker/app-destinations.ts';
import type { BrokerSession } from '../../../../src/stomp/broker/destination-kind.ts';
import { Destinations } from '../../../../src/stomp/broker/destinations.ts';
import { StompError, StompHeaders } from '../../../../src/stomp/codec/frame.ts';

const session = { id: 's' } as BrokerSession;

let app: AppDestinations;
let got: string[];
beforeEach(() => {
  app = new AppDestinations();
  got = [];
});

function take(name: string) {
  return ({ destination, text }: AppMessage) => {
    got.push(`${name}: ${destination} ${text}`);
  };
}

function send(destination: string, body = Buffer.from('x')): unknown {
  const headers = new StompHeaders();
  headers.append('colour', 'red');
  const sent = app.send(session, { destination, headers, body });
  body.fill(0x2a);
  return sent;
}

describe('a handler', () => {
  it('gets what is sent to its destination, with its sender, and bytes of its own', () => {
    let kept: AppMessage | undefined;
    app.on('/app/chat', (message, from) => {
      kept = message;
      expect(from).toBe(session);
    });
    expect(send('/app/chat', Buffer.from('é'))).toBe(undefined);
    expect(kept!.text).toBe('é');
    expect(kept!.headers.get('colour')).toBe('red');
    expect(kept!.destination).toBe('/app/chat');
  });

  it('of a name goes before patterns, of which the first counts', () => {
    app.on('/app/**', take('all'));
    app.on('/app/room.*', take('room'));
    app.on('/app/room.1', take('one'));
    for (const name of ['room.1', 'room/2', 'other', 'room.1.2']) send(`/app/${name}`);
    expect(got).toEqual([
      'one: /app/room.1 x',
      'all: /app/room/2 x',
      'all: /app/other x',
      'all: /app/room.1.2 x',
    ]);
  });

  it('may be async: whoever waits hears when it is done, and what it throws', async () => {
    let done = (): void => {};
    app.on('/app/slow', () => new Promise<void>((resolve) => (done = resolve)));
    app.on('/app/rejects', async () => Promise.reject(new Error('broken')));
    app.on('/app/refuses', () => {
      throw new StompError('protocol', 'not like this');
    });
    // oxlint-disable-next-line unicorn/no-thenable
    app.on('/app/thenable', () => ({ then: (resolve: (value: string) => void) => resolve('a value') }));
    const sent = send('/app/slow') as Promise<void>;
    let isDone = false;
    void sent.then(() => (isDone = true));
    await new Promise(setImmediate);
    expect(isDone).toBe(false);
    done();
    expect(await sent).toBe(undefined);
    await expect(send('/app/rejects')).rejects.toThrow('broken');
    expect(() => send('/app/refuses')).toThrow('not like this');
    expect(await send('/app/thenable')).toBe(undefined);
  });

  test.each([
    ['/topic/a', /begins with/],
    ['/app/', /begins with/],
    [7, /begins with/],
    [`/app/${'a.'.repeat(70)}`, /segments/],
    ['/app/a', /already/],
    ['/app/b/#', /already/],
  ])('cannot be had for %s', (destination, message) => {
    app.on('/app/a', take('a'));
    app.on('/app/b.**', take('b'));
    expect(() => {
      app.on(destination as string, take('x'));
    }).toThrow(message);
    expect(() => {
      app.on('/app/fine', 'no function' as never);
    }).toThrow('must be a function');
  });
});

it('what nobody takes, subscriptions and messages of nobody are refused', () => {
  app.on('/app/a', take('a'));
  expect(() => send('/app/constructor')).toThrow('nobody takes messages there');
  expect(() => {
    app.subscribe();
  }).toThrow('cannot be subscribed to');
  expect(() => {
    app.publish();
  }).toThrow('of clients alone');
});

test.each(['', '/', '/app', 'app/', '/nowhere/a', '/__proto__/a', '//a'])(
  '%j is no destination',
  (destination) => {
    const destinations = new Destinations([app]);
    expect(destinations.kindOf('/app/x')).toBe(app);
    expect(Array.from(destinations.all())).toEqual([app]);
    expect(() => destinations.kindOf(destination)).toThrow('there is no such destination');
  },
);
