import { afterEach, beforeEach, expect, it } from 'vitest';
import { DeclarativeResponse } from '../../../src/http/declarative-response.ts';
import { declarativeHandler } from '../../../src/serving/declarative-handler.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { Engine } from './engine.ts';

let engine: Engine;
beforeEach(() => {
  engine = new Engine();
});
afterEach(() => {
  engine[Symbol.dispose]();
});

/** The answer to a request, which is given to the route of this pattern. */
async function answer(
  pattern: string,
  code: ArrayBuffer,
  path: string,
  headers = '',
  body = '',
  method = 'POST',
) {
  engine.http.dispatcher.routes.http.add(method, pattern, declarativeHandler(new Uint8Array(code)));
  const client = await RawClient.connect(engine.port);
  const length = method === 'POST' ? `Content-Length: ${Buffer.byteLength(body)}\r\n` : '';
  client.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${length}${headers}\r\n${body}`);
  const { status, headers: answered, body: text } = await client.response();
  client.socket.destroy();
  return { status, text, x: answered.get('x-a') };
}

it('answers with a fixed status, headers and body', async () => {
  const code = new DeclarativeResponse()
    .writeStatus('201 Created')
    .writeHeader('x-a', 'b')
    .write('one ')
    .end('two');
  expect(await answer('/', code, '/', '', '', 'GET')).toEqual({ status: 201, text: 'one two', x: 'b' });
});

it('answers with nothing at all', async () => {
  expect(await answer('/', new DeclarativeResponse().end(), '/', '', '', 'GET')).toEqual({
    status: 200,
    text: '',
    x: undefined,
  });
});

it('puts in the query, headers and parameters; nothing where there is none', async () => {
  const code = new DeclarativeResponse()
    .writeQueryValue('q')
    .write('|')
    .writeQueryValue('none')
    .write('|')
    .writeHeaderValue('x-given')
    .write('|')
    .writeHeaderValue('x-none')
    .write('|')
    .writeParameterValue('second')
    .write('|')
    .writeParameterValue('none')
    .end('|');
  const { text } = await answer('/:first/:second', code, '/a/b?q=x%20y', 'X-Given: h\r\n', '', 'GET');
  expect(text).toBe('x y||h||b||');
});

it('puts in the body of the request, as often as it is wanted, and after all of it came', async () => {
  const code = new DeclarativeResponse()
    .writeHeader('x-a', 'b')
    .write('<')
    .writeBody()
    .write('>')
    .writeBody()
    .end('!');
  expect(await answer('/', code, '/', '', 'bödy')).toEqual({ status: 200, text: '<bödy>bödy!', x: 'b' });
  expect((await answer('/empty', code, '/empty')).text).toBe('<>!');
});

it('answers 413 to a body of more than 1 MiB', async () => {
  const code = new DeclarativeResponse().writeHeader('x-a', 'b').writeBody().end();
  const size = 1024 * 1024;
  expect((await answer('/fits', code, '/fits', '', 'x'.repeat(size))).text).toHaveLength(size);
  expect(await answer('/', code, '/', '', 'x'.repeat(size + 1))).toEqual({
    status: 413,
    text: '',
    x: undefined,
  });
});

it('throws for bytes that are no response', () => {
  expect(() => declarativeHandler(new Uint8Array([250]))).toThrow(
    expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }) as Error,
  );
});
