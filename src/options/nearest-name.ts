/** The candidate that was probably meant, if any: one it is the start of, or one a few typing errors away. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const started = word.length >= 3 ? candidates.find((candidate) => candidate.startsWith(word)) : undefined;
  return started ?? closest(word, candidates, Math.max(1, Math.floor(word.length / 3)));
}

/** Typing errors in a long word, beside capitals and separators. */
const MAX_ERRORS = 2;

/** The candidate that it can only be meant for: the same but for capitals, separators and one or two typing errors. */
export function misspelt(word: string, candidates: readonly string[]): string | undefined {
  const plain = plainForm(word);
  const found = closest(plain, candidates.map(plainForm), plain.length < 6 ? 1 : MAX_ERRORS);
  return candidates.find((candidate) => plainForm(candidate) === found);
}

function plainForm(word: string): string {
  return word.toLowerCase().replaceAll(/[_-]/g, '');
}

/** The candidate with the fewest typing errors, if any has no more than this. */
function closest(word: string, candidates: readonly string[], maxErrors: number): string | undefined {
  let best: string | undefined;
  let bestDistance = maxErrors + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Letters to insert, remove, replace or swap with their neighbour. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (isSame ? 0 : 1));
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) cost = Math.min(cost, beforeLast[j - 2]! + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
