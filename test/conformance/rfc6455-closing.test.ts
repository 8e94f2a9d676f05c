import { describe } from 'vitest';
import { closes, conformance, fails } from '../support/protocol/conformance.ts';
import {
  close,
  concat,
  hex,
  last,
  more,
  pattern,
  ping,
  pong,
  text,
  textStart,
} from '../support/protocol/frame-bytes.ts';

/** RFC 6455 §5.5.1 and §7. */
const VALID_CODES = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999,
];
const INVALID_CODES = [
  0, 1, 125, 255, 256, 999, 1004, 1005, 1006, 1015, 1016, 1099, 1100, 1999, 2000, 2999, 5000, 5001, 32768,
  65535,
];

describe('Closing', () => {
  conformance('§5.5.1 a Close is answered with its code and reason', [
    closes('no payload', [close()], 1005, ''),
    closes('a code', [close(1000)], 1000, ''),
    closes('a code and a reason', [close(1000, 'Hello World!')], 1000, 'Hello World!'),
    closes('a reason of 123 bytes', [close(1000, '*'.repeat(123))], 1000, '*'.repeat(123)),
    closes('a reason of many scripts', [close(4000, 'κόσμε 日本 🦀')], 4000, 'κόσμε 日本 🦀'),
    closes('a reason of NUL bytes', [close(1001, '\0\0')], 1001, '\0\0'),
  ]);

  conformance('§7.4 codes that may be sent', [
    ...VALID_CODES.map((code) => closes(`${code}`, [close(code)], code, '')),
    ...VALID_CODES.map((code) => closes(`${code} with a reason`, [close(code, 'reason')], code, 'reason')),
  ]);

  conformance('§7.4 codes that may not be sent', [
    ...INVALID_CODES.map((code) => fails(`${code}`, [close(code)], 1002)),
    ...INVALID_CODES.map((code) => fails(`${code} with a reason`, [close(code, 'reason')], 1002)),
    fails('1005 with a reason that is no UTF-8', [close(1005, hex('ff'))], 1002),
  ]);

  conformance('§5.5.1 payloads that are no Close', [
    fails('one byte', [{ opcode: 8, payload: hex('03') }], 1002),
    fails('a reason of 124 bytes', [close(1000, '*'.repeat(124))], 1002),
    fails('a reason of 500 bytes', [close(1000, '*'.repeat(500))], 1002),
    fails(
      'a reason that is no UTF-8',
      [close(1000, concat(hex('cebae1bdb9cf83cebcceb5'), hex('eda080')))],
      1007,
    ),
    fails('a reason cut in a code point', [close(1000, hex('61e282'))], 1007),
    fails('a reason of one impossible byte', [close(4999, hex('ff'))], 1007),
    fails(
      'a reason of 123 bytes whose last is bad',
      [close(1000, concat(pattern(122).fill(42), hex('c3')))],
      1007,
    ),
  ]);

  conformance('§5.5.1 nothing is handled behind a Close', [
    closes('behind messages', [text('a'), ping('b'), close(1000)], 1000, '', [text('a'), pong('b')]),
    closes('a text', [close(1000), text('never')], 1000, ''),
    closes('a ping', [close(1000), ping('never')], 1000, ''),
    closes('another Close', [close(1000), close(1001), close()], 1000, ''),
    closes('a broken frame', [close(1000), { opcode: 3, payload: pattern(10) }], 1000, ''),
    closes('a text that is no UTF-8', [close(4000, 'x'), text(hex('ff'))], 4000, 'x'),
    closes('a large message', [close(1000), text('x'.repeat(70_000))], 1000, ''),
  ]);

  conformance('§5.4 a Close inside of a fragmented message', [
    closes('drops the message', [textStart('never'), close(1000)], 1000, ''),
    closes('drops it also when its rest follows', [textStart('nev'), close(1000), last('er')], 1000, ''),
    closes('behind continuations and a ping', [textStart('a'), more('b'), ping(), close(1001)], 1001, '', [
      pong(),
    ]),
    closes('inside of a code point', [textStart(hex('e282')), close(1000)], 1000, ''),
  ]);
});
