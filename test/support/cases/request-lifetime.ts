import { describe, expect, it } from 'vitest';
import { chunked, requestText } from '../clients/http-client.ts';
import { handshakeText, RawClient } from '../clients/raw-client.ts';

let next = 0;

/** A request that is unlike every other, and what its handler must read in it. */
function request(route: string, method = 'GET', body = ''): { path: string; text: string; told: string } {
  const id = next++;
  const padding = 'x'.repeat(20 + (id % 50) * 7);
  const headers = { 'X-Padding': padding, 'Content-Length': body.length };
  const path = `/${route}/${id}`;
  return {
    path,
    text: requestText(method, `${path}?q=${id}`, headers, body),
    told: `${method.toLowerCase()} ${path} ${id} ${id} ${padding.length} 3`,
  };
}

/** What handlers of a path read when there was no response any more. */
async function log(client: RawClient, path: string): Promise<string[]> {
  client.write(requestText('GET', '/log'));
  const lines = JSON.parse((await client.response()).body) as string[];
  return lines.filter((line) => line.includes(path));
}

/** The same, once there is something: what handlers put off may come behind the request that asks for it. */
async function logged(client: RawClient, path: string): Promise<string[]> {
  const lines = await log(client, path);
  return lines.length > 0 ? lines : logged(client, path);
}

