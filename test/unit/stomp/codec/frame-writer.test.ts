import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StompVersion } from '../../../../src/stomp/codec/frame.ts';
import { encodeFrame, SharedMessage } from '../../../../src/stomp/codec/frame-writer.ts';
import { LIMITS, readFrames, textPort } from './read-frames.ts';

const VERSIONS: StompVersion[] = ['1.0', '1.1', '1.2'];
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytesOf = (body: string): Uint8Array => Uint8Array.from(Buffer.from(body));

describe('encodeFrame', () => {
  it('writes headers in the escapes of the version, and the length of a body', () => {
    const frame = (version: StompVersion | null): string =>
      text(encodeFrame(textPort, version, 'ERROR', ['message', 'a:b\\c\nd\re'], bytesOf('wäll')));
    expect(frame('1.2')).toBe('ERROR\nmessage:a\\cb\\\\c\\nd\\re\ncontent-length:5\n\nwäll\0');
    expect(frame('1.1')).toBe('ERROR\nmessage:a\\cb\\\\c\\nd e\ncontent-length:5\n\nwäll\0');
    expect(frame('1.0')).toBe('ERROR\nmessage:a:b\\c d\re\ncontent-length:5\n\nwäll\0');
    expect(frame(null)).toBe('ERROR\nmessage:a:b\\c d\re\ncontent-length:5\n\nwäll\0');
  });

  it('escapes nothing in CONNECTED, and lets no value begin another header there', () => {
    const frame = encodeFrame(textPort, '1.2', 'CONNECTED', [
      'version',
      '1.2',
      'server',
      'a:b\\\nsession:1\0',
    ]);
    expect(text(frame)).toBe('CONNECTED\nversion:1.2\nserver:a:b\\ session:1 \n\n\0');
  });

  it('leaves out the length without a body', () => {
    expect(text(encodeFrame(textPort, '1.2', 'RECEIPT', ['receipt-id', '1']))).toBe(
      'RECEIPT\nreceipt-id:1\n\n\0',
    );
  });
});

describe('SharedMessage', () => {
  it('is encoded once for each kind of escapes', () => {
    const message = new SharedMessage(
      textPort,
      ['destination', '/topic/a:b', 'message-id', '7'],
      bytesOf('hi'),
    );
    expect(text(message.tail('1.2'))).toBe(
      '\ncontent-length:2\ndestination:/topic/a\\cb\nmessage-id:7\n\nhi\0',
    );
    expect(message.tail('1.2')).toBe(message.tail('1.2'));
    expect(text(message.tail('1.0'))).toBe(
      '\ncontent-length:2\ndestination:/topic/a:b\nmessage-id:7\n\nhi\0',
    );
  });

  it('lets no name of a publisher be taken for one of the frame, by readers of any version that trim names', () => {
    const names = [
      'content-length ',
      ' content-length',
      'content-length:',
      'content-length\n',
      'destination ',
    ];
    const headers = ['destination', '/topic/a', ...names.flatMap((name) => [name, '1'])];
    const message = new SharedMessage(textPort, headers, bytesOf('hello'));
    for (const version of VERSIONS) {
      const lines = text(message.tail(version)).split('\n');
      const first = (name: string) => lines.find((line) => line.split(':')[0]!.trim() === name);
      expect(first('content-length'), version).toBe('content-length:5');
      expect(first('destination'), version).toBe('destination:/topic/a');
    }
    expect(text(encodeFrame(textPort, '1.0', 'MESSAGE', ['a:b', 'c:d']))).toBe('MESSAGE\na b:c:d\n\n\0');
  });

  it('has what differs between subscribers before all else, where the first of a name counts', () => {
    expect(SharedMessage.head('1.2', 'sub:1', 's-7')).toBe(
      'MESSAGE\nsubscription:sub\\c1\nmessage-id:s-7\nack:s-7',
    );
    expect(SharedMessage.head('1.1', 'sub-1', 's-7')).toBe('MESSAGE\nsubscription:sub-1\nmessage-id:s-7');
    expect(SharedMessage.head('1.0', undefined)).toBe('MESSAGE');
  });
});

describe('whatever is written', () => {
  const header = fc.oneof(
    fc.string({ minLength: 1, maxLength: 12 }),
    fc.string({
      unit: fc.constantFrom('\\', '\n', '\r', ':', '\0', 'a', 'c', 'n', 'é', '𝄞'),
      minLength: 1,
      maxLength: 12,
    }),
  );

  it('is one frame with as many headers to its reader, and the same to one of 1.2', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...VERSIONS),
        fc.array(fc.tuple(header, header), { maxLength: 5 }),
        fc.uint8Array({ maxLength: 40 }),
        (version, pairs, body) => {
          // A reader of 1.0 takes spaces at the ends away.
          const named = pairs.filter(
            ([name]) => version !== '1.0' || name.replaceAll(':', ' ').trim() !== '',
          );
          const frame = encodeFrame(textPort, version, 'MESSAGE', named.flat(), body);
          const { frames, fault } = readFrames([frame], version, LIMITS, 'server');
          expect(fault).toBe('');
          expect(frames).toHaveLength(1);
          expect(frames[0]!.body).toBe(Buffer.from(body).toString('latin1'));
          const headers = body.length > 0 ? frames[0]!.headers.slice(0, -1) : frames[0]!.headers;
          expect(headers).toHaveLength(named.length);
          if (version === '1.2') {
            const plain = (part: string): string => Buffer.from(part.replaceAll('\0', ' ')).toString();
            expect(headers).toEqual(named.map(([name, value]) => [plain(name), plain(value)]));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
