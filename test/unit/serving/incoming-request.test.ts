import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IncomingRequest } from '../../../src/serving/incoming-request.ts';
import { userCode } from '../../../src/user-code.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { until } from '../../support/tools/deadline.ts';
import { Engine } from './engine.ts';

describe('IncomingRequest', () => {
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

  const get = async (path: string): Promise<string> => {
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nX-Path: ${path}\r\n\r\n`);
    return (await client.response()).body;
  };

  it('has the parameters of the route, and its head to the end of the turn when it was answered', async () => {
    let kept: IncomingRequest | undefined;
    const seen: string[] = [];
    engine.get('/a/:one/:two', (response, request) => {
      kept = request;
      seen.push(`${request.names.join()} ${request.params.join()} ${request.head.header('x-path')}`);
      response.end('answer');
      queueMicrotask(() => seen.push(request.head.path));
    });
    expect(await get('/a/1/2')).toBe('answer');
    expect(seen).toEqual(['one,two 1,2 /a/1/2', '/a/1/2']);
    expect(() => kept!.head).toThrow(expect.objectContaining({ code: 'MILLRACE_STALE_ACCESS' }));
  });

  it('lives on in a copy when its handler is to answer later, whatever is read meanwhile', async () => {
    let answer: (() => void) | undefined;
    engine.get('/late', (response, request) => {
      response.onAborted = userCode(() => {});
      answer = () => {
        response.end(`${request.head.path} ${request.head.header('x-path')}`);
      };
    });
    engine.get('/other', (response) => {
      response.end('other');
    });
    client.write('GET /late HTTP/1.1\r\nHost: a\r\nX-Path: kept\r\n\r\n');
    await until(() => answer !== undefined, 'the handler was called');
    const other = await RawClient.connect(engine.port);
    other.write(`GET /other HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(500)}\r\n\r\n`);
    expect((await other.response()).body).toBe('other');
    other.destroy();
    answer!();
    expect((await client.response()).body).toBe('/late kept');
  });

  it.each(['at once', 'later'])('goes to the next handler when one passes it on %s', async (when) => {
    const called: string[] = [];
    engine.get('/:any', (response, request) => {
      called.push(`any ${request.params[0]}`);
      response.onAborted = userCode(() => {});
      if (when === 'at once') request.yieldToNext(true);
      else setImmediate(() => request.yieldToNext(true));
    });
    engine.get('/*', (response, request) => {
      called.push(`all ${request.params.length}`);
      response.end('passed on');
    });
    expect(await get('/x')).toBe('passed on');
    expect(called).toEqual(['any x', 'all 0']);
  });

  it('stays when a handler takes back that it passes it on', async () => {
    engine.get('/:any', (response, request) => {
      request.yieldToNext(true);
      request.yieldToNext(false);
      response.end('mine');
    });
    expect(await get('/x')).toBe('mine');
  });
});
