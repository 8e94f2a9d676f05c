import { App, type WebSocket, type WebSocketBehavior } from 'millrace';
import { describe, expect, test } from 'vitest';
import { RawClient } from '../../support/clients/raw-client.ts';
import { Route } from '../../support/protocol/route.ts';
import { startApp } from '../../support/servers/server.ts';

/** The texts of the next frames, joined. */
async function texts(client: RawClient, count: number): Promise<string> {
  return (await client.frames(count)).map(({ payload }) => payload.toString()).join('');
}

describe('cork', () => {
  test('returns the socket, passes it, and sends in order', async () => {
    using route = new Route({});
    const { ws, client } = await route.pair();
    ws.send('before');
    const returned = ws.cork((same) => {
      expect(same).toBe(ws);
      ws.send('one');
      ws.send('two');
    });
    ws.send('after');
    expect(returned).toBe(ws);
    const texts = (await client.frames(4)).map(({ payload }) => payload.toString());
    expect(texts).toEqual(['before', 'one', 'two', 'after']);
  });

  test.each([undefined, null, {}])('of %s is an error that says so', async (callback) => {
    using route = new Route({});
    const { ws, client } = await route.pair();
    expect(() => ws.cork(callback as never)).toThrow('ws.cork: the callback must be a function; got ');
    ws.send('goes on');
    expect(await client.text()).toBe('goes on');
  });

  test('keeps the order when nested, in another socket and from inside a handler', async () => {
    using route = new Route({
      message: (ws) => {
        const other = two!.ws;
        ws.send('1');
        ws.cork(() => {
          ws.send('2');
          other.send('a');
          other.cork(() => {
            other.send('b');
            ws.send('3');
            ws.cork(() => ws.send('4'));
            other.send('c');
            ws.send('5');
          });
          ws.send('6');
          other.send('d');
        });
        ws.send('7');
        other.send('e');
      },
    });
    const [one, two] = await route.pairs(2);
    one!.client.write(Uint8Array.of(0x82, 0x80, 0, 0, 0, 0));
    expect(await texts(one!.client, 7)).toBe('1234567');
    expect(await texts(two!.client, 5)).toBe('abcde');
  });

  test('lets an error of its callback through, and what was sent before it leaves', async () => {
    using route = new Route({});
    const { ws, client } = await route.pair();
    expect(() =>
      ws.cork(() => {
        ws.send('sent');
        throw new Error('of the callback');
      }),
    ).toThrow('of the callback');
    ws.send('goes on');
    expect(await client.text()).toBe('sent');
    expect(await client.text()).toBe('goes on');
  });

  test('survives an end and a close inside', async () => {
    using route = new Route({});
    const [one, two] = await route.pairs(2);
    one!.ws.cork((ws) => {
      ws.send('last');
      ws.end(4000);
    });
    two!.ws.cork((ws) => {
      ws.send('lost');
      ws.close();
    });
    expect(await one!.client.text()).toBe('last');
    expect((await one!.client.frame()).opcode).toBe(8);
    expect((await two!.client.framesToEnd()).frames.length).toBeLessThanOrEqual(1);
  });
});

/** A connection to an App that listens on `host`. */
async function openOn(host: string, connectTo: string): Promise<{ ws: WebSocket; client: RawClient }> {
  const app = App();
  let port = 0;
  const opened = new Promise<WebSocket>((resolve) => {
    app.ws('/', { open: resolve });
    app.listen(host, 0, (socket) => {
      port = socket === false ? 0 : socket.port;
    });
  });
  const client = await RawClient.webSocket(port, '/', {}, { host: connectTo });
  return { ws: await opened, client };
}

describe('addresses', () => {
  test('are those of the client, as bytes and as text', async () => {
    const { ws, client } = await openOn('127.0.0.1', '127.0.0.1');
    expect([...new Uint8Array(ws.getRemoteAddress())]).toEqual([127, 0, 0, 1]);
    expect(Buffer.from(ws.getRemoteAddressAsText()).toString()).toBe('127.0.0.1');
    expect(ws.getRemotePort()).toBe(client.socket.localPort);
    client.destroy();
  });

  test('have 16 bytes on a socket of both families', async () => {
    const { ws, client } = await openOn('::', '127.0.0.1');
    const bytes = [...new Uint8Array(ws.getRemoteAddress())];
    const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1];
    // A machine without IPv6 listens on IPv4 alone.
    expect([mapped, mapped.slice(12)]).toContainEqual(bytes);
    client.destroy();
  });
});

describe('user data', () => {
  const SECRET = Symbol('secret');
  interface User {
    name: string;
    [SECRET]: object;
  }

  test('is copied onto the socket, which getUserData returns', async () => {
    const secret = {};
    const opened: (WebSocket<User> & User)[] = [];
    const behavior: WebSocketBehavior<User> = {
      upgrade: (res, req, context) => {
        const user = Object.create({ inherited: true }) as User;
        user.name = 'Ada';
        user[SECRET] = secret;
        res.upgrade(
          user,
          req.getHeader('sec-websocket-key'),
          req.getHeader('sec-websocket-protocol'),
          req.getHeader('sec-websocket-extensions'),
          context,
        );
      },
      open: (ws) => {
        opened.push(ws);
      },
      message: (ws) => {
        ws.send(`${ws.name} ${ws[SECRET] === secret} ${ws.getUserData() === ws}`);
      },
    };
    const running = startApp((app) => app.ws<User>('/', behavior));
    const client = await RawClient.webSocket(running.port);
    client.write(Uint8Array.of(0x82, 0x80, 0, 0, 0, 0));
    expect(await client.text()).toBe('Ada true true');
    expect('inherited' in opened[0]!).toBe(false);
    await client.close();
    // The user's own data outlives the connection.
    expect(opened[0]!.name).toBe('Ada');
    await running.stop();
  });

  test('may be anything, or nothing', async () => {
    for (const userData of [undefined, null, 5, 'text', {}]) {
      const running = startApp((app) =>
        app.ws('/', {
          upgrade: (res, req, context) => {
            res.upgrade(userData, req.getHeader('sec-websocket-key'), '', '', context);
          },
          open: (ws) => {
            ws.send('open');
          },
        }),
      );
      const client = await RawClient.webSocket(running.port);
      expect(await client.text()).toBe('open');
      await client.close();
      await running.stop();
    }
  });

  test('set on a socket stays there from event to event, and is not shared', async () => {
    using route = new Route({
      message: (ws) => {
        const counter = ws as unknown as { count?: number };
        counter.count = (counter.count ?? 0) + 1;
        ws.send(String(counter.count));
      },
    });
    const [one, two] = await route.pairs(2);
    const empty = Uint8Array.of(0x82, 0x80, 0, 0, 0, 0);
    for (let i = 0; i < 3; i++) one!.client.write(empty);
    two!.client.write(empty);
    expect((await one!.client.frames(3)).map(({ payload }) => payload.toString())).toEqual(['1', '2', '3']);
    expect(await two!.client.text()).toBe('1');
  });
});