/** What `fixtures/request-app.js` must answer at a port, however its connections get there. */
export function testRequestLifetime(portOf: () => number): void {
  const connect = (): Promise<RawClient> => RawClient.connect(portOf());

  describe('a request can be read', () => {
    it.each([
      ['by an async function in a handler', 'function'],
      ['by an async handler without onAborted that answers in its microtasks', 'async'],
      ['in nextTick', 'tick'],
      ['in a timer', 'timer'],
      ['in a timer, with onAborted attached after an await', 'late-abort'],
    ])('%s', async (_name, route) => {
      const client = await connect();
      // Requests that overtake each other on their way in other sockets, and follow each other in one.
      const others = await Promise.all(Array.from({ length: 8 }, connect));
      const requests = others.map(() => request(route));
      const first = request(route);
      client.write(first.text);
      for (const [i, other] of others.entries()) other.write(requests[i]!.text);
      expect((await client.response()).body).toBe(first.told);
      for (const [i, other] of others.entries()) {
        expect((await other.response()).body).toBe(requests[i]!.told);
        other.destroy();
      }
      const second = request(route);
      client.write(second.text);
      expect((await client.response()).body).toBe(second.told);
      client.destroy();
    });

    it('to the end of the microtasks when it was answered, and not in the next turn', async () => {
      const client = await connect();
      const [answered, stale, late, inner] = ['answered', 'stale', 'async', 'function'].map((route) =>
        request(route),
      );
      client.write(answered!.text);
      expect((await client.response()).body).toBe('at once');
      const lines = await log(client, answered!.path);
      expect(lines).toEqual([`nextTick ${answered!.told}`, `promise ${answered!.told}`]);
      client.write(stale!.text);
      expect((await client.response()).body).toBe('at once');
      expect(await logged(client, stale!.path)).toEqual([`${stale!.path} MILLRACE_STALE_ACCESS`]);
      client.write(late!.text);
      await client.response();
      expect(await log(client, late!.path)).toEqual([late!.told]);
      client.write(inner!.text);
      await client.response();
      expect(await log(client, inner!.path)).toEqual([`answered ${inner!.told}`]);
      client.destroy();
    });

    it('not in the next turn by a handler that passed it on', async () => {
      const client = await connect();
      for (const { path, text, told } of [request('passed'), request('passed')]) {
        client.write(text);
        expect((await client.response()).body).toBe(told);
        expect(await logged(client, path)).toEqual([`${path} MILLRACE_STALE_ACCESS`]);
      }
      client.destroy();
    });

    it('not in the next turn when it came with the socket, had to wait, or came in pieces', async () => {
      const client = await connect();
      const isStale = async ({ path }: { path: string }): Promise<void> => {
        expect((await client.response()).body).toBe('at once');
        expect(await logged(client, path)).toEqual([`${path} MILLRACE_STALE_ACCESS`]);
      };
      const [first, behind, cut] = [request('stale'), request('stale'), request('stale')];
      client.write(first.text);
      await isStale(first);
      client.write(request('timer').text + behind.text);
      await client.response();
      await isStale(behind);
      client.write(cut.text.slice(0, 30));
      await new Promise((resolve) => setTimeout(resolve, 2));
      client.write(cut.text.slice(30));
      await isStale(cut);
      client.destroy();
    });

    it('in pipelined requests, answered at once and later', async () => {
      const client = await connect();
      const routes = ['function', 'answered', 'answered', 'timer', 'async', 'answered', 'tick', 'late-abort'];
      const requests = [...routes, ...routes].map((route) => request(route));
      client.write(requests.map(({ text }) => text).join(''));
      const answered: string[] = [];
      for (const { told } of requests) {
        const isAnswered = told.includes('/answered/');
        if (isAnswered) answered.push(told);
        expect((await client.response()).body).toBe(isAnswered ? 'at once' : told);
      }
      const lines = await log(client, '/answered/');
      for (const told of answered) {
        expect(lines).toContain(`promise ${told}`);
        expect(lines).toContain(`nextTick ${told}`);
      }
      client.destroy();
    });

    it('in a head that comes in pieces', async () => {
      const client = await connect();
      for (const route of ['function', 'answered', 'async', 'timer']) {
        const { path, text, told } = request(route);
        for (const piece of [text.slice(0, 1), text.slice(1, 30), text.slice(30, -2), text.slice(-2)]) {
          client.write(piece);
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        const isAnswered = route === 'answered';
        expect((await client.response()).body).toBe(isAnswered ? 'at once' : told);
        const lines = await log(client, path);
        if (isAnswered) expect(lines).toEqual([`nextTick ${told}`, `promise ${told}`]);
      }
      client.destroy();
    });

    it('when a body follows', async () => {
      const client = await connect();
      for (const size of [0, 10, 100_000]) {
        const { text, told } = request('body', 'POST', 'b'.repeat(size));
        client.write(text);
        expect((await client.response()).body).toBe(`${size} ${told}`);
      }
      client.destroy();
    });
  });

  describe('a body comes when the microtasks of the handler, and of the reader, have run', () => {
    it.each([0, 1000, 100_000])('of %i bytes', async (size) => {
      const client = await connect();
      const { text, told } = request('settled', 'POST', 'b'.repeat(size));
      client.write(text);
      expect((await client.response()).body).toBe(`0 ${size} ${told}`);
      client.destroy();
    });

    it('in chunks', async () => {
      const client = await connect();
      client.write(chunked('/settled/7', ['abc', 'defg', 'h'.repeat(5000)]));
      expect((await client.response()).body).toMatch(/^0 5007 post \/settled\/7 /);
      client.destroy();
    });

    it('behind a request that is answered later', async () => {
      const client = await connect();
      const routes = ['timer', 'settled', 'function', 'settled', 'timer'];
      const requests = routes.map((route) =>
        request(route, route === 'timer' ? 'GET' : 'POST', route === 'settled' ? 'b'.repeat(500) : ''),
      );
      client.write(requests.map(({ text }) => text).join(''));
      for (const [i, { told }] of requests.entries()) {
        const prefix = routes[i] === 'settled' ? '0 500 ' : '';
        expect((await client.response()).body).toBe(prefix + told);
      }
      client.destroy();
    });
  });

  describe('a request can be passed on', () => {
    it('after an await', async () => {
      const client = await connect();
      const { text, told } = request('yield');
      client.write(text);
      const { body, headers } = await client.response();
      expect([body, headers.get('x-first')]).toEqual([`second ${told}`, told]);
      client.destroy();
    });

    it('in a later turn, and be taken by nobody', async () => {
      const client = await connect();
      const behind = request('function');
      client.write(request('yield-all').text + behind.text);
      expect((await client.response()).status).toBe(404);
      expect((await client.response()).body).toBe(behind.told);
      client.destroy();
    });
  });

  it('a handler that neither answered in its microtasks nor attached onAborted is answered for', async () => {
    const client = await connect();
    client.write(request('forgotten').text);
    expect((await client.response()).status).toBe(500);
    client.destroy();
  });

  describe('the request of a handshake can be read', () => {
    it.each([
      ['in an upgrade handler that upgrades at once', 'ws-sync'],
      ['in an async upgrade handler', 'ws-async'],
      ['in one that waits for a timer', 'ws-timer'],
      ['in open, without an upgrade handler', 'ws-open'],
    ])('%s, and in an async open', async (_name, route) => {
      const client = await connect();
      const id = next++;
      client.write(handshakeText(`/${route}/${id}?q=${id}`, { 'X-Padding': 'y'.repeat(id) }));
      expect((await client.response()).status).toBe(101);
      const first = await client.text();
      const told = first.split('|')[0]!;
      expect(told).toMatch(new RegExp(`^get /${route}/${id} ${id} ${id} ${id} [0-9]+$`));
      if (route !== 'ws-open') {
        expect(first).toBe(`${told}|${told}|${told}`);
        expect(await client.text()).toBe(`${told}|${told}`);
      }
      expect(await client.text()).toBe(told);
      client.destroy();
    });
  });
}
