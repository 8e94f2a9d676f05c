import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChunkReader } from '../../../src/serving/body-reader.ts';
import type { OutgoingResponse } from '../../../src/serving/outgoing-response.ts';
import { userCode } from '../../../src/user-code.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { until } from '../../support/tools/deadline.ts';
import { Engine } from './engine.ts';

describe('OutgoingResponse', () => {
  let engine: Engine;
  beforeEach(() => {
    engine = new Engine();
  });
  afterEach(() => {
    engine[Symbol.dispose]();
  });

  const get = async (path: string): Promise<RawClient> => {
    const client = await RawClient.connect(engine.port);
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    return client;
  };

  it('is sent by a handler of the engine, and no face of it is made', async () => {
    const seen: OutgoingResponse[] = [];
    engine.get('/whole', (response) => {
      seen.push(response);
      response.writeStatus('201 Created');
      response.writeHeader('x-a', 'b');
      response.end('text');
    });
    engine.get('/parts', (response) => {
      seen.push(response);
      response.write(Buffer.from('one '));
      expect(response.hasBegun).toBe(true);
      expect(response.offset).toBe(4);
      response.end('two');
    });
    const whole = await (await get('/whole')).response();
    expect(whole.status).toBe(201);
    expect(whole.headers.get('x-a')).toBe('b');
    expect(whole.body).toBe('text');
    expect((await (await get('/parts')).response()).body).toBe('one two');
    expect((await (await get('/nowhere')).response()).status).toBe(404);
    for (const response of seen) {
      expect(response.face).toBeNull();
      expect(response.isOpen).toBe(false);
      expect(response.isAborted).toBe(false);
    }
  });

  it('tells once that the peer is gone, and is not open any more', async () => {
    let aborted = 0;
    let kept: OutgoingResponse | undefined;
    engine.get('/', (response) => {
      kept = response;
      response.onAborted = userCode(() => {
        expect(response.isAborted).toBe(true);
        aborted++;
      });
    });
    const client = await get('/');
    await until(() => kept !== undefined, 'the handler was called');
    client.destroy();
    await until(() => aborted === 1, 'it is told');
    kept!.abort(() => {});
    expect(aborted).toBe(1);
    expect(kept!.isOpen).toBe(false);
    expect(kept!.onAborted).toBeNull();
  });

  it('calls a callback of onWritable with the offset, and does not take another answer than true or false', async () => {
    const offsets: number[] = [];
    let kept: OutgoingResponse | undefined;
    engine.get('/', (response) => {
      kept = response;
      response.onAborted = userCode(() => {});
      response.write('12345');
    });
    const client = await get('/');
    await until(() => kept !== undefined, 'the handler was called');
    const response = kept!;
    response.tellWritable(() => {});
    response.onWritable = userCode((offset: number) => offsets.push(offset) > 0);
    response.tellWritable(() => {});
    expect(offsets).toEqual([5]);
    response.onWritable = userCode((() => 'yes') as never);
    expect(() => {
      response.tellWritable(() => {});
    }).toThrow('must return true or false');
    const failures: unknown[] = [];
    response.onWritable = userCode((() => {
      throw new Error('in onWritable');
    }) as never);
    response.tellWritable((error) => failures.push(error));
    expect(failures).toMatchObject([{ message: 'in onWritable' }]);
    response.end('');
    response.tellWritable(() => {});
    expect(offsets).toEqual([5]);
    expect((await client.response()).body).toBe('12345');
  });

  it('gives the body to its reader until the last piece', async () => {
    const pieces: string[] = [];
    engine.http.dispatcher.routes.http.add('POST', '/', (response) => {
      response.onAborted = userCode(() => {});
      const onData = (chunk: ArrayBuffer, isLast: boolean): void => {
        pieces.push(Buffer.from(chunk).toString());
        if (!isLast) return;
        expect(response.reader).toBeNull();
        response.end(pieces.join('|'));
      };
      response.read(new ChunkReader(userCode(onData)));
      expect(response.reader).not.toBeNull();
    });
    const client = await RawClient.connect(engine.port);
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
    await until(() => pieces.length === 1, 'the first piece is there');
    client.write('def');
    expect((await client.response()).body).toBe('abc|def');
  });
});
