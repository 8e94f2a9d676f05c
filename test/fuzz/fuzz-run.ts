import { expect } from 'vitest';
import { Random } from '../support/protocol/chunked.ts';

/**
 *     npm run fuzz                                     for long, from a random seed
 *     FUZZ_SEED=7 FUZZ_RUNS=100000 npx vitest run --project fuzz
 */
export const RUNS = Number(process.env['FUZZ_RUNS'] ?? 6000);
export const SEED =
  process.env['FUZZ_SEED'] === 'random' ? Date.now() >>> 0 : Number(process.env['FUZZ_SEED'] ?? 1);

/** Why a text is a failure; '' when it is none. */
export type ProblemOf = (text: string) => string | Promise<string>;

/** Looks at as many texts as there are runs, and fails with the smallest that it finds. */
export async function fuzz(textOf: (random: Random) => string, problemOf: ProblemOf): Promise<void> {
  const random = new Random(SEED);
  for (let i = 0; i < RUNS; i++) {
    const text = textOf(random);
    if ((await problemOf(text)) === '') continue;
    const small = await shrunk(text, async (shorter) => (await problemOf(shorter)) !== '');
    expect.fail(`seed ${SEED}, run ${i}: ${JSON.stringify(small)}: ${await problemOf(small)}`);
  }
}

/** Takes pieces out as long as it stays a failure. */
async function shrunk(text: string, fails: (text: string) => Promise<boolean>): Promise<string> {
  let small = text;
  for (let size = small.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= small.length; ) {
      const shorter = small.slice(0, at) + small.slice(at + size);
      if (await fails(shorter)) small = shorter;
      else at += size;
    }
  }
  return small;
}
