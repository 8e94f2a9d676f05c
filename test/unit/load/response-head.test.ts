import { describe, expect, it } from 'vitest';
import { handshakeProblem } from '../../../src/load/load-connection.ts';
import { ResponseHead } from '../../../src/load/response-head.ts';

const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const GOOD = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${ACCEPT}`;

describe('ResponseHead', () => {
  it('has status, reason and headers, repeated ones joined', () => {
    const head = ResponseHead.parse('HTTP/1.1 404 Not Found\r\nA: 1\r\nb:  two \r\nA: 3')!;
    expect([head.status, head.reason]).toEqual([404, 'Not Found']);
    expect([head.header('a'), head.headerCount('a')]).toEqual(['1, 3', 2]);
    expect([head.header('b'), head.header('c'), head.headerCount('c')]).toEqual(['two', '', 0]);
  });

  it.each(['HTTP/1.1 200', 'HTTP/1.1 200 '])('takes %j', (line) => {
    expect(ResponseHead.parse(line)).toMatchObject({ status: 200, reason: '' });
  });

  it.each([
    '',
    'SSH-2.0-OpenSSH_9.2',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 200 OK\r\nno colon',
    'HTTP/1.1 200 OK\r\n: no name',
    'HTTP/1.1 200 OK\r\nA : 1',
    'HTTP/1.1 200 OK\r\n folded: 1',
  ])('refuses %j', (text) => {
    expect(ResponseHead.parse(text)).toBeUndefined();
  });
});

describe('handshakeProblem', () => {
  const problem = (head: string, body = ''): string =>
    handshakeProblem(`${head}\r\n\r\n${body}`, head.length, { accept: ACCEPT });

  it('is none for a good answer', () => {
    expect(problem(GOOD)).toBe('');
  });

  it.each([
    [GOOD.replace(ACCEPT, 'x'), '', /answer to the handshake is wrong: Sec-WebSocket-Accept is wrong/],
    [
      'HTTP/1.1 404 Not Found',
      '',
      /refused the handshake with 404 Not Found: there is no WebSocket at this path$/,
    ],
    ['HTTP/1.1 302 Found\r\nLocation: wss://x/y', '', /with 302 Found: it is at wss:\/\/x\/y$/],
    [
      'HTTP/1.1 400 Bad\r\nContent-Type: text/plain',
      'Origin\u001b[2J is wrong',
      /with 400 Bad \(it says: Origin\\x1b\[2J is wrong\)$/,
    ],
    [
      'HTTP/1.1 400 B\u001b[31mad\u009b\r\nContent-Type: text/plain',
      Buffer.from('für \u202eeid').toString('latin1'),
      /with 400 B\\x1b\[31mad\ufffd \(it says: für \\u202eeid\)$/,
    ],
    ['HTTP/1.1 302 Found\r\nLocation: /\u001b[2J', '', /it is at \/\\x1b\[2J$/],
    ['HTTP/1.1 418', '<html>', /with 418$/],
    ['220 mail.example.com ESMTP', '', /no HTTP\/1\.1/],
  ])('of %j %j is told', (head, body, expected) => {
    expect(problem(head, body)).toMatch(expected);
  });

  it('does not show all that a server says', () => {
    expect(problem('HTTP/1.1 400 Bad\r\nContent-Type: text/plain', 'x'.repeat(5000)).length).toBeLessThan(
      300,
    );
  });
});
