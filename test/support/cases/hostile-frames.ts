import {
  asciiPattern,
  binary,
  close,
  concat,
  type FrameSpec,
  frameBytes,
  hex,
  last,
  type MaskKey,
  more,
  pattern,
  ping,
  pong,
  SAMPLE_KEY,
  text,
  textStart,
  ZERO_KEY,
} from '../protocol/frame-bytes.ts';
import type { Frame } from '../protocol/frame-reader.ts';
import { framesBytes } from '../protocol/frame-reader.ts';

/** Frames of a client, and what the server makes of them. Names start with the row of the attack table. */
export interface FramesRow {
  readonly name: string;
  readonly path: string;
  readonly bytes: Uint8Array;
  /** The frames that come back, as `wordsOf` puts them; the last one is a Close when the server ends it. */
  readonly answer: readonly string[];
  /** What the `close` handler is told; undefined: it is not called. */
  readonly closeCode?: number;
}

/** A frame in words: short, and readable in a diff. */
export function wordsOf({ fin, rsv, opcode, payload, key }: Frame): string {
  const name =
    { 0: 'more', 1: 'text', 2: 'binary', 8: 'close', 9: 'ping', 10: 'pong' }[opcode] ?? `opcode ${opcode}`;
  const flags = `${fin ? '' : ' no fin'}${rsv === 0 ? '' : ` rsv ${rsv}`}${key === null ? '' : ' masked'}`;
  return `${name}${flags} ${opcode === 8 ? closeWords(payload) : payloadWords(payload)}`.trimEnd();
}

function closeWords(payload: Uint8Array): string {
  if (payload.length < 2) return '';
  const reason = Buffer.from(payload.subarray(2)).toString();
  return `${payload[0]! * 256 + payload[1]!} ${reason}`;
}

function payloadWords(payload: Uint8Array): string {
  if (payload.length <= 32) return Buffer.from(payload).toString('latin1');
  let sum = 0;
  for (const byte of payload) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return `${payload.length} bytes, ${sum}`;
}

function echoOf(kind: 'text' | 'binary', payload: Uint8Array): string {
  return `${kind} ${payloadWords(payload)}`.trimEnd();
}

const KEYS: readonly (readonly [string, MaskKey])[] = [
  ['key 0', ZERO_KEY],
  ['a key', SAMPLE_KEY],
];

/** Client frames that the engine must fail with this code. */
function refused(name: string, code: number, bytes: Uint8Array, path = '/echo'): FramesRow {
  return { name, path, bytes, answer: [`close ${code}`], closeCode: 1006 };
}

/** The same frames with both keys. */
function refusedFrames(
  name: string,
  code: number,
  frames: readonly FrameSpec[],
  path = '/echo',
): FramesRow[] {
  return KEYS.map(([words, key]) => refused(`${name}, ${words}`, code, framesBytes(frames, key), path));
}

function accepted(
  name: string,
  frames: readonly FrameSpec[],
  answer: readonly string[],
  path = '/echo',
): FramesRow[] {
  return KEYS.map(([words, key]) => ({
    name: `${name}, ${words}`,
    path,
    bytes: framesBytes(frames, key),
    answer,
  }));
}

/** A whole header that announces this many bytes, and none of them. */
function announce(opcode: number, length: bigint, fin = true): Uint8Array {
  return frameBytes(
    { opcode, payload: new Uint8Array(0), fin, lengthBits: 64, declaredLength: length },
    ZERO_KEY,
  );
}

/** `total` bytes of text in `count` fragments, with `between` behind each but the last. */
export function fragmented(total: number, count: number, between: readonly FrameSpec[] = []): FrameSpec[] {
  const body = asciiPattern(total);
  const frames: FrameSpec[] = [];
  for (let i = 0; i < count; i++) {
    const part = body.slice(Math.floor((total * i) / count), Math.floor((total * (i + 1)) / count));
    if (i === 0) frames.push(textStart(part), ...between);
    else if (i < count - 1) frames.push(more(part), ...between);
    else frames.push(last(part));
  }
  return frames;
}

const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536];
const FORBIDDEN_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
const ALLOWED_CODES = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
];
/** Limits of the route '/small'. */
const SMALL = 4096;
const FEW = 32;

