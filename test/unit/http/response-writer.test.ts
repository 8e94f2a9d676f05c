import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../../src/errors.ts';
import {
  allowsBody,
  CHUNKED,
  CONTINUE,
  errorResponse,
  headerLine,
  REASON_PHRASES,
  ResponseHead,
  switchingProtocols,
  UNTIL_CLOSE,
} from '../../../src/http/response-writer.ts';

const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT';
const BAD_VALUES = ['a\r\nX: y', 'a\rb', 'a\nb', '\0', 'a\x1bb', '\x7f'];

/** What a call throws; the code must be that of an invalid argument. */
function invalid(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    expect(error.code).toBe('MILLRACE_INVALID_ARGUMENT');
    return error.message;
  }
  throw new Error('nothing was thrown');
}

describe('a header line', () => {
  it('is name, colon, space, value and CRLF', () => {
    expect(headerLine('X-Some_Name', 'a\tb \xe9')).toBe('X-Some_Name: a\tb \xe9\r\n');
    expect(headerLine('X', 'ü€😀')).toBe('X: ü€😀\r\n');
    expect(headerLine('x', '')).toBe('x: \r\n');
    expect(headerLine('__proto__', 'x')).toBe('__proto__: x\r\n');
  });

  it.each(BAD_VALUES)('with the value %j is refused, and its name told', (value) => {
    expect(invalid(() => headerLine('X-Evil', value))).toContain('"X-Evil"');
  });

  it.each(['', 'a b', 'a:', 'a\r\n', 'a\0', 'é', '€', 'a\tb', '(a)'])(
    'with the name %j is refused',
    (name) => {
      expect(invalid(() => headerLine(name, 'v'))).toContain('name');
    },
  );

  it('shows an endless name cut, and without its line breaks', () => {
    const message = invalid(() => headerLine(`\r\n${'a'.repeat(10_000)}`, 'v'));
    expect(message.length).toBeLessThan(300);
    expect(message).not.toContain('\n');
  });
});

describe('an error response', () => {
  it('is complete and closes the connection', () => {
    expect(errorResponse(400)).toBe(
      'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nBad Request\n',
    );
  });

  it('takes headers and a body', () => {
    const text = errorResponse(
      426,
      [
        ['Sec-WebSocket-Version', '13'],
        ['Upgrade', 'websocket'],
      ],
      'no',
    );
    expect(text).toBe(
      'HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n' +
        'Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\nno',
    );
    expect(errorResponse(426, [['upgrade', 'h2c']])).toContain('\r\nConnection: Upgrade, close\r\n');
    expect(errorResponse(503, [], '').endsWith('Content-Length: 0\r\n\r\n')).toBe(true);
    expect(errorResponse(599).startsWith('HTTP/1.1 599 Error\r\n')).toBe(true);
  });

  it('has a length that is that of its body, for every status', () => {
    for (const status of [...Object.keys(REASON_PHRASES).map(Number), 777]) {
      const [head, body] = errorResponse(status, [], 'caf\xe9').split('\r\n\r\n');
      expect(head).toContain(`Content-Length: ${body!.length}`);
      expect(head!.startsWith(`HTTP/1.1 ${status} `)).toBe(true);
    }
  });

  it('refuses what could not be sent', () => {
    invalid(() => errorResponse(400, [['X', 'a\r\nb']]));
    invalid(() => errorResponse(400, [], '€'));
    invalid(() => errorResponse(99));
    invalid(() => errorResponse(1000));
    for (const name of ['connection', 'Content-Length', 'Transfer-Encoding'])
      invalid(() => errorResponse(400, [[name, '1']]));
  });
});

