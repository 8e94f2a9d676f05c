import { describe } from 'vitest';
import { conformance, echoes, fails, stays } from '../support/protocol/conformance.ts';
import { binary, hex, last, pattern, ping, pong, text, textStart } from '../support/protocol/frame-bytes.ts';

/** RFC 6455 §5.5.2 and §5.5.3. */
describe('Pings and pongs', () => {
  conformance('§5.5.2 a ping is answered with its payload', [
    stays('no payload', [ping()], [pong()]),
    stays('text', [ping('Hello, world!')], [pong('Hello, world!')]),
    stays('bytes that are no text', [ping(hex('00fffefdfcfb00ff'))], [pong(hex('00fffefdfcfb00ff'))]),
    ...Array.from({ length: 126 }, (_, size) =>
      stays(`${size} bytes`, [ping(pattern(size))], [pong(pattern(size))]),
    ),
    stays(
      'ten in a row',
      tenPayloads().map((payload) => ping(payload)),
      tenPayloads().map((payload) => pong(payload)),
    ),
  ]);

  conformance('§5.5 a control frame has at most 125 bytes', [
    fails('a ping of 126', [ping(pattern(126))], 1002),
    fails('a pong of 126', [pong(pattern(126))], 1002),
    fails('a ping of 127', [ping(pattern(127))], 1002),
    fails('a ping of 65535', [ping(pattern(65535))], 1002),
    fails('a ping of 65536', [ping(pattern(65536))], 1002),
    fails('a ping of 1 in 16 bits', [{ ...ping('x'), lengthBits: 16 }], 1002),
    fails('a ping of 1 in 64 bits', [{ ...ping('x'), lengthBits: 64 }], 1002),
    fails('a ping that declares 2^63-1', [{ ...ping('x'), declaredLength: 2n ** 63n - 1n }], 1002),
  ]);

  conformance('§5.5.3 an unsolicited pong is not answered', [
    stays('no payload', [pong()], []),
    stays('with payload', [pong('unasked')], []),
    stays('before a ping', [pong('unasked'), ping('asked')], [pong('asked')]),
    stays(
      'three hundred',
      Array.from({ length: 300 }, () => pong()),
      [],
    ),
  ]);

  conformance('§5.5 pings and messages do not disturb each other', [
    stays(
      'between messages',
      [ping('1'), text('a'), ping('2'), binary(hex('ff')), pong('3')],
      [pong('1'), text('a'), pong('2'), binary(hex('ff'))],
    ),
    stays(
      'inside of a fragmented message: the pong comes first',
      [textStart('a'), ping('now'), last('b')],
      [pong('now'), text('ab')],
    ),
    echoes('not at all', [text('a')]),
  ]);

  conformance('a limit on pings: one more in the same second fails with 1008', [
    stays('at the limit', pings(5), pongs(5), { options: { maxPingsPerSecond: 5 } }),
    fails('above it', [...pings(5), ping('6'), text('never')], 1008, pongs(5), {
      options: { maxPingsPerSecond: 5 },
    }),
  ]);
});

function tenPayloads(): string[] {
  return Array.from({ length: 10 }, (_, i) => `payload ${i}`);
}

function pings(count: number) {
  return Array.from({ length: count }, (_, i) => ping(`${i}`));
}

function pongs(count: number) {
  return Array.from({ length: count }, (_, i) => pong(`${i}`));
}
