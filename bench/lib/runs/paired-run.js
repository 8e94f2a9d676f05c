// @ts-check

/**
 * Measures several candidates in turns, and turns the order round each time: A B C, C B A, A B C, … Whatever
 * drifts over the minutes of a run (temperature, other guests of the machine) then hits all of them alike, and
 * the ratio of two neighbours says more than either figure.
 *
 * @template T
 * @param {readonly string[]} candidates
 * @param {number} repetitions
 * @param {(candidate: string, repetition: number) => Promise<T>} measure
 * @returns {Promise<Record<string, T[]>>} the results of each candidate, by repetition
 */
export async function pairedRun(candidates, repetitions, measure) {
  /** @type {Record<string, T[]>} */
  const results = Object.fromEntries(candidates.map((name) => [name, []]));
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const order = repetition % 2 === 0 ? candidates : candidates.toReversed();
    for (const name of order) results[name]?.push(await measure(name, repetition));
  }
  return results;
}