describe('switching protocols', () => {
  it('is the 101 of a handshake', () => {
    expect(switchingProtocols({ accept: 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' })).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    );
  });

  it('adds protocol, extensions and further headers, repeated ones too', () => {
    const text = switchingProtocols({
      accept: 'x',
      protocol: 'chat',
      extensions: 'permessage-deflate',
      extraHeaders: [
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
      ],
    });
    expect(text.split('\r\n').slice(3)).toEqual([
      'Sec-WebSocket-Accept: x',
      'Sec-WebSocket-Protocol: chat',
      'Sec-WebSocket-Extensions: permessage-deflate',
      'Set-Cookie: a=1',
      'Set-Cookie: b=2',
      '',
      '',
    ]);
  });

  it('lets further headers give a protocol only when none was chosen', () => {
    const extraHeaders = [['Sec-WebSocket-Protocol', 'own']] as const;
    expect(switchingProtocols({ accept: 'x', protocol: '', extraHeaders })).toContain(
      'Sec-WebSocket-Protocol: own',
    );
    invalid(() => switchingProtocols({ accept: 'x', protocol: 'chat', extraHeaders }));
    invalid(() =>
      switchingProtocols({ accept: 'x', extensions: 'e', extraHeaders: [['sec-websocket-extensions', 'f']] }),
    );
  });

  it.each(BAD_VALUES)('refuses %j as protocol, extension, accept value or header', (value) => {
    expect(invalid(() => switchingProtocols({ accept: 'x', protocol: value }))).toContain(
      'Sec-WebSocket-Protocol',
    );
    invalid(() => switchingProtocols({ accept: 'x', extensions: value }));
    invalid(() => switchingProtocols({ accept: value }));
    invalid(() => switchingProtocols({ accept: 'x', extraHeaders: [['X', value]] }));
  });

  it('says Upgrade and Connection once, whatever the app says', () => {
    const extraHeaders = [
      ['upgrade', 'websocket'],
      ['X', 'ü'],
      ['CONNECTION', 'keep-alive, Upgrade'],
    ] as const;
    expect(switchingProtocols({ accept: 'x', extraHeaders }).split('\r\n')).toEqual([
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Accept: x',
      'X: ü',
      '',
      '',
    ]);
  });

  it.each(['Sec-WebSocket-Accept', 'Content-Length', 'Transfer-Encoding'])('refuses a second %s', (name) => {
    expect(invalid(() => switchingProtocols({ accept: 'x', extraHeaders: [[name, '1']] }))).toContain(name);
  });
});

describe('a response head', () => {
  it('has status, headers in order, date and length', () => {
    const head = new ResponseHead();
    head.writeStatus('201 Created').writeHeader('X-B', '1').writeHeader('x-a', '2').writeHeader('X-B', '3');
    expect(head.finish(13, DATE)).toBe(
      `HTTP/1.1 201 Created\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nDate: ${DATE}\r\nContent-Length: 13\r\n\r\n`,
    );
  });

  it('is 200 OK when no status is written', () => {
    const head = new ResponseHead();
    expect(head.status).toBe(200);
    expect(head.started).toBe(false);
    expect(head.finish(0, '')).toBe('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    expect(head.writeHeader('a', 'b').finish(0, '')).toBe(
      'HTTP/1.1 200 OK\r\na: b\r\nContent-Length: 0\r\n\r\n',
    );
  });

  it('starts anew after finish and after reset', () => {
    const head = new ResponseHead();
    head
      .writeStatus('404')
      .writeHeader('Date', 'x')
      .writeHeader('Content-Length', '5')
      .writeHeader('Connection', 'close');
    expect([head.started, head.status, head.close, head.contentLength]).toEqual([true, 404, true, 5]);
    head.finish(5, DATE);
    expect([head.started, head.status, head.close, head.contentLength]).toEqual([false, 200, false, -1]);
    expect(head.finish(1, DATE)).toBe(`HTTP/1.1 200 OK\r\nDate: ${DATE}\r\nContent-Length: 1\r\n\r\n`);
    head.writeStatus('500').writeHeader('a', 'b').reset();
    expect(head.finish(1, '')).toBe('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n');
  });

  it('keeps the first status, and none after a header', () => {
    expect(new ResponseHead().writeStatus('201').writeStatus('500').finish(-1, '')).toBe(
      'HTTP/1.1 201 Created\r\n\r\n',
    );
    expect(new ResponseHead().writeHeader('a', 'b').writeStatus('500').finish(-1, '')).toBe(
      'HTTP/1.1 200 OK\r\na: b\r\n\r\n',
    );
  });

  it('adds the phrase of a code that stands alone, and keeps the phrase of the app', () => {
    expect(new ResponseHead().writeStatus('418').finish(-1, '')).toBe("HTTP/1.1 418 I'm a teapot\r\n\r\n");
    expect(new ResponseHead().writeStatus('799').finish(-1, '')).toBe('HTTP/1.1 799 \r\n\r\n');
    expect(new ResponseHead().writeStatus('404 File Not Found').finish(-1, '')).toBe(
      'HTTP/1.1 404 File Not Found\r\n\r\n',
    );
    expect(new ResponseHead().writeStatus('200 ').finish(-1, '')).toBe('HTTP/1.1 200 \r\n\r\n');
  });

  it('leaves Date, Content-Length and Connection to the app where it writes them', () => {
    const head = new ResponseHead();
    head
      .writeHeader('dAtE', 'mine')
      .writeHeader('CONTENT-length', '0007')
      .writeHeader('connection', 'Upgrade, Close');
    expect(head.close).toBe(true);
    expect(head.contentLength).toBe(7);
    expect(head.finish(7, DATE, true)).toBe(
      'HTTP/1.1 200 OK\r\ndAtE: mine\r\nconnection: Upgrade, Close\r\nCONTENT-length: 0007\r\n\r\n',
    );
  });

  it('does not take other headers of the same size for those', () => {
    const head = new ResponseHead();
    head
      .writeHeader('Dare', 'x')
      .writeHeader('Connectiom', 'close')
      .writeHeader('Content-Weight', '1')
      .writeHeader('Transfer-Encoder', 'x');
    expect(head.close).toBe(false);
    const text = head.finish(3, DATE, true);
    expect(text).toContain(`Date: ${DATE}\r\n`);
    expect(text).toContain('Connection: close\r\n');
    expect(text).toContain('Content-Length: 3\r\n');
  });

  it('never gives a length to 1xx and 204, and gives the reported one to 304', () => {
    for (const status of ['101', '103', '199 Odd', '204']) {
      expect(new ResponseHead().writeStatus(status).finish(0, '')).not.toContain('Content-Length');
    }
    expect(new ResponseHead().writeStatus('304').finish(10, '')).toContain('Content-Length: 10\r\n');
  });

  it('never gives 304 a length of 0, nor an encoding, but the length the app writes', () => {
    for (const length of [0, -1, CHUNKED])
      expect(new ResponseHead().writeStatus('304').finish(length, '')).toBe(
        'HTTP/1.1 304 Not Modified\r\n\r\n',
      );
    const head = new ResponseHead().writeStatus('304').writeHeader('Content-Length', '0');
    expect(head.finish(-1, '')).toContain('Content-Length: 0\r\n');
  });

  it('gives 205 the length 0, and 204 none, whatever the app writes', () => {
    for (const [status, lines] of [
      ['205', ['Content-Length: 0']],
      ['204', []],
    ] as const) {
      for (const length of [-1, 0, 5, CHUNKED, UNTIL_CLOSE]) {
        const head = new ResponseHead().writeStatus(status).writeHeader('Content-Length', '5');
        expect(head.finish(length, '').split('\r\n').slice(1)).toEqual([...lines, '', '']);
      }
    }
  });

  it('has no framing when the body ends with the connection', () => {
    const head = new ResponseHead().writeHeader('Content-Length', '5');
    expect(head.finish(UNTIL_CLOSE, '', true)).toBe('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
  });

  it('is ASCII, or to be sent as UTF-8', () => {
    const head = new ResponseHead();
    expect(head.writeHeader('X', 'a').isAscii).toBe(true);
    expect(head.writeHeader('X', '\u560d\u560aY: ü').isAscii).toBe(false);
    expect(head.finish(0, '')).toContain('X: \u560d\u560aY: ü\r\n');
    expect(head.isAscii).toBe(true);
    expect(head.writeStatus('200 Très bien').isAscii).toBe(false);
  });

  it.each<[own: string[], close: boolean, saysKeepAlive: boolean, line: string | undefined]>([
    [[], false, false, undefined],
    [[], true, false, 'Connection: close'],
    [[], false, true, 'Connection: keep-alive'],
    [['x'], false, false, 'coNNection: x'],
    [['x', 'y'], false, false, 'coNNection: x, y'],
    [['keep-alive'], false, false, 'coNNection: keep-alive'],
    [['Keep-Alive'], false, true, 'coNNection: Keep-Alive'],
    [['Keep-Alive'], true, false, 'coNNection: close'],
    [['keep-alive, Upgrade'], true, false, 'coNNection: Upgrade, close'],
    [['Upgrade'], false, true, 'coNNection: Upgrade, keep-alive'],
    [['x, CLOSE'], true, false, 'coNNection: x, CLOSE'],
    [['close', 'x'], true, false, 'coNNection: close, x'],
    [[''], true, false, 'coNNection: close'],
    [[''], false, true, 'coNNection: keep-alive'],
  ])('has one Connection: for %j, close %s, keep-alive %s it is %j', (own, close, saysKeepAlive, line) => {
    const head = new ResponseHead();
    own.forEach((value, i) => head.writeHeader(i === 0 ? 'coNNection' : 'Connection', value));
    expect(head.close).toBe(own.some((value) => /close/i.test(value)));
    const lines = head.finish(0, '', close, saysKeepAlive).split('\r\n');
    expect(lines.filter((text) => /^connection:/i.test(text))).toEqual(line === undefined ? [] : [line]);
  });

  it('has one Date, the first that was written', () => {
    const head = new ResponseHead().writeHeader('Date', 'a').writeHeader('date', 'b');
    expect(head.finish(-1, DATE)).toBe('HTTP/1.1 200 OK\r\nDate: a\r\n\r\n');
  });

  it('says chunked once, where it is so', () => {
    const head = () => new ResponseHead().writeHeader('transfer-encoding', 'Chunked');
    expect(head().finish(CHUNKED, '')).toBe('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    expect(head().finish(5, '')).toBe('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
  });

  it.each([
    '',
    'OK',
    '20',
    '2000 OK',
    '099 Low',
    '20x',
    '200\r\n',
    '200 a\r\nX: y',
    '200 \0',
    '200 \x7f',
    '200-OK',
    ' 200',
    '-12',
  ])('refuses the status %j', (status) => {
    const head = new ResponseHead();
    invalid(() => head.writeStatus(status));
    expect(head.started).toBe(false);
  });

  it.each(BAD_VALUES)('refuses the value %j, and writes nothing of it', (value) => {
    const head = new ResponseHead();
    expect(invalid(() => head.writeHeader('X-Evil', value))).toContain('X-Evil');
    expect(head.finish(0, '')).toBe('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  });

  it('refuses a framing that is not the body s', () => {
    const head = new ResponseHead();
    for (const value of ['gzip', 'gzip, chunked', ''])
      invalid(() => head.writeHeader('Transfer-encoding', value));
    for (const value of ['', '-1', '1,1', 'x', ' 1', '1.0'])
      invalid(() => head.writeHeader('Content-Length', value));
    head.writeHeader('Content-Length', '1');
    invalid(() => head.writeHeader('Content-Length', '1'));
    expect(head.finish(1, '')).toBe('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n');
  });
});

describe('whether a response has a body', () => {
  it('depends on method and status', () => {
    expect(allowsBody('GET', 200)).toBe(true);
    expect(allowsBody('GET', 404)).toBe(true);
    expect(allowsBody('HEAD', 200)).toBe(false);
    for (const status of [100, 101, 199, 204, 205, 304]) expect(allowsBody('GET', status)).toBe(false);
    for (const status of [200, 203, 206, 303, 305]) expect(allowsBody('GET', status)).toBe(true);
  });
});

describe('the interim response', () => {
  it('is a status line alone', () => {
    expect(CONTINUE).toBe('HTTP/1.1 100 Continue\r\n\r\n');
  });
});
