import { parseArgs } from 'node:util';
import type { Limit } from '../app/server-limits.ts';

/** A mistake in the command line: told in one line with a remedy below it, and exit code 1. */
export class UsageError extends Error {
  /** What to do about it: a whole sentence. */
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.remedy = remedy;
  }
}

/** One row of a command's table of flags. */
export interface Flag {
  /** How the value is shown in the help; a flag without one is a switch. */
  readonly value?: string;
  readonly short?: string;
  readonly help: string;
}

export type Flags = Readonly<Record<string, Flag>>;

export interface ParsedArgs {
  /** By the flag's name; the last one counts. A switch has the value ''. */
  readonly values: ReadonlyMap<string, string>;
  /** All values of a flag, in order. */
  readonly repeated: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
}

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number];
type OptionToken = Extract<Token, { kind: 'option' }>;

/**
 * Takes a command line apart. `command` is what the help is asked of, such as 'millrace serve'.
 *
 * @throws UsageError for a flag that is not in the table, a value that is missing or one too many
 */
export function parseFlags(command: string, flags: Flags, argv: readonly string[]): ParsedArgs {
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, optionOf(flag)])),
    // The messages of the strict mode name neither the nearest flag nor the help.
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string>();
  const repeated = new Map<string, string[]>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const value = valueOf(command, flags, token);
    values.set(token.name, value);
    repeated.set(token.name, [...(repeated.get(token.name) ?? []), value]);
  }
  return { values, repeated, positionals };
}

function optionOf({ value, short }: Flag): { type: 'string' | 'boolean'; short?: string } {
  const type = value === undefined ? 'boolean' : 'string';
  return short === undefined ? { type } : { type, short };
}

function valueOf(command: string, flags: Flags, token: OptionToken): string {
  const { name, rawName, value } = token;
  const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
  const remedy = seeHelp(command);
  if (flag === undefined) {
    const near = nearest(name, Object.keys(flags));
    const question = near === undefined ? '' : `; did you mean --${near}?`;
    throw new UsageError(`there is no flag ${rawName}${question}`, remedy);
  }
  if (flag.value === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value; got '${value}'`, remedy);
    return '';
  }
  // A negative number is somebody's wrong value; anything else with a dash is the next flag.
  const isNextFlag = !token.inlineValue && value !== undefined && /^-\D/.test(value);
  if (value === undefined || value === '' || isNextFlag) {
    throw new UsageError(`${rawName} needs a value: ${rawName} ${flag.value}`, remedy);
  }
  return value;
}

/** The remedy for most mistakes. */
export function seeHelp(command: string): string {
  return `See '${command} --help'.`;
}

/**
 * Reads a number.
 *
 * @throws UsageError naming the range, unless it is an integer within the limit
 */
export function parseInteger(
  command: string,
  flag: string,
  text: string,
  limit: Omit<Limit, 'default'>,
): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= limit.min && value <= limit.max) return value;
  if (value === 0 && limit.zero !== undefined) return 0;
  const zero = limit.zero === undefined ? '' : `, or 0: ${limit.zero}`;
  throw new UsageError(
    `--${flag} must be an integer from ${limit.min} to ${limit.max} (${limit.unit})${zero}; got '${text}'`,
    seeHelp(command),
  );
}

/** The candidate that was probably meant, if any: one it is the start of, or one a few typing errors away. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const started = word.length >= 3 ? candidates.find((candidate) => candidate.startsWith(word)) : undefined;
  if (started !== undefined) return started;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
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
