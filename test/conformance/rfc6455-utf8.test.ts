import { describe, expect, it } from 'vitest';
import {
  type ConformanceCase,
  conformance,
  expectSame,
  fails,
  stays,
} from '../support/protocol/conformance.ts';
import { Endpoint } from '../support/protocol/endpoint.ts';
import {
  bytesOf,
  close,
  concat,
  type FrameSpec,
  frameBytes,
  hex,
  last,
  more,
  ping,
  pong,
  SAMPLE_KEY,
  text,
  textStart,
} from '../support/protocol/frame-bytes.ts';

/** RFC 6455 §8.1 and RFC 3629: texts are UTF-8, and a connection fails as soon as one cannot be. */

/** Sequences by class; blanks and names are for the reader. */
const VALID: Record<string, readonly string[]> = {
  'first of each length': ['00', 'c280', 'e0a080', 'f0908080'],
  'last of each length': ['7f', 'dfbf', 'efbfbf', 'f48fbfbf'],
  'next to the surrogates': ['ed9fbf', 'ee8080'],
  'replacement character': ['efbfbd'],
  'byte order mark': ['efbbbf', 'efbbbf61', '61efbbbf'],
  'greek word': ['cebae1bdb9cf83cebcceb5'],
  'one script after another': [
    Buffer.from('Hello-µ@ßöäüàá-UTF-8!!').toString('hex'),
    Buffer.from('日本語 Ελληνικά עברית 한국어 ไทย 🦀𝒳').toString('hex'),
  ],
  'non-characters': nonCharacters(),
  'all of two bytes at the edges of their lead byte': leads(0xc2, 0xdf).map((lead) => `${lead}80${lead}bf`),
  'all of three bytes at the edges of their lead byte': leads(0xe1, 0xec).map(
    (lead) => `${lead}8080${lead}bfbf`,
  ),
  'all of four bytes at the edges of their lead byte': leads(0xf1, 0xf3).map(
    (lead) => `${lead}808080${lead}bfbfbf`,
  ),
};

const INVALID: Record<string, readonly string[]> = {
  'five and six bytes': ['f888808080', 'fc8480808080', 'fbbfbfbfbf', 'fdbfbfbfbfbf'],
  'beyond U+10FFFF': ['f4908080', 'f5808080', 'f7bfbfbf', 'f4bfbfbf'],
  'continuation bytes without a start': [
    '80',
    'bf',
    '80bf',
    '80bf80',
    '80bf80bf',
    '80bf80bf80bf80',
    ...leads(0x80, 0xbf),
  ],
  'start bytes without continuation': leads(0xc0, 0xfd).map((lead) => `${lead}20`),
  'two start bytes in a row': leads(0xc2, 0xf4).map((lead) => `${lead}${lead}`),
  'the last byte missing': ['df', 'c2', 'e0a0', 'e080', 'efbf', 'f09080', 'f08080', 'f48fbf', 'f7bfbf'],
  'the last byte missing, more text behind': ['df61', 'efbf61', 'f48fbf61', 'efbfefbfbd', 'f09f98c3a9'],
  'the last two bytes missing': ['e0', 'ed', 'ef', 'f090', 'f48f'],
  'incomplete sequences in a row': [
    'c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf',
    'dfefbff48fbf',
  ],
  'impossible bytes': ['fe', 'ff', 'fefeffff', 'c0', 'c1', 'f5', 'f6', 'f7', 'f8', 'fd'],
  'overlong solidus': ['c0af', 'e080af', 'f08080af', 'f8808080af', 'fc80808080af'],
  'the last overlong of each length': ['c1bf', 'e09fbf', 'f08fbfbf', 'f887bfbfbf', 'fc83bfbfbfbf'],
  'overlong NUL': ['c080', 'e08080', 'f0808080', 'f880808080', 'fc8080808080'],
  'single surrogates': ['eda080', 'edadbf', 'edae80', 'edafbf', 'edb080', 'edbe80', 'edbfbf'],
  'paired surrogates': ['eda080edb080', 'eda080edbfbf', 'edadbfedb080', 'edafbfedbfbf', 'edae80edb080'],
  'a greek word with a surrogate': ['cebae1bdb9cf83cebcceb5eda080656469746564'],
};

