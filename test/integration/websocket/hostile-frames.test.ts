import { describe, expect, it } from 'vitest';
import {
  acceptedRows,
  closingRows,
  type FramesRow,
  refusedRows,
  wordsOf,
} from '../../support/cases/hostile-frames.ts';
import { type Alive, watch } from '../../support/clients/alive.ts';
import { HostileClient, inParallel } from '../../support/clients/hostile-client.ts';
import { byteByByte, chunksOf, Random } from '../../support/protocol/chunked.ts';
import { concat, frameBytes, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { startApp, startServe, Tally, type Target } from '../../support/servers/hostile-server.ts';
import { until } from '../../support/tools/deadline.ts';

/** Ms between two segments that are to be read apart. */
const APART = 3;
const WIDTH = 64;
/** Frames up to this length are sent byte by byte, and cut in two at every place. */
const SHORT = 64;
/** Of longer ones the first bytes, where the headers are, and a sample of the rest. */
const HEADER = 15;
const SAMPLE = 6;

const BEFORE = frameBytes(text('before'), SAMPLE_KEY);
const LATE = frameBytes(text('late'), SAMPLE_KEY);

interface Variant {
  readonly row: FramesRow;
  readonly name: string;
  readonly pieces: readonly Uint8Array[];
  readonly pause: number;
  readonly answer: readonly string[];
}

/** SPLIT: in one write, byte by byte, cut in two, and glued behind a good message. */
function variantsOf(row: FramesRow, seed: number): Variant[] {
  const isOver = row.closeCode !== undefined;
  // What comes behind the end of a connection must not be looked at.
  const bytes = isOver ? concat(row.bytes, LATE) : row.bytes;
  const variant = (
    name: string,
    pieces: readonly Uint8Array[],
    pause: number,
    answer = row.answer,
  ): Variant => ({
    row,
    name: `${row.name}, ${name}`,
    pieces,
    pause,
    answer,
  });
  const variants = [
    variant('in one write', [bytes], 0),
    variant('behind a message', [concat(BEFORE, bytes)], 0, ['text before', ...row.answer]),
  ];
  if (row.bytes.length <= 8 * SHORT) {
    variants.push(variant('byte by byte', chunksOf(row.bytes, byteByByte(row.bytes.length)), 0));
  }
  for (const at of cutsOf(row.bytes.length, seed)) {
    variants.push(variant(`cut at ${at}`, chunksOf(bytes, [at]), APART));
  }
  return variants;
}

function cutsOf(length: number, seed: number): number[] {
  if (length <= SHORT) return byteByByte(length);
  const random = new Random(seed);
  return [
    ...Array.from({ length: HEADER }, (_, i) => i + 1),
    ...Array.from({ length: SAMPLE }, () => HEADER + 1 + random.below(length - HEADER - 1)),
  ];
}

let nextId = 0;

/** What was wrong with one variant, or ''. */
async function verdictOn(target: Target, variant: Variant): Promise<string> {
  const { row, name, pieces, pause, answer } = variant;
  const id = String(nextId++);
  const client = await HostileClient.upgrade(target.port, `${row.path}?id=${id}`);
  await client.writePieces(pieces, pause);
  if (row.closeCode !== undefined) await client.untilOver();
  const frames = (await client.untilFrames(answer.length)).map(wordsOf);
  const rest = client.body.length;
  const { hasFin, error } = client;
  client.destroy();
  if (JSON.stringify(frames) !== JSON.stringify(answer)) {
    return `${name}: answered ${JSON.stringify(frames)}, ${rest} bytes, ${error}`;
  }
  if (row.closeCode === undefined) return '';
  if (!hasFin || error !== '') return `${name}: no FIN but ${error}`;
  await until(() => target.closesOf(id).length > 0, `the close handler is called for ${name}`);
  const [first, second] = target.closesOf(id);
  if (second !== undefined) return `${name}: the close handler was called twice`;
  return first?.code === row.closeCode ? '' : `${name}: the close handler got ${first?.code}`;
}

async function problemsOf(target: Target, rows: readonly FramesRow[]): Promise<string[]> {
  const problems: string[] = [];
  const variants = rows.flatMap(variantsOf);
  await inParallel(variants, WIDTH, async (variant) => {
    const problem = await verdictOn(target, variant).catch(
      (error: unknown) => `${variant.name}: ${String(error)}`,
    );
    if (problem !== '') problems.push(problem);
  });
  // A few tell as much as a thousand.
  return problems.slice(0, 8);
}

describe.each([
  ['serve', startServe],
  ['App', startApp],
] as const)('%s under hostile frames', (_name, start) => {
  let target: Target;
  let alive: Alive;
  watch(start, (...watched) => {
    [target, alive] = watched;
  });

  it('fails a connection that breaks a rule with the exact code, then FIN, however its frames are cut', async () => {
    const rows = refusedRows();
    const before = target.count(Tally.MESSAGES);
    expect(await problemsOf(target, rows)).toEqual([]);
    // Of all that was sent, the handler saw the one good message in front, and nothing behind the end.
    expect(target.count(Tally.MESSAGES) - before).toBe(rows.length);
    await alive.check();
  });

  it('takes what is odd but allowed, however it is cut', async () => {
    expect(await problemsOf(target, acceptedRows())).toEqual([]);
    await alive.check();
  });

  it('answers a Close with its code and ignores what follows, however it is cut', async () => {
    expect(await problemsOf(target, closingRows())).toEqual([]);
    await alive.check();
  });
});
