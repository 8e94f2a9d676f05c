import { afterAll, describe, expect, it } from 'vitest';
import { chunksOf, Random, randomCuts } from '../support/protocol/chunked.ts';
import { fuzz, type ProblemOf, RUNS, SEED } from './fuzz-run.ts';
import { mutated } from './http-corpus.ts';
import { javaScriptReading, KNOWN_METHODS, NodeReader, ourReading, type Reading } from './http-readers.ts';

/**
 * Differential fuzzing of the request parser and the body decoder: whatever we accept, http-parser-js and Node's own
 * server accept too, as the same requests with the same bytes of body, and find no other request in those bytes. We may
 * be stricter.
 */

/**
 * Node refuses a tab behind a length or an encoding, which RFC 9110 §5.5 allows, and minor versions above 1, which are to be
 * read as 1.1 (RFC 9110 §2.5).
 */
const REFUSED_BY_NODE = /^(?:content-length|transfer-encoding):[^\r\n]*\t| HTTP\/1\.[2-9]\r$/im;

type Read = (bytes: Uint8Array) => Reading | Promise<Reading>;

/** Why the other reader contradicts us; '' if it does not. */
async function contradiction(text: string, read: Read): Promise<string> {
  const bytes = bytesOf(text);
  const { requests, wholeSize, error, isOver } = ourReading([bytes]);
  // Methods that only we know, and targets that are not ASCII, are refused by the others.
  const isCommon = requests.every(
    ({ method, target }) => KNOWN_METHODS.has(method) && /^[\x21-\x7e]*$/.test(target),
  );
  if (!isCommon) return '';
  const theirs = await read(bytes.subarray(0, wholeSize));
  if (JSON.stringify(theirs.requests) !== JSON.stringify(requests)) {
    return `to us ${JSON.stringify(requests)}, to them ${JSON.stringify(theirs)}`;
  }
  if (error !== '' || isOver) return '';
  const all = await read(bytes);
  const more = all.requests.length - requests.length;
  return more > 0 ? `they find ${more} more: ${JSON.stringify(all.requests)}` : '';
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const run = (problemOf: ProblemOf): Promise<void> => fuzz(mutated, problemOf);

describe('requests of a mutated corpus', () => {
  const node = new NodeReader();
  afterAll(() => {
    node.close();
  });

  it('are the same to us however they are cut', async () => {
    const cuts = new Random(SEED + 1);
    await run(async (text) => {
      const bytes = bytesOf(text);
      const whole = ourReading([bytes]);
      const cut = ourReading(chunksOf(bytes, randomCuts(bytes.length, 1 + cuts.below(40), cuts)));
      return JSON.stringify(whole) === JSON.stringify(cut) ? '' : JSON.stringify([whole, cut]);
    });
  });

  it('that we accept are the same to http-parser-js', async () => {
    await run((text) => contradiction(text, javaScriptReading));
  });

  it("that we accept are the same to Node's server", async () => {
    await run(async (text) => {
      return REFUSED_BY_NODE.test(text) ? '' : contradiction(text, (bytes) => node.read(bytes));
    });
  });

  it('are neither all accepted nor all refused', () => {
    const random = new Random(SEED);
    const counts = { requests: 0, whole: 0, refused: 0 };
    for (let i = 0; i < RUNS; i++) {
      const { requests, error } = ourReading([bytesOf(mutated(random))]);
      counts.requests += requests.length;
      if (error !== '') counts.refused++;
      else if (requests.length > 0) counts.whole++;
    }
    expect(counts.requests).toBeGreaterThan(RUNS / 4);
    expect(counts.refused).toBeGreaterThan(RUNS / 10);
    expect(counts.whole).toBeGreaterThan(RUNS / 10);
  });
});
