import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FACES, requestHandler } from '../../../src/app/faces.ts';
import { HttpRequest } from '../../../src/app/http-request.ts';
import { faceOf, HttpResponse } from '../../../src/app/http-response.ts';
import { ANY_METHOD } from '../../../src/http/router.ts';
import type { OutgoingResponse } from '../../../src/serving/outgoing-response.ts';
import { checkBehavior } from '../../../src/websocket/behavior.ts';
import type { Session } from '../../../src/websocket/session.ts';
import { WebSocketRoute } from '../../../src/websocket/websocket-route.ts';
import { handshakeText, RawClient } from '../../support/clients/raw-client.ts';
import { until } from '../../support/tools/deadline.ts';
import { Engine } from '../serving/engine.ts';

describe('faces', () => {
  let engine: Engine;
  let client: RawClient;
  beforeEach(async () => {
    engine = new Engine();
    client = await RawClient.connect(engine.port);
  });
  afterEach(() => {
    client.destroy();
    engine[Symbol.dispose]();
  });

  it('of a response are one object for all handlers that a request is tried with, and fields stay on it', async () => {
    const faces: HttpResponse[] = [];
    const requests: HttpRequest[] = [];
    let behind: OutgoingResponse | undefined;
    engine.get('/:a', (response, request) => {
      behind = response;
      return requestHandler((res, req) => {
        faces.push(res);
        requests.push(req);
        res['user'] = 'kept';
        req.setYield(true);
      })(response, request);
    });
    engine.get(
      '/*',
      requestHandler((res, req) => {
        faces.push(res);
        requests.push(req);
        res.end(`${String(res['user'])} ${req.getUrl()}`);
      }),
    );
    client.write('GET /x HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await client.response()).body).toBe('kept /x');
    expect(faces[0]).toBe(faces[1]);
    expect(requests[0]).not.toBe(requests[1]);
    expect(faceOf(behind!)).toBe(faces[0]);
    expect(faces[0]).toBeInstanceOf(HttpResponse);
    expect(requests[0]).toBeInstanceOf(HttpRequest);
    // Nothing but what users put there can be seen.
    expect(Object.keys(faces[0]!)).toEqual(['user']);
    expect(Object.keys(requests[0]!)).toEqual([]);
  });

  it('cannot be used when what they point to is over', async () => {
    let face: HttpResponse | undefined;
    engine.get(
      '/',
      requestHandler((res) => {
        face = res;
        res.end('x');
      }),
    );
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.response();
    const stale = expect.objectContaining({ code: 'MILLRACE_STALE_ACCESS' });
    expect(() => face!.end()).toThrow(stale);
    expect(() => face!.onData(() => {})).toThrow(stale);
    expect(() => face!.upgrade({}, '', '', '', {})).toThrow(stale);
    // A body's size that makes no sense is told before.
    expect(() => face!.collectBody(-1, () => {})).toThrow(
      expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
    );
    expect(face!.close()).toBe(face);
    expect(face!.aborted).toBe(false);
  });

  it('of a response that its handler has sent is not kept, that of one that is open is', async () => {
    const faces: HttpResponse[] = [];
    const responses: OutgoingResponse[] = [];
    const results: unknown[] = [];
    const handler = requestHandler((res, req) => {
      faces.push(res);
      if (req.getUrl() === '/later') res.onAborted(() => {});
      else res.end('now');
      return res as never;
    });
    engine.get('/*', (response, request) => {
      responses.push(response);
      const result = handler(response, request);
      results.push(result);
      return result;
    });
    client.write('GET /now HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await client.response()).body).toBe('now');
    expect(responses[0]!.face).toBeNull();
    client.write('GET /later HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => responses.length === 2, 'the handler was called');
    expect(responses[1]!.face).toBe(faces[1]);
    faces[1]!.end('then');
    expect((await client.response()).body).toBe('then');
    // What a handler returns of its response is no promise to watch.
    expect(results).toEqual([undefined, undefined]);
  });

  it('of the request of a handshake are one object for upgrade and open, and fields stay on it', async () => {
    const requests: HttpRequest[] = [];
    const behavior = {
      upgrade: (res: HttpResponse, req: HttpRequest, context: object) => {
        Object.assign(req, { user: 'kept' });
        requests.push(req);
        res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context);
      },
      open: (_ws: unknown, req: HttpRequest) => {
        requests.push(req);
      },
    };
    const route = new WebSocketRoute('/ws', checkBehavior('/ws', behavior as object), engine.shard, FACES);
    engine.http.dispatcher.routes.upgrades.add(ANY_METHOD, '/ws', route);
    client.write(handshakeText('/ws'));
    expect((await client.response()).status).toBe(101);
    expect(requests[1]).toBe(requests[0]);
    expect(requests[1]).toHaveProperty('user', 'kept');
  });

  it('tell the first of two errors of a call: that the head is sent, and not what cannot be sent', async () => {
    const errors: unknown[] = [];
    const calls: ((res: HttpResponse) => void)[] = [
      (res) => res.writeStatus(Symbol('status') as never),
      (res) => res.writeHeader(Symbol('key') as never, 'value'),
      (res) => res.writeHeader('key', Symbol('value') as never),
      (res) => {
        res.upgrade({}, Symbol('key') as never, '', '', {});
      },
    ];
    engine.get(
      '/',
      requestHandler((res) => {
        res.write('begun');
        for (const call of calls) {
          try {
            call(res);
          } catch (error) {
            errors.push(error);
          }
        }
        res.end();
      }),
    );
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await client.response()).body).toBe('begun');
    const sent = { message: expect.stringContaining('the head was sent') as string };
    expect(errors).toMatchObject([sent, sent, sent, sent]);
  });

  it('of a session are made by those who give its route faces, which may be any objects', async () => {
    const events: unknown[] = [];
    const faces = {
      ...FACES,
      ofSession: (session: Session) => ({ name: 'mine', session }),
      detach: (socket: object) => {
        events.push(['detach', (socket as { name: string }).name]);
      },
    };
    const behavior = {
      open: (ws: { name: string }) => events.push(['open', ws.name]) > 100,
      message: (ws: { name: string; session: Session }, message: ArrayBuffer) => {
        events.push(['message', ws.name, Buffer.from(message).toString()]);
        ws.session.route.endSession(ws.session, 1000, new Uint8Array(0));
      },
      close: (ws: { name: string }) => events.push(['close', ws.name]),
    };
    const route = new WebSocketRoute('/ws', checkBehavior('/ws', behavior as object), engine.shard, faces);
    engine.http.dispatcher.routes.upgrades.add(ANY_METHOD, '/ws', route);
    client.write(handshakeText('/ws'));
    expect((await client.response()).status).toBe(101);
    client.send({ opcode: 1, payload: Buffer.from('hello') });
    await until(() => events.length === 4, 'it is closed');
    expect(events).toEqual([
      ['open', 'mine'],
      ['message', 'mine', 'hello'],
      ['close', 'mine'],
      ['detach', 'mine'],
    ]);
  });
});