function leads(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, i) => (from + i).toString(16).padStart(2, '0'));
}

/** U+FFFE and U+FFFF, and the last two code points of every other plane. */
function nonCharacters(): string[] {
  const codePoints = Array.from({ length: 17 }, (_, plane) => [
    plane * 65536 + 0xfffe,
    plane * 65536 + 0xffff,
  ]);
  return codePoints.flat().map((codePoint) => Buffer.from(String.fromCodePoint(codePoint)).toString('hex'));
}

/** The sequence alone, inside of text, in a fragment per byte, and cut in two fragments anywhere. */
function waysToSend(payload: Uint8Array): (readonly [string, FrameSpec[]])[] {
  const cut = payload.length >> 1;
  return [
    ['whole', [text(payload)]],
    ['in a fragment per byte', fragments(payload, byteCuts(payload))],
    [
      'in two fragments and an empty one',
      [textStart(payload.subarray(0, cut)), more(), last(payload.subarray(cut))],
    ],
    ['with an empty last fragment, a ping before it', [textStart(payload), ping('p'), last()]],
  ];
}

function byteCuts(payload: Uint8Array): number[] {
  return Array.from({ length: Math.max(0, payload.length - 1) }, (_, i) => i + 1);
}

function fragments(payload: Uint8Array, cuts: readonly number[]): FrameSpec[] {
  const ends = [...cuts, payload.length];
  return ends.map((end, i) => ({
    opcode: i === 0 ? 1 : 0,
    payload: payload.subarray(i === 0 ? 0 : ends[i - 1]!, end),
    fin: i === ends.length - 1,
  }));
}

function validCases(sequences: readonly string[]): ConformanceCase[] {
  return sequences.flatMap((digits) =>
    waysToSend(hex(digits)).map(([way, frames]) => {
      const pongs = frames.some(({ opcode }) => opcode === 9) ? [pong('p')] : [];
      return stays(`${digits} ${way}`, frames, [...pongs, text(hex(digits))]);
    }),
  );
}

/** How many bytes of `payload` some text may begin with, by the platform's decoder. */
function validPrefix(payload: Uint8Array): number {
  for (let length = payload.length; length > 0; length--) {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(payload.subarray(0, length), { stream: true });
      return length;
    } catch {
      // shorter
    }
  }
  return 0;
}

function invalidCases(sequences: readonly string[]): ConformanceCase[] {
  return sequences.flatMap((digits) => {
    const payload = hex(digits);
    // A text that is only incomplete fails at its end, behind the ping.
    const isCut = validPrefix(payload) === payload.length;
    const inText = concat(bytesOf('κόσμε'), payload, bytesOf('κόσμε'));
    return [
      ...waysToSend(payload).map(([way, frames]) => {
        const pongs = isCut && frames.some(({ opcode }) => opcode === 9) ? [pong('p')] : [];
        return fails(`${digits} ${way}`, frames, 1007, pongs);
      }),
      fails(`${digits} inside of text`, [text(inText)], 1007),
      fails(`${digits} inside of text behind a text`, [text('ok'), text(inText), text('never')], 1007, [
        text('ok'),
      ]),
    ];
  });
}

describe('Valid UTF-8', () => {
  conformance('empty texts', [
    stays('in one frame', [text()], [text()]),
    stays('in three fragments', [textStart(), more(), last()], [text()]),
    stays('fragments around the text', [textStart(), more('middle'), last()], [text('middle')]),
  ]);
  for (const [name, sequences] of Object.entries(VALID)) conformance(name, validCases(sequences));
});

describe('Invalid UTF-8', () => {
  for (const [name, sequences] of Object.entries(INVALID)) conformance(name, invalidCases(sequences));
});

