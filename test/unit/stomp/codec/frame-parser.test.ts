import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StompVersion } from '../../../../src/stomp/codec/frame.ts';
import { FrameParser } from '../../../../src/stomp/codec/frame-parser.ts';
import { byteByByte, chunksOf, Random, randomCuts, twoWayCuts } from '../../../support/protocol/chunked.ts';
import { LIMITS, readFrames, textPort } from './read-frames.ts';
import { referenceFrames } from './reference-frames.ts';

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const utf8 = (text: string): string => Buffer.from(text).toString('latin1');
const SMALL = { maxHeaders: 3, maxLineLength: 20, maxBodyLength: 30, maxFrameLength: 90 };

/** [what it is, the version agreed on, the bytes] */
const INPUTS: [string, StompVersion | null, string][] = [
  ['a frame without a body', '1.2', 'BEGIN\ntransaction:t\n\n\0'],
  ['a frame without headers', '1.2', 'DISCONNECT\n\n\0'],
  ['a body up to its NUL', '1.2', 'SEND\ndestination:/a\n\nhello\0'],
  ['a body with NUL in it, by its length', '1.2', 'SEND\ndestination:/a\ncontent-length:5\n\na\0b\0c\0'],
  ['a length of 0', '1.2', 'SEND\ndestination:/a\ncontent-length:0\n\n\0'],
  ['a length that ends before the NUL', '1.2', 'SEND\ncontent-length:2\n\nabc\0'],
  ['a length that ends behind the NUL', '1.2', 'SEND\ncontent-length:4\n\nabc\0more\0'],
  ...['-1', 'abc', '', '+3', '3.0', '0x3', ' 3', '3 ', '1e1', '9'.repeat(15), '9'.repeat(400)].map(
    (length): [string, StompVersion | null, string] => [
      `the length '${length.slice(0, 20)}'`,
      '1.2',
      `SEND\ncontent-length:${length}\n\nabc\0`,
    ],
  ),
  ['a length before CONNECTED', null, 'CONNECT\ncontent-length:-1\n\n\0'],
  ['a length for what has no body', '1.2', 'ACK\nid:1\ncontent-length:3\n\nabc\0'],
  ['a body for what has none', '1.2', 'ACK\nid:1\n\nabc\0'],
  [
    'a body for SUBSCRIBE in 1.0, which ignores it',
    '1.0',
    'SUBSCRIBE\ndestination: /a\n\nwhatever\0ACK\n\n\0',
  ],
  ['a body by its length for ACK in 1.0', '1.0', 'ACK\ncontent-length:3\n\na\0b\0'],
  ['two lengths: the first counts', '1.2', 'SEND\ncontent-length:3\ncontent-length:1\n\na\0b\0'],
  ['repeated headers', '1.1', 'SEND\nfoo:one\nfoo:two\n\n\0'],
  [
    'several frames with line ends between',
    '1.2',
    '\n\nBEGIN\ntransaction:1\n\n\0\n\r\n\nCOMMIT\ntransaction:1\n\n\0\n',
  ],
  ['frames without anything between', '1.2', 'BEGIN\na:1\n\n\0ABORT\na:1\n\n\0'],
  ['heart-beats alone', '1.1', '\n\n\r\n\n'],
  ['a CR alone between frames', '1.2', '\rBEGIN\na:1\n\n\0'],
  ['half a line end', '1.2', 'BEGIN\na:1\n\n\0\r'],
  ['CRLF in 1.2', '1.2', 'SEND\r\ndestination:/a\r\n\r\nbody\r\n\0'],
  ['CRLF in 1.1: the CR is part of the value', '1.1', 'SEND\nfoo:bar\r\n\nx\0'],
  ['CRLF behind a command of 1.1', '1.1', 'SEND\r\nfoo:bar\n\nx\0'],
  ['CRLF as the empty line of 1.1', '1.1', 'SEND\nfoo:bar\n\r\n\nx\0'],
  ['CRLF in CONNECT', null, 'CONNECT\r\naccept-version:1.2\r\nhost:x\r\n\r\n\0'],
  ['a CR within a value', '1.2', 'SEND\nfoo:a\rb\n\nx\0'],
  ['a CR within a value of 1.1', '1.1', 'SEND\nfoo:a\rb\n\nx\0'],
  ['two CRs before a line feed', '1.2', 'SEND\nfoo:a\r\r\n\nx\0'],
  ['a CR within a value of CONNECT', null, 'CONNECT\nlogin:a\rb\n\n\0'],
  ['escapes of 1.2', '1.2', 'SEND\na\\cb:c\\nd\\\\e\\r\n\n\0'],
  ['escapes of 1.1', '1.1', 'SEND\na\\cb:c\\nd\\\\e\n\n\0'],
  ['\\r, which 1.1 has not', '1.1', 'SEND\na:b\\r\n\n\0'],
  ['escapes in 1.0 are none', '1.0', 'SEND\na\\c:\\n\\q\\\n\n\0'],
  ['an escape that is not defined', '1.2', 'SEND\na:b\\t\n\n\0'],
  ['an escape cut off', '1.2', 'SEND\na:b\\\n\n\0'],
  ['an escape in a name', '1.2', 'SEND\n\\x:b\n\n\0'],
  ['CONNECT is not escaped', null, 'CONNECT\naccept-version:1.2\nlogin:a\\nb\\q\n\n\0'],
  ['STOMP is', null, 'STOMP\naccept-version:1.2\nlogin:a\\nb\n\n\0'],
  ['STOMP with an escape that is not defined', null, 'STOMP\naccept-version:1.2\nlogin:a\\qb\n\n\0'],
  ['padding in CONNECT of 1.0', null, 'CONNECT\nlogin: me \n passcode : secret\n\n\0'],
  ['padding in CONNECT of 1.1 and 1.2 is kept', null, 'CONNECT\naccept-version:1.1,1.2\nlogin: me \n\n\0'],
  ['padding in 1.0', '1.0', 'SEND\ndestination: /queue/a \n\nhello\0'],
  ['padding in 1.0 around a length', '1.0', 'SEND\ncontent-length: 5 \n\nhello\0'],
  ['padding in 1.1', '1.1', 'SEND\ndestination: /queue/a \n\nhello\0'],
  ['colons in a value', '1.2', 'SEND\ndestination:a:b:c\n\n\0'],
  ['an empty value', '1.2', 'SEND\nfoo:\n\n\0'],
  ['an empty name', '1.2', 'SEND\n:foo\n\n\0'],
  ['no colon', '1.2', 'SEND\nfoo\n\n\0'],
  ['NUL in the headers', '1.2', 'SEND\nfoo:b\0ar\n\n\0'],
  ['NUL instead of the empty line', '1.2', 'BEGIN\ntransaction:1\n\0'],
  ['NUL in the command', '1.2', 'BEG\0IN\n\n\0'],
  ['NUL behind what may be a command', '1.2', 'SEND\n\none\0two\0'],
  ['no command', '1.2', '\0'],
  ['a command of a server', '1.2', 'MESSAGE\n\n\0'],
  ['a command in lower case', '1.2', 'send\n\n\0'],
  ['a command with a space', '1.2', 'SEND \n\n\0'],
  ['a command without end', '1.2', 'UNSUBSCRIBEE'],
  ['the longest command and its CR', '1.2', 'UNSUBSCRIBE\r\nid:1\r\n\r\n\0'],
  ['UTF-8', '1.2', utf8('SEND\nträ:☃ 𝄞\n\nkörper\0')],
  ['not UTF-8', '1.2', 'SEND\na:\xff\n\n\0'],
  ['UTF-8 cut off', '1.2', 'SEND\na:\xe2\x98\n\n\0'],
  ['a body that is not UTF-8', '1.2', 'SEND\n\n\xff\xfe\0'],
  ['names that objects have', '1.2', 'SEND\n__proto__:a\nconstructor:b\ntoString:c\n\n\0'],
  ['a frame that is not whole', '1.2', 'SEND\ndestination:/a\n\nhal'],
];

