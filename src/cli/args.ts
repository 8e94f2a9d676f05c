import { parseArgs } from 'node:util';
import { nearest } from '../options/nearest-name.ts';
import { type Range, rangeRule } from '../options/option.ts';

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
export function parseInteger(command: string, flag: string, text: string, limit: Range): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= limit.min && value <= limit.max) return value;
  if (value === 0 && limit.zero !== undefined) return 0;
  throw new UsageError(`--${flag} ${rangeRule(limit)}; got '${text}'`, seeHelp(command));
}