describe('Failing at the earliest byte', () => {
  const head = hex('cebae1bdb9cf83cebcceb5');
  conformance('a message that is still open', [
    fails('the bad byte in the first fragment', [textStart(concat(head, hex('f4908080')))], 1007),
    fails('the bad byte in a fragment of its own', [textStart(head), more(hex('f4')), more(hex('90'))], 1007),
    fails('a surrogate at its second byte', [textStart(hex('ed')), more(hex('a0'))], 1007),
    fails('an overlong form at its second byte', [textStart(hex('e0')), more(hex('80'))], 1007),
    fails('a lead byte that no code point has', [textStart(hex('61c0'))], 1007),
    fails('a frame of 1 MiB after 12 bytes of it', [partly(concat(head, hex('ff')), 1024 * 1024)], 1007),
    fails(
      'a frame of 64 KiB after 300 bytes of it',
      [partly(concat(bytesOf('€'.repeat(100)), hex('80')), 65536)],
      1007,
    ),
  ]);

  it('does not fail while a text may still follow', () => {
    const endpoint = new Endpoint();
    endpoint.receiveFrames(textStart(concat(head, hex('f48f'))), ping('p'), more(hex('bf')), last(hex('bf')));
    expectSame(
      endpoint.output.sent(),
      endpoint.toPeer(pong('p'), text(concat(head, hex('f48fbfbf')))),
      'the replies',
    );
  });
});

/** The beginning of a text frame that declares more than has arrived. */
function partly(payload: Uint8Array, declared: number): FrameSpec {
  return { ...text(payload), declaredLength: BigInt(declared) };
}

describe('Every code point', () => {
  const encoder = new TextEncoder();

  /** A text of all code points from `from` up to `to`, surrogates left out. */
  function block(from: number, to: number): Uint8Array {
    const codePoints: number[] = [];
    for (let codePoint = from; codePoint < to; codePoint++) {
      if (codePoint < 0xd800 || codePoint > 0xdfff) codePoints.push(codePoint);
    }
    return encoder.encode(codePoints.map((codePoint) => String.fromCodePoint(codePoint)).join(''));
  }

  it('is taken, in a fragment per byte', () => {
    const endpoint = new Endpoint({ maxFragments: 1_000_000 });
    for (let from = 0; from < 0x110000; from += 8192) {
      const payload = block(from, from + 8192);
      if (payload.length === 0) continue;
      endpoint.receive(oneByteFrames(payload));
      expectSame(endpoint.output.take(), endpoint.toPeer(text(payload)), `from ${from.toString(16)}`);
    }
  });

  it('is taken, in a read per byte', () => {
    const endpoint = new Endpoint();
    for (let from = 0; from < 0x110000; from += 8192) {
      // All of the first plane, then the beginning of each part.
      const payload = block(from, from + (from < 0x10000 ? 8192 : 256));
      if (payload.length === 0) continue;
      const input = frameBytes(text(payload), SAMPLE_KEY);
      for (let i = 0; i < input.length; i++) endpoint.receive(input.subarray(i, i + 1));
      expectSame(endpoint.output.take(), endpoint.toPeer(text(payload)), `from ${from.toString(16)}`);
    }
  });

  it('is refused when it is a surrogate, at its second byte', () => {
    const endpoint = new Endpoint();
    for (let codePoint = 0xd800; codePoint <= 0xdfff; codePoint++) {
      endpoint.reconnect();
      const bytes = Uint8Array.of(0xed, 0x80 | ((codePoint >> 6) & 63), 0x80 | (codePoint & 63));
      endpoint.receiveFrames(partly(bytes.subarray(0, 2), 3));
      expect(endpoint.events).toEqual(['failure 1007', 'done']);
      expectSame(endpoint.output.take(), endpoint.toPeer(close(1007)), 'the Close');
    }
  });
});

/** A message in fragments of one byte, all with a key of zeros. */
function oneByteFrames(payload: Uint8Array): Uint8Array {
  const frames = new Uint8Array(payload.length * 7);
  payload.forEach((byte, i) => {
    frames[i * 7] = (i === 0 ? 1 : 0) + (i === payload.length - 1 ? 0x80 : 0);
    frames[i * 7 + 1] = 0x81;
    frames[i * 7 + 6] = byte;
  });
  return frames;
}