describe.each(INPUTS)('%s', (_name, version, text) => {
  const bytes = bytesOf(text);
  const expected = referenceFrames(text, version, LIMITS);
  const read = (cuts: readonly number[]) => {
    const { frames, fault } = readFrames(chunksOf(bytes, cuts), version);
    return { frames, fault };
  };

  it('is read as the reference reads it', () => {
    expect(read([])).toEqual(expected);
  });

  it('is read the same byte by byte, and cut in two at every place', () => {
    expect(read(byteByByte(bytes.length))).toEqual(expected);
    for (const cut of twoWayCuts(bytes.length)) expect(read([cut]), `cut at ${cut}`).toEqual(expected);
  });
});

describe('verdicts', () => {
  const verdictOf = (version: StompVersion | null, text: string) => {
    const { frames, fault, error } = readFrames([bytesOf(text)], version);
    return { frames, fault, message: error?.message, receipt: error?.receipt };
  };

  it('are what the specifications say', () => {
    expect(verdictOf('1.2', 'SEND\na\\cb:c\\nd\\\\e\\r\n\nx\0').frames).toEqual([
      { command: 'SEND', headers: [['a:b', 'c\nd\\e\r']], body: 'x' },
    ]);
    expect(verdictOf('1.2', 'SEND\r\nfoo:bar\r\n\r\nx\r\n\0').frames).toEqual([
      { command: 'SEND', headers: [['foo', 'bar']], body: 'x\r\n' },
    ]);
    expect(verdictOf('1.1', 'SEND\nfoo:bar\r\n\nx\0').frames[0]!.headers).toEqual([['foo', 'bar\r']]);
    expect(verdictOf('1.1', 'SEND\na:b\\r\n\n\0')).toMatchObject({
      fault: 'header',
      message: 'an escape that is not defined in a header',
    });
    expect(verdictOf('1.2', 'SEND\ncontent-length:abc\n\nabc\0')).toMatchObject({ fault: 'length' });
    expect(verdictOf('1.2', 'ACK\nid:1\n\nabc\0')).toMatchObject({
      fault: 'body',
      message: 'ACK has no body',
    });
    expect(verdictOf('1.2', 'HELLO\n\n\0')).toMatchObject({ fault: 'command', message: 'unknown command' });
  });

  it('name the receipt that the frame asked for', () => {
    expect(verdictOf('1.2', 'SEND\nreceipt:r-1\nbad\n\n\0').receipt).toBe('r-1');
    expect(verdictOf('1.2', 'SEND\nbad\nreceipt:r-1\n\n\0').receipt).toBeUndefined();
    expect(verdictOf('1.2', 'SEND\nreceipt:r-1\n\n\0BAD\n').receipt).toBeUndefined();
  });

  it('leave no trace of a frame in the next', () => {
    const { frames } = verdictOf('1.2', 'SEND\ncontent-length:3\na:1\n\na\0b\0SEND\nb:2\n\nc\0');
    expect(frames).toEqual([
      {
        command: 'SEND',
        headers: [
          ['content-length', '3'],
          ['a', '1'],
        ],
        body: 'a\0b',
      },
      { command: 'SEND', headers: [['b', '2']], body: 'c' },
    ]);
  });
});

