import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { badBodies, badHeads, type GoodRow, goodRequests, type HttpRow } from '../support/cases/http-rows.ts';
import { inParallel } from '../support/clients/hostile-client.ts';
import { exchange } from '../support/clients/http-client.ts';
import { byteByByte, chunksOf, Random } from '../support/protocol/chunked.ts';
import { send, startEchoIn } from '../support/servers/http-echo.ts';
import { MODES } from '../support/servers/server.ts';

/** Requests of RELIABILITY's kind, over real sockets: in one write, byte by byte, and cut in two. */

const WIDTH = 32;
/** Ms between two segments that are to be read apart. */
const APART = 2;
const MAX_BYTEWISE = 600;
const CUTS = 4;

interface Variant<Row extends HttpRow> {
  readonly row: Row;
  readonly name: string;
  readonly path: string;
  readonly behind: string;
  readonly pieces: readonly Uint8Array[];
  readonly pause: number;
}

type EchoServer = Awaited<ReturnType<typeof startEchoIn>>;

let next = 0;

/** Every variant has paths of its own, so that it can be told who was served. */
function variantsOf<Row extends HttpRow>(row: Row, random: Random): Variant<Row>[] {
  const make = (name: string, cutsOf: (length: number) => number[], pause: number): Variant<Row> => {
    const path = `/v${next}`;
    const behind = `/s${next++}`;
    const text = row.text.replaceAll('@', path);
    const glued = Buffer.from(`${text}GET ${behind} HTTP/1.1\r\nHost: x\r\n\r\n`, 'latin1');
    return {
      row,
      name: `${row.name}, ${name}`,
      path,
      behind,
      pieces: chunksOf(glued, cutsOf(text.length)),
      pause,
    };
  };
  const variants = [make('in one write', () => [], 0)];
  if (row.text.length <= MAX_BYTEWISE) variants.push(make('byte by byte', byteByByte, 0));
  for (let i = 0; i < CUTS; i++) {
    variants.push(make(`cut, ${i}`, (length) => [1 + random.below(Math.min(length, 4000) - 1)], APART));
  }
  return variants;
}

/** One answer with the status, `Connection: close` and FIN; nothing behind the fault was served. '' if it is so. */
async function refusalOf(server: EchoServer, variant: Variant<HttpRow>): Promise<string> {
  const { row, name, path, behind, pieces, pause } = variant;
  const { text, hasFin, error } = await send(server.running.port, pieces, 0, pause);
  const [head = ''] = text.split('\r\n\r\n', 1);
  const lines = head.split('\r\n');
  if (!lines[0]!.startsWith(`HTTP/1.1 ${row.status} `)) return `${name}: ${JSON.stringify(text)} ${error}`;
  if (!lines.includes('Connection: close')) return `${name}: no Connection: close`;
  if (text.split('HTTP/1.1 ').length !== 2) return `${name}: two answers ${JSON.stringify(text)}`;
  const length = lines.find((line) => line.startsWith('Content-Length: '));
  if (length !== `Content-Length: ${text.length - head.length - 4}`) return `${name}: ${length}`;
  if (!hasFin) return `${name}: no FIN ${error}`;
  if (server.paths.has(behind)) return `${name}: what followed was served`;
  return !row.inBody && server.paths.has(path) ? `${name}: a handler was called` : '';
}

/** The body that came back, and the request behind it served too. '' if it is so. */
async function serviceOf(server: EchoServer, variant: Variant<GoodRow>): Promise<string> {
  const { row, name, path, behind, pieces } = variant;
  const texts = pieces.map((piece) => Buffer.from(piece).toString('latin1'));
  if (row.isHead) {
    // Both answers are read as one text: that of HEAD has no body.
    const { text } = await send(server.running.port, [...pieces, Buffer.from(CLOSING)], 0);
    const heads = text.split('\r\n\r\n').filter((head) => head.startsWith('HTTP/1.1 200 OK'));
    return heads.length === 3 && text.endsWith('\r\n\r\n') ? '' : `${name}: ${JSON.stringify(text)}`;
  }
  const answers = await exchange(server.running.port, texts, 2);
  const got = answers.map(({ status, bytes }) => `${status} ${bytes.toString('latin1')}`).join('|');
  if (got !== `200 ${row.body}|200 `) return `${name}: ${got}`;
  return server.paths.has(path) && server.paths.has(behind) ? '' : `${name}: not all was served`;
}

const CLOSING = 'GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

describe.each(MODES)('requests over real sockets, in %s', (mode) => {
  let server: EchoServer;
  beforeAll(async () => {
    server = await startEchoIn(mode);
  });
  afterAll(() => server.running.stop());

  async function problems<Row extends HttpRow>(
    rows: readonly Row[],
    verdict: (server: EchoServer, variant: Variant<Row>) => Promise<string>,
  ): Promise<string[]> {
    const random = new Random(1);
    const found: string[] = [];
    const variants = rows.flatMap((row) => variantsOf(row, random));
    await inParallel(variants, WIDTH, async (variant) => {
      const problem = await verdict(server, variant).catch(
        (error: unknown) => `${variant.name}: ${String(error)}`,
      );
      if (problem !== '') found.push(problem);
    });
    return found.slice(0, 8);
  }

  it('are refused by their heads with one exact answer and FIN, however they are cut (H03 to H11, H17, H18, H34)', async () => {
    expect(await problems(badHeads(), refusalOf)).toEqual([]);
  });

  it('are refused by their bodies, and nothing behind them is served (H12 to H15)', async () => {
    expect(await problems(badBodies(), refusalOf)).toEqual([]);
  });

  it('are served, however they are cut, and what follows them too (H01, H12 to H18, H34)', async () => {
    expect(await problems(goodRequests(), serviceOf)).toEqual([]);
    expect(server.paths.has('/smuggled')).toBe(false);
  });

  it('are served when cut at every place with a pause (H02)', async () => {
    const rows: [text: string, body: string][] = [
      ['GET /get HTTP/1.1\r\nHost: x\r\n\r\n', ''],
      ['POST /sized HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello', 'hello'],
      [
        'POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nA: b\r\n\r\n',
        'hello',
      ],
    ];
    const wrong: string[] = [];
    const cuts = rows.flatMap(([text, body]) => byteByByte(text.length).map((cut) => ({ text, body, cut })));
    await inParallel(cuts, 64, async ({ text, body, cut }) => {
      const bytes = Buffer.from(text + CLOSING);
      const { text: answer } = await send(server.running.port, chunksOf(bytes, [cut]), 0, 20);
      const [, first] = answer.split('\r\n\r\n');
      if (answer.split('HTTP/1.1 200').length !== 3 || !first!.startsWith(body))
        wrong.push(`${text} at ${cut}: ${answer}`);
    });
    expect(wrong).toEqual([]);
  });
});