export function refusedRows(): FramesRow[] {
  const rows: FramesRow[] = [
    refused('F02 unmasked text', 1002, hex('8105 68656c6c6f')),
    refused('F02 unmasked ping', 1002, hex('8900')),
    refused('F02 unmasked close', 1002, hex('8802 03e8')),
    refused('F02 the mask bit alone decides', 1002, hex('8100')),
  ];
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    const first = (0x80 + opcode).toString(16);
    rows.push(
      refused(`F04 opcode ${opcode}, two bytes`, 1002, hex(`${first}80`)),
      refused(`F04 opcode ${opcode} of 1 GiB`, 1002, announce(opcode, 2n ** 30n)),
    );
  }
  for (const rsv of [1, 2, 3, 4, 5, 6, 7]) {
    rows.push(
      ...refusedFrames(`F03 text with RSV ${rsv}`, 1002, [text('x', { rsv })]),
      ...refusedFrames(`F03 binary with RSV ${rsv}`, 1002, [binary(hex('00'), { rsv })]),
      ...refusedFrames(`F05 ping with RSV ${rsv}`, 1002, [ping('', { rsv })]),
      ...refusedFrames(`F05 pong with RSV ${rsv}`, 1002, [pong('', { rsv })]),
      ...refusedFrames(`F05 close with RSV ${rsv}`, 1002, [{ ...close(1000), rsv }]),
      ...refusedFrames(`F05 continuation with RSV ${rsv}`, 1002, [textStart('a'), { ...last('b'), rsv }]),
    );
  }
  for (const opcode of [8, 9, 10]) {
    const first = (0x80 + opcode).toString(16);
    rows.push(
      refused(`F06 fragmented control ${opcode}`, 1002, hex(`0${opcode.toString(16)}80 00000000`)),
      refused(`F06 control ${opcode} of 126 bytes, two bytes`, 1002, hex(`${first}fe`)),
      refused(`F06 control ${opcode} of 64-bit length, two bytes`, 1002, hex(`${first}ff`)),
    );
  }
  rows.push(
    ...refusedFrames('F07 continuation of nothing', 1002, [last('a')]),
    ...refusedFrames('F07 text inside a text', 1002, [textStart('a'), text('b')]),
    ...refusedFrames('F07 binary inside a text', 1002, [textStart('a'), binary()]),
    refused('F09 5 bytes with a 16-bit length', 1002, hex('82fe0005 00000000 0102030405')),
    refused('F09 125 bytes with a 16-bit length', 1002, hex('82fe007d 00000000')),
    refused('F09 5 bytes with a 64-bit length', 1002, hex('82ff0000000000000005 00000000 0102030405')),
    refused('F09 65,535 bytes with a 64-bit length', 1002, announce(2, 65_535n)),
    refused('F10 2^64-1 bytes', 1002, announce(2, 2n ** 64n - 1n)),
    refused('F10 2^63 bytes', 1002, announce(2, 2n ** 63n)),
    refused('F10 2^63-1 bytes', 1009, announce(2, 2n ** 63n - 1n)),
  );
  for (const [words, length] of [
    ['2^53-1', 2n ** 53n - 1n],
    ['2^53', 2n ** 53n],
    ['2^53+1', 2n ** 53n + 1n],
    ['2^32', 2n ** 32n],
    ['2^32-1', 2n ** 32n - 1n],
    ['2^31-1', 2n ** 31n - 1n],
    ['2^31', 2n ** 31n],
    ['2^31+1', 2n ** 31n + 1n],
    ['2^63-1', 2n ** 63n - 1n],
  ] as const) {
    const start = frameBytes(binary(hex('61'), { fin: false }), ZERO_KEY);
    rows.push(
      refused(`F11 ${words} bytes`, 1009, announce(2, length)),
      refused(`F12 ${words} bytes more`, 1009, concat(start, announce(0, length))),
    );
  }
  rows.push(
    refused('F14 one byte too many, the header alone', 1009, hex('81fe1001 00000000'), '/small'),
    ...refusedFrames('F15 one byte too many in 2 frames', 1009, fragmented(SMALL + 1, 2), '/small'),
    ...refusedFrames('F15 one byte too many in 32 frames', 1009, fragmented(SMALL + 1, FEW), '/small'),
    ...refusedFrames('F15 the same with pongs', 1009, fragmented(SMALL + 1, FEW, [pong('x')]), '/small'),
    ...refusedFrames('F20 one fragment too many', 1008, fragmented(FEW + 1, FEW + 1), '/small'),
    ...refusedFrames('F22 one empty fragment too many', 1008, fragmented(0, FEW + 1), '/small'),
    ...refusedFrames('F28 non-final frames without end', 1009, fragmented(SMALL * 4, FEW), '/small'),
    ...refusedFrames('U02 a bad byte in the first fragment', 1007, [textStart(hex('ceba c0'))]),
    refused(
      'U02 a bad byte at 10 of 64 KiB',
      1007,
      concat(hex('81ff0000000000010000 00000000'), hex('30313233343536373839 ff')),
    ),
    ...refusedFrames('U04 a cut code point at the end', 1007, [text(hex('e282'))]),
    ...refusedFrames('U04 a cut code point at the end of fragments', 1007, [
      textStart('a'),
      last(hex('f09f98')),
    ]),
    ...refusedFrames('U03 a surrogate in fragments', 1007, [
      textStart(hex('ed')),
      more(hex('a0')),
      last(hex('80')),
    ]),
    ...refusedFrames('U03 an overlong slash', 1007, [text(hex('c0af'))]),
    ...refusedFrames('U03 beyond U+10FFFF', 1007, [text(hex('f4908080'))]),
    ...refusedFrames('C03 a close of one byte', 1002, [{ opcode: 8, payload: hex('03') }]),
    ...refusedFrames('C03 a reason of 124 bytes', 1002, [close(1000, 'r'.repeat(124))]),
    ...refusedFrames('C04 a reason that is not UTF-8', 1007, [close(1000, hex('c328'))]),
  );
  for (const code of FORBIDDEN_CODES) {
    rows.push(...refusedFrames(`C01 close ${code}`, 1002, [close(code)]));
  }
  return rows;
}

