import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader } from '../../../src/load/scenarios/stomp/frame-reader.ts';

interface Read {
  readonly command: string;
  readonly subscription: string;
  readonly hasBinary: boolean;
  readonly body: string;
}

/** What comes of the bytes, cut in pieces of the given lengths, the last piece being the rest. */
function read(bytes: Buffer, cuts: readonly number[] = []): { frames: Read[]; problem: string } {
  const frames: Read[] = [];
  const reader = new FrameReader((frame) => {
    frames.push({
      command: frame.command,
      subscription: frame.text(Buffer.from('subscription')),
      hasBinary: frame.has(Buffer.from('content-type'), Buffer.from('application/octet-stream')),
      body: frame.body(),
    });
  });
  let problem = '';
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    const end = Math.min(bytes.length, at + cut);
    // A piece lies somewhere in a larger buffer, which is used again.
    const piece = Buffer.concat([Buffer.alloc(3, 10), bytes.subarray(at, end), Buffer.alloc(3, 0)]);
    problem = reader.push(piece, 3, 3 + end - at);
    piece.fill(255);
    at = end;
  }
  return { frames, problem };
}

const TWO = Buffer.from(
  'CONNECTED\r\nversion:1.2\r\n\r\n\0\n\r\n\n' +
    'MESSAGE\nsubscription:sub-0\nsubscription:sub-9\ncontent-type:application/octet-stream\ncontent-length:5\n\na\0b\0c\0' +
    'ERROR\nsubscription:ü\n\nbody: to the\n\nNUL\0\n',
);
const EXPECTED: Read[] = [
  { command: 'CONNECTED', subscription: '', hasBinary: false, body: '' },
  { command: 'MESSAGE', subscription: 'sub-0', hasBinary: true, body: 'a\0b\0c' },
  { command: 'ERROR', subscription: 'ü', hasBinary: false, body: 'body: to the\n\nNUL' },
];

describe('FrameReader', () => {
  it('reads frames that are split anywhere', () => {
    for (let i = 0; i <= TWO.length; i++) {
      expect(read(TWO, [i])).toEqual({ frames: EXPECTED, problem: '' });
    }
    expect(read(TWO, new Array<number>(TWO.length).fill(1))).toEqual({ frames: EXPECTED, problem: '' });
  });

  it.each([
    ['NOTHING\n\n\0', 'no command'],
    ['SEND\n\n\0', 'no command'],
    ['message\n\n\0', 'no command'],
    ['MESSAGE\nx\n\n\0', 'no colon'],
    ['MESSAGE\ncontent-length:\n\n\0', 'no number'],
    ['MESSAGE\ncontent-length:-1\n\n\0', 'no number'],
    ['MESSAGE\ncontent-length:99999999999\n\n\0', 'no number'],
    ['MESSAGE\ncontent-length:2\n\nabc\0', 'no NUL'],
    [`MESSAGE\n${'x'.repeat(70_000)}`, 'exceed'],
    [`MESSAGE${'x'.repeat(70_000)}`, 'exceed'],
  ])('says what is wrong: %j', (text, problem) => {
    expect(read(Buffer.from(text)).problem).toContain(problem);
    // And goes on saying it.
    expect(read(Buffer.from(`${text}MESSAGE\n\n\0`), [text.length]).problem).toContain(problem);
  });

  it('waits for the rest of what may become a frame', () => {
    for (const text of [
      'M',
      'MESSAGE\n',
      'MESSAGE\na:b',
      'MESSAGE\ncontent-length:3\n\nab\0',
      'ERROR\n\nno end',
    ]) {
      expect(read(Buffer.from(text))).toEqual({ frames: [], problem: '' });
    }
  });

  it('gives the same for any bytes, however they are cut', () => {
    const pieces = fc.constantFrom(
      'MESSAGE',
      'RECEIPT',
      '\n',
      '\r\n',
      '\0',
      ':',
      'a:b\n',
      'content-length:',
      '3',
      'xyz',
    );
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 12 }),
        fc.array(fc.nat(6), { maxLength: 12 }),
        (texts, cuts) => {
          const bytes = Buffer.from(texts.join(''));
          expect(read(bytes, cuts)).toEqual(read(bytes));
        },
      ),
    );
  });
});
