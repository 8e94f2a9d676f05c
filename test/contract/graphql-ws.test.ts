import uWS from 'uWebSockets.js';
import { createRequire } from 'node:module';
import type * as GraphQL from 'graphql';
import { type Client, createClient } from 'graphql-ws';
import { makeBehavior } from 'graphql-ws/use/uWebSockets';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

// As graphql-ws gets it: there must be one of it in a process, and the test runner would take its ESM twin.
const { buildSchema, execute, parse, subscribe } = createRequire(import.meta.url)(
  'graphql',
) as typeof GraphQL;

const schema = buildSchema(`
  type Query { hello(name: String): String }
  type Subscription { countdown(from: Int!): Int }
`);

async function* countdown({ from }: { from: number }): AsyncGenerator<{ countdown: number }> {
  for (let i = from; i > 0; i--) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    yield { countdown: i };
  }
}

const roots = {
  query: { hello: ({ name = 'world' }: { name?: string }) => `Hello ${name}` },
  subscription: { countdown },
};

describe('graphql-ws over its uWebSockets handler', () => {
  const app = uWS.App();
  const clients: Client[] = [];
  let pongs = 0;
  let url = '';

  beforeAll(() => {
    const behavior = makeBehavior(
      {
        schema,
        roots,
        execute,
        subscribe,
        onConnect: ({ connectionParams }) => connectionParams?.['token'] !== 'wrong',
      },
      {
        pong: () => {
          pongs += 1;
        },
      },
      // Ms between pings, and for the pong: who is late is cut off.
      1000,
    );
    app.ws('/graphql', behavior).listen('127.0.0.1', 0, (socket) => {
      if (socket) url = `ws://127.0.0.1:${uWS.us_socket_local_port(socket)}/graphql`;
    });
    expect(url).toMatch(/:\d+\/graphql$/);
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.dispose();
  });
  afterAll(() => {
    app.close();
  });

  function client(token = 'right'): Client {
    const made = createClient({
      url,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      connectionParams: { token },
    });
    clients.push(made);
    return made;
  }

  async function results(from: Client, query: string): Promise<unknown[]> {
    parse(query);
    const all: unknown[] = [];
    for await (const { data, errors } of from.iterate({ query })) all.push(errors ?? data);
    return all;
  }

  it('answers a query', async () => {
    expect(await results(client(), '{ hello(name: "Ada") }')).toEqual([{ hello: 'Hello Ada' }]);
  });

  it('streams a subscription, and another one beside it', async () => {
    const one = client();
    const both = await Promise.all([
      results(one, 'subscription { countdown(from: 50) }'),
      results(one, 'subscription { countdown(from: 3) }'),
    ]);
    expect(both.map((list) => list.length)).toEqual([50, 3]);
    expect(both[1]).toEqual([{ countdown: 3 }, { countdown: 2 }, { countdown: 1 }]);
  });

  it('stays connected over keep-alive pings', async () => {
    const one = client();
    // It is connected for as long as it asks for something.
    const long = results(one, 'subscription { countdown(from: 1000000) }');
    await expect.poll(() => pongs, { timeout: 60_000 }).toBeGreaterThan(0);
    expect(await results(one, 'subscription { countdown(from: 40) }')).toHaveLength(40);
    await one.dispose();
    await long;
  });

  it('reports errors of a query', async () => {
    const [error] = (await results(client(), '{ nothing }').catch((errors: unknown) => errors)) as Error[];
    expect(error?.message).toContain('nothing');
  });

  it('closes a connection that is not allowed, with the code that it names', async () => {
    await expect(results(client('wrong'), '{ hello }')).rejects.toMatchObject({
      code: 4403,
      reason: 'Forbidden',
    });
  });

  it('closes a peer that speaks another subprotocol', async () => {
    const socket = new WebSocket(url, 'other');
    const code = new Promise((resolve) => socket.once('close', resolve));
    socket.once('error', () => {});
    expect([4406, 1006]).toContain(await code);
  });
});