describe('limits', () => {
  const at = (text: string) => readFrames([bytesOf(text)], '1.2', SMALL).fault;

  it('let through what is just within them, and nothing more', () => {
    const headers = (count: number): string => 'a:b\n'.repeat(count);
    expect([at(`SEND\n${headers(3)}\n\0`), at(`SEND\n${headers(4)}\n\0`)]).toEqual(['', 'limit']);
    const line = (length: number, end: string): string => `SEND\na:${'b'.repeat(length - 2)}${end}${end}\0`;
    expect([at(line(20, '\n')), at(line(21, '\n'))]).toEqual(['', 'limit']);
    expect([at(line(20, '\r\n')), at(line(21, '\r\n'))]).toEqual(['', 'limit']);
    const body = (length: number): string => `SEND\n\n${'b'.repeat(length)}\0`;
    expect([at(body(30)), at(body(31))]).toEqual(['', 'limit']);
    const announced = (length: number): string => `SEND\ncontent-length:${length}\n\n`;
    expect([at(announced(30)), at(announced(31))]).toEqual(['', 'limit']);
    const frame = (length: number): string => {
      const head = `SEND\n${'a:bbbbbbbbbbbbbbbbb\n'.repeat(2)}\n`;
      return `${head}${'b'.repeat(length - head.length - 1)}\0`;
    };
    expect(readFrames([bytesOf(frame(75))], '1.2', { ...SMALL, maxFrameLength: 75 }).fault).toBe('');
    expect(readFrames([bytesOf(frame(76))], '1.2', { ...SMALL, maxFrameLength: 75 }).fault).toBe('limit');
  });

  it('are crossed before what crosses them has come', () => {
    expect(at(`SEND\na:${'b'.repeat(20)}`)).toBe('limit');
    expect(at(`SEND\n\n${'b'.repeat(31)}`)).toBe('limit');
    expect(at('SEND\ncontent-length:31\n\n')).toBe('limit');
  });

  it('do not count heart-beats, however many there are', () => {
    expect(at(`${'\n'.repeat(1000)}BEGIN\na:b\n\n\0${'\r\n'.repeat(1000)}`)).toBe('');
  });
});

