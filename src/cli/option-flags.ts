import { flagOf, type Limit, type LimitsOf, limitText, type Option } from '../options/option.ts';
import { type Flag, type Flags, type ParsedArgs, parseInteger } from './args.ts';

/** How the value of a number is shown, by its unit; others are N. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  bytes: 'BYTES',
  seconds: 'S',
  ms: 'MS',
  microseconds: 'US',
  MiB: 'MIB',
  '% of the heap limit': 'PERCENT',
  'process id': 'PID',
};

/** A flag for each numeric option of a table. */
export function limitFlags(table: Readonly<Record<string, Limit>>): Flags {
  return Object.fromEntries(
    Object.entries(table).map(([name, row]) => [
      flagOf(name, row),
      flag(row, `${row.help} ${limitText(row)}`, PLACEHOLDERS[row.unit] ?? 'N'),
    ]),
  );
}

/** A flag for one option of a table, which the command line reads in its own way. */
export function optionFlag(name: string, row: Option, value?: string, help = row.help): Flags {
  return { [flagOf(name, row)]: flag(row, help, value) };
}

function flag({ short }: Option, help: string, value: string | undefined): Flag {
  return { help, ...(value === undefined ? {} : { value }), ...(short === undefined ? {} : { short }) };
}

/**
 * The numeric options of a table that the command line has.
 *
 * @throws UsageError naming the flag and its range
 */
export function readLimits<Table extends Readonly<Record<string, Limit>>>(
  command: string,
  { values }: Pick<ParsedArgs, 'values'>,
  table: Table,
): Partial<LimitsOf<Table>> {
  const given: Record<string, number> = {};
  for (const [name, row] of Object.entries(table)) {
    const text = values.get(flagOf(name, row));
    if (text !== undefined) given[name] = parseInteger(command, flagOf(name, row), text, row);
  }
  return given as Partial<LimitsOf<Table>>;
}

/** The defaults of a table. */
export function defaultsOf<Table extends Readonly<Record<string, Limit>>>(table: Table): LimitsOf<Table> {
  return Object.fromEntries(
    Object.entries(table).map(([name, row]) => [name, row.default]),
  ) as LimitsOf<Table>;
}
