import { describe, expect, it } from 'vitest';
import { parseTarget } from '../../../src/load/target.ts';

describe('parseTarget', () => {
  it.each([
    [
      'ws://localhost:9001',
      { url: 'ws://localhost:9001/', secure: false, host: 'localhost', port: 9001, path: '/' },
    ],
    ['localhost:9001/chat', { url: 'ws://localhost:9001/chat', path: '/chat' }],
    [
      'wss://example.com/a?b=c#d',
      { secure: true, port: 443, path: '/a?b=c', hostHeader: 'example.com', servername: 'example.com' },
    ],
    ['ws://example.com', { port: 80, hostHeader: 'example.com' }],
    ['ws://[::1]:9/', { host: '::1', hostHeader: '[::1]:9', servername: '' }],
    ['wss://127.0.0.1', { servername: '', host: '127.0.0.1' }],
    ['WS://HOST/ä b', { host: 'host', path: '/%C3%A4%20b' }],
    ['ws://me:p%40ss@host/', { url: 'ws://host/', authorization: 'Basic bWU6cEBzcw==' }],
    ['ws://host', { authorization: '' }],
  ])('%s', (url, expected) => {
    expect(parseTarget(url)).toMatchObject(expected);
  });

  it.each([
    ['', 'is no URL'],
    ['ws://', 'is no URL'],
    ['ws://host:99999', 'is no URL'],
    ['http://host/x', 'did you mean ws://host/x?'],
    ['https://host', 'did you mean wss://host/?'],
    ['http://me:secret@host', /^(?!.*secret).*did you mean ws:\/\/…@host/],
    ['ws://me:secret@host:99999', /^(?!.*secret).*is no URL/],
    ['ftp://host', "must begin with ws:// or wss://; got 'ftp://host'"],
    ['ws://a%zz@host', 'write it as %25'],
  ])('refuses %j', (url, message) => {
    expect(() => parseTarget(url)).toThrow(message);
    expect(() => parseTarget(url)).toThrow(
      expect.objectContaining({ code: 'MILLRACE_INVALID_OPTION' }) as Error,
    );
  });
});