export function acceptedRows(): FramesRow[] {
  const body = (size: number): Uint8Array => Buffer.from(asciiPattern(size));
  const rows: FramesRow[] = [
    ...accepted(
      'F08 a ping between fragments',
      [textStart('a'), ping('p'), last('b')],
      ['pong p', 'text ab'],
    ),
    ...accepted(
      'F08 pings and pongs between fragments',
      [textStart('a'), pong(), ping(), more(''), ping('2'), last('b')],
      ['pong', 'pong 2', 'text ab'],
    ),
    ...accepted(
      'F14 one byte less than the limit',
      [text(body(SMALL - 1))],
      [echoOf('text', body(SMALL - 1))],
      '/small',
    ),
    ...accepted('F14 the limit', [text(body(SMALL))], [echoOf('text', body(SMALL))], '/small'),
    ...accepted('F15 the limit in 2 frames', fragmented(SMALL, 2), [echoOf('text', body(SMALL))], '/small'),
    ...accepted('F15 the limit in 31 frames', fragmented(SMALL, 31), [echoOf('text', body(SMALL))], '/small'),
    ...accepted(
      'F20 as many fragments as allowed',
      fragmented(SMALL, FEW),
      [echoOf('text', body(SMALL))],
      '/small',
    ),
    ...accepted(
      'F15 the same with pongs',
      fragmented(SMALL, FEW, [pong('x')]),
      [echoOf('text', body(SMALL))],
      '/small',
    ),
    ...accepted(
      'F22 ten empty fragments',
      [textStart(), ...Array.from({ length: 10 }, () => more()), last('a')],
      ['text a'],
    ),
    ...accepted('F27 pongs nobody asked for', [pong(), pong('x'), text('hi')], ['text hi']),
    ...accepted(
      'U04 a ping inside a code point',
      [textStart(hex('e2')), ping('p'), more(hex('82')), last(hex('ac'))],
      ['pong p', 'text \xe2\x82\xac'],
    ),
  ];
  for (const size of SIZES) {
    const payload = pattern(size);
    rows.push(
      ...accepted(
        `F17 ${size} bytes`,
        [binary(payload), text('next')],
        [echoOf('binary', payload), 'text next'],
        '/fragments',
      ),
    );
  }
  return rows;
}

/** Closing handshakes: what follows the peer's Close is ignored. */
export function closingRows(): FramesRow[] {
  const closing = (
    name: string,
    frames: readonly FrameSpec[],
    answer: readonly string[],
    closeCode: number,
  ): FramesRow[] => accepted(name, frames, answer).map((row) => ({ ...row, closeCode }));
  return [
    ...ALLOWED_CODES.flatMap((code) => closing(`C02 close ${code}`, [close(code)], [`close ${code}`], code)),
    ...closing(
      'F07 one continuation more than there is to continue',
      [textStart('a'), last('b'), last('c')],
      ['text ab', 'close 1002'],
      1006,
    ),
    ...closing('C03 a close without a code', [close()], ['close'], 1005),
    ...closing(
      'C03 a reason of 123 bytes',
      [close(1000, 'r'.repeat(123))],
      [`close 1000 ${'r'.repeat(123)}`],
      1000,
    ),
    ...closing(
      'C05 data, a ping and a close behind a close',
      [close(1000), text('x'), ping('y'), close(1001)],
      ['close 1000'],
      1000,
    ),
    ...closing('C05 rubbish behind a close', [close(4000), { ...text('x'), rsv: 7 }], ['close 4000'], 4000),
    ...closing(
      'C06 a close inside a message',
      [textStart('a'), more('b'), close(1001)],
      ['close 1001'],
      1001,
    ),
    ...closing(
      'C06 a close behind a message and a ping',
      [text('a'), ping('b'), close(1000)],
      ['text a', 'pong b', 'close 1000'],
      1000,
    ),
  ];
}
