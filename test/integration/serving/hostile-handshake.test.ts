import { describe, expect, it } from 'vitest';
import {
  acceptedRows,
  type HandshakeRow,
  handshakeOfSize,
  handshakeWith,
  originRows,
  refusedRows,
} from '../../support/cases/hostile-handshakes.ts';
import { type Alive, watch } from '../../support/clients/alive.ts';
import {
  HostileClient,
  handshakeHead,
  inParallel,
  requestHead,
} from '../../support/clients/hostile-client.ts';
import { byteByByte, chunksOf, Random } from '../../support/protocol/chunked.ts';
import { concat, frameBytes, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { startServe, TARGETS, Tally, type Target } from '../../support/servers/hostile-server.ts';

const ACCEPT = 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const GLUED_REQUEST = requestHead('GET /hello HTTP/1.1', ['Host: x']);
/** Ms between two segments that are to be read apart. */
const APART = 3;
/** Ms until a FIN that follows the answer must be here: less than a peer is given to follow it. */
const FIN_SOON = 4500;
/** Connections at a time. */
const WIDTH = 48;
/** A head longer than this is not sent byte by byte. */
const MAX_BYTEWISE = 700;

interface Variant {
  readonly row: HandshakeRow;
  readonly name: string;
  readonly pieces: readonly Uint8Array[];
  readonly pause: number;
}

/** SPLIT: in one write, byte by byte, and cut in two at `cuts` places. `glued` follows the last byte at once. */
function variantsOf(row: HandshakeRow, glued: Uint8Array, cuts: number, seed: number): Variant[] {
  const bytes = concat(row.bytes, glued);
  const random = new Random(seed);
  const variant = (name: string, at: readonly number[], pause: number): Variant => ({
    row,
    name: `${row.name}, ${name}`,
    pieces: chunksOf(bytes, at),
    pause,
  });
  const variants = [variant('in one write', [], 0)];
  if (row.bytes.length <= MAX_BYTEWISE) {
    variants.push(variant('byte by byte', byteByByte(bytes.length), 0));
  }
  for (let i = 0; i < cuts; i++) {
    const at = 1 + random.below(Math.min(row.bytes.length, 8192) - 1);
    variants.push(variant(`cut at ${at}`, [at], APART));
  }
  return variants;
}

/** What came for one variant, or '' when it is what had to come. */
async function verdictOn(target: Target, { row, name, pieces, pause }: Variant): Promise<string> {
  const client = await HostileClient.open(target.port);
  await client.writePieces(pieces, pause);
  const problem = row.status === 101 ? await acceptance(client) : await refusal(client, row);
  client.destroy();
  return problem === '' ? '' : `${name}: ${problem}`;
}

/** One response with the status, then FIN, and not a byte behind it. */
async function refusal(client: HostileClient, row: HandshakeRow): Promise<string> {
  await client.untilOver(FIN_SOON);
  const answer = client.bytes.toString('latin1');
  const [head = '', body = ''] = answer.split('\r\n\r\n', 2);
  const lines = head.split('\r\n');
  if (!lines[0]!.startsWith(`HTTP/1.1 ${row.status} `))
    return `answered ${JSON.stringify(answer)} ${client.error}`;
  const missing = (row.fields ?? ['Connection: close']).filter((field) => !lines.includes(field));
  if (missing.length > 0) return `the answer has no ${missing.join(', ')}`;
  if (answer.length !== head.length + 4 + body.length || answer.split('HTTP/1.1 ').length !== 2) {
    return `more than one answer: ${JSON.stringify(answer)}`;
  }
  if (!lines.includes(`Content-Length: ${body.length}`)) return `a body of ${body.length} bytes`;
  return client.hasFin ? '' : `no FIN but ${client.error}`;
}

/** A 101, and the echo of the frame that came glued behind the handshake. */
async function acceptance(client: HostileClient): Promise<string> {
  try {
    await client.upgraded();
  } catch (error) {
    return String(error);
  }
  if (!client.head.includes(`\r\n${ACCEPT}\r\n`)) return `the 101 is ${JSON.stringify(client.head)}`;
  if (client.head.includes('Sec-WebSocket-Extensions')) return 'an extension was accepted';
  const frames = await client.untilFrames(1);
  const echo = frames.map(({ payload }) => Buffer.from(payload).toString()).join('|');
  return echo === 'glued' ? '' : `the frame behind it was echoed as "${echo}"`;
}

async function problemsOf(target: Target, variants: readonly Variant[]): Promise<string[]> {
  const problems: string[] = [];
  await inParallel(variants, WIDTH, async (variant) => {
    const problem = await verdictOn(target, variant).catch(
      (error: unknown) => `${variant.name}: ${String(error)}`,
    );
    if (problem !== '') problems.push(problem);
  });
  // A few tell as much as a thousand.
  return problems.slice(0, 8);
}

const GLUED_FRAME = frameBytes(text('glued'), SAMPLE_KEY);

describe.each(TARGETS)('%s under hostile handshakes', (_name, start) => {
  let target: Target;
  let alive: Alive;
  watch(start, (...watched) => {
    [target, alive] = watched;
  });

  // '/upgrade' has an upgrade handler: behind an acceptor its handshakes are answered by the shard.
  it.each([
    ['/echo', 10],
    ['/upgrade', 3],
  ])(
    'refuses bad handshakes for %s with one exact answer and FIN, however they are cut',
    async (path, cuts) => {
      const before = [target.count(Tally.OPENED), target.count(Tally.REQUESTS), target.count(Tally.MESSAGES)];
      const variants = refusedRows(path).flatMap((row, i) => variantsOf(row, GLUED_REQUEST, cuts, i));
      expect(await problemsOf(target, variants)).toEqual([]);
      // Nothing behind a refused head was taken for a request, and no body for frames.
      expect([
        target.count(Tally.OPENED),
        target.count(Tally.REQUESTS),
        target.count(Tally.MESSAGES),
      ]).toEqual(before);
      await alive.check();
    },
  );

  it.each([
    ['/echo', 8],
    ['/upgrade', 3],
  ])('accepts odd but good handshakes for %s, however they are cut', async (path, cuts) => {
    const variants = acceptedRows(path).flatMap((row, i) => variantsOf(row, GLUED_FRAME, cuts, i));
    expect(await problemsOf(target, variants)).toEqual([]);
    await alive.check();
  });

  it('lets exactly the listed origins connect (H32)', async () => {
    const variants = originRows().flatMap((row, i) =>
      variantsOf(row, row.status === 101 ? GLUED_FRAME : GLUED_REQUEST, 2, i),
    );
    expect(await problemsOf(target, variants)).toEqual([]);
    await alive.check();
  });

  it('gives the same answer to a handshake and to a request cut at every place (H02)', async () => {
    const handshake: HandshakeRow = { name: 'handshake', bytes: handshakeHead('/echo'), status: 101 };
    const bytes = concat(handshake.bytes, GLUED_FRAME);
    const variants = byteByByte(bytes.length).map((at) => ({
      row: handshake,
      name: `handshake cut at ${at}`,
      pieces: chunksOf(bytes, [at]),
      pause: 30,
    }));
    expect(await problemsOf(target, variants)).toEqual([]);

    const bodies: string[] = [];
    await inParallel(byteByByte(GLUED_REQUEST.length), WIDTH, async (at) => {
      const client = await HostileClient.open(target.port);
      await client.writePieces(chunksOf(GLUED_REQUEST, [at]), 30);
      await client.until(() => client.isOver || client.bytes.includes('Hello'), 'the response');
      bodies.push(client.bytes.toString('latin1').split('\r\n\r\n')[1] ?? '');
      client.destroy();
    });
    expect(bodies).toEqual(byteByByte(GLUED_REQUEST.length).map(() => 'Hello'));
    await alive.check();
  });

  it('takes names that every JavaScript object has as data (H21)', async () => {
    const client = await HostileClient.open(target.port);
    const fields = ['Host: x', '__proto__: a', 'constructor: b', 'toString: c'];
    client.write(requestHead('GET /data?__proto__=1&toString=2 HTTP/1.1', fields));
    await client.until(() => client.bytes.includes(']]'), 'the response');
    const body = client.bytes.toString('latin1').split('\r\n\r\n')[1] ?? '';
    expect(JSON.parse(body)).toEqual([
      ['a', '1'],
      ['b', null],
      ['c', '2'],
      ['', null],
    ]);
    client.destroy();

    for (const topic of ['__proto__', 'constructor', 'toString']) {
      const subscriber = await HostileClient.upgrade(target.port, '/topics');
      const message = frameBytes(text(topic), SAMPLE_KEY);
      subscriber.write(concat(message, message));
      const frames = await subscriber.untilFrames(2);
      expect(frames.map(({ payload }) => Buffer.from(payload).toString())).toEqual(['true', `to ${topic}`]);
      subscriber.destroy();
    }
    await alive.check();
  });

  it('serves a request that asks for no WebSocket as plain HTTP, also with another Upgrade (H22)', async () => {
    for (const upgrade of [[], ['Upgrade: h2c']]) {
      const client = await HostileClient.open(target.port);
      client.write(handshakeWith('/hello', ['upgrade'], upgrade));
      await client.until(() => client.isOver || client.bytes.includes('Hello'), 'the response');
      expect(client.bytes.toString('latin1')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      client.destroy();
    }
    await alive.check();
  });
});

describe('serve with room for large heads', () => {
  let target: Target;
  let alive: Alive;
  watch(
    () => startServe({ maxHeadSize: 64 * 1024 }),
    (...watched) => {
      [target, alive] = watched;
    },
  );

  it('takes a head of 16 KiB one byte at a time (H19)', async () => {
    const client = await HostileClient.open(target.port);
    const head = handshakeOfSize('/echo', 16 * 1024);
    await client.writePieces(chunksOf(head, byteByByte(head.length)));
    await client.upgraded();
    client.destroy();
    await alive.check();
  });

  const junk = Array.from({ length: 2000 }, (_, i) => `X${i}: ${i}`);
  const names = Array.from({ length: 1000 }, (_, i) => `p${i}`).join(', ');
  it.each<HandshakeRow>([
    // The header that asks for the WebSocket comes behind the junk: it must not be overlooked.
    {
      name: 'H20 2,000 header lines before Upgrade',
      bytes: requestHead('GET /echo HTTP/1.1', [
        'Host: x',
        ...junk,
        'Upgrade: websocket',
        'Connection: Upgrade',
      ]),
      status: 431,
    },
    {
      name: 'H27 a subprotocol with 16 KiB of spaces',
      bytes: handshakeWith('/echo', [], [`Sec-WebSocket-Protocol: b${' '.repeat(16_384)}x`]),
      status: 400,
    },
    {
      name: 'H27 1,000 subprotocols',
      bytes: handshakeWith('/echo', [], [`Sec-WebSocket-Protocol: ${names}`]),
      status: 101,
    },
    {
      name: 'H28 16 KiB of escapes in an unclosed quote',
      bytes: handshakeWith('/echo', [], [`Sec-WebSocket-Extensions: a; b="${'\\c'.repeat(8192)}`]),
      status: 400,
    },
    {
      name: 'H28 4,096 offers',
      bytes: handshakeWith('/echo', [], [`Sec-WebSocket-Extensions: ${'a,'.repeat(4095)}a`]),
      status: 400,
    },
  ])('answers $name with $status', async (row) => {
    const glued = row.status === 101 ? GLUED_FRAME : GLUED_REQUEST;
    expect(await problemsOf(target, variantsOf(row, glued, 6, 1))).toEqual([]);
    await alive.check();
  });
});