describe('a parser that is stopped', () => {
  it('says how much it took, and goes on with the rest by what was agreed on', () => {
    const seen: string[] = [];
    const parser: FrameParser = new FrameParser('client', LIMITS, textPort, {
      onFrame: ({ command, headers }) => {
        seen.push(`${command} ${headers.get('a')}`);
        if (command !== 'CONNECT') return;
        parser.version = StompVersion.V1_1;
        parser.stop();
      },
    });
    const [connect, rest] = ['CONNECT\naccept-version:1.1\n\n\0', '\nSEND\na:b\r\n\n\0'];
    const bytes = bytesOf(connect + rest);
    for (let cut = 0; cut < connect.length; cut++) {
      seen.length = 0;
      parser.version = null;
      expect(parser.read(bytes.subarray(0, cut))).toBe(cut);
      expect(parser.isInFrame).toBe(cut > 0);
      expect(parser.read(bytes.subarray(cut))).toBe(connect.length - cut);
      expect(parser.isInFrame).toBe(false);
      expect(parser.read(bytes.subarray(connect.length))).toBe(rest.length);
      expect(seen).toEqual(['CONNECT undefined', 'SEND b\r']);
    }
  });
});

describe('the memory of a parser', () => {
  /** What a read of these bytes makes of the memory that it keeps: how large what it copied is. */
  function copies(parser: FrameParser, text: string): number[] {
    const sizes: number[] = [];
    const bytes = bytesOf(text);
    bytes.slice = (start, end) => {
      const copy = Uint8Array.prototype.slice.call(bytes, start, end);
      sizes.push(copy.length);
      return copy;
    };
    parser.read(bytes);
    return sizes;
  }

  it('holds the start of a frame, and nothing of those before it', () => {
    const bodies: Uint8Array[] = [];
    const parser = new FrameParser('client', LIMITS, textPort, {
      onFrame: ({ body }) => bodies.push(body),
    });
    parser.version = '1.2';
    const large = `SEND\n\n${'x'.repeat(60_000)}`;
    expect(copies(parser, `${large}\0SEND`)).toEqual([4]);
    parser.read(bytesOf('\n\n\0'));
    parser.read(bytesOf(large));
    parser.read(bytesOf('\0SEND\n'));
    // The body of the next frame lies in memory of its own, not in that of the large one.
    parser.read(bytesOf('\nab\0'));
    expect(bodies.map(({ length }) => length)).toEqual([60_000, 0, 60_000, 2]);
    expect(bodies[3]!.buffer.byteLength).toBeLessThan(1000);
  });
});

describe('frames of a server', () => {
  it('are read likewise, and those of a client are none', () => {
    const text =
      'CONNECTED\r\nversion:1.2\nserver:a\\b\n\n\0\nMESSAGE\nsubscription:1\n\nhi\0RECEIPT\nreceipt-id:\\c\n\n\0';
    for (const cuts of [[], byteByByte(text.length)]) {
      expect(readFrames(chunksOf(bytesOf(text), cuts), '1.2', LIMITS, 'server')).toEqual({
        frames: [
          {
            command: 'CONNECTED',
            headers: [
              ['version', '1.2'],
              ['server', 'a\\b'],
            ],
            body: '',
          },
          { command: 'MESSAGE', headers: [['subscription', '1']], body: 'hi' },
          { command: 'RECEIPT', headers: [['receipt-id', ':']], body: '' },
        ],
        fault: '',
      });
    }
    expect(readFrames([bytesOf('SEND\n\n\0')], '1.2', LIMITS, 'server').fault).toBe('command');
  });
});

describe('whatever comes', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'SEND\n',
      'CONNECT\n',
      'STOMP\r\n',
      'ACK\n',
      'BEGIN\n',
      'DISCONNECT\n',
      'MESSAGE\n',
      '\n',
      '\r\n',
      '\r',
      '\0',
      '\n\0',
      ':',
      '\\n',
      '\\c',
      '\\r',
      '\\\\',
      '\\',
      'a:b\n',
      'id:1\n',
      'receipt:r\n',
      'accept-version:1.2\n',
      'content-length:',
      'content-length:2\n',
      '0',
      '3\n',
      '-1\n',
      'ab',
      'é',
      '\xff',
      ' ',
    ),
    fc.string({ maxLength: 8 }),
  );
  const version = fc.constantFrom<StompVersion | null>(null, '1.0', '1.1', '1.2');

  it('is read as the reference reads it, in any split and with any limits', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }),
        version,
        fc.constantFrom(LIMITS, SMALL, { ...SMALL, maxFrameLength: 40 }, { ...SMALL, maxLineLength: 6 }),
        fc.nat(),
        (pieces, agreed, limits, seed) => {
          const bytes = bytesOf(pieces.join(''));
          const expected = referenceFrames(Buffer.from(bytes).toString('latin1'), agreed, limits);
          const cuts = [[], byteByByte(bytes.length), randomCuts(bytes.length, 5, new Random(seed))];
          for (const cut of cuts) {
            const { frames, fault } = readFrames(chunksOf(bytes, cut), agreed, limits);
            expect({ frames, fault }).toEqual(expected);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});
