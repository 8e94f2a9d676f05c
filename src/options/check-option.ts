import { described, readFlag, readInteger, readNumber } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';
import { type Limit, type LimitsOf, rangeRule, type Switch } from './option.ts';

/**
 * Checks one numeric option against its row in a table. A number may be given as text; null is "not given", and false is
 * 0 where 0 is allowed. A fraction is cut.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the option and what it takes
 */
export function checkLimit(where: string, name: string, value: unknown, limit: Limit): number {
  const given = readInteger(value);
  if (given === undefined) return limit.default;
  if (given >= limit.min && given <= limit.max) return given;
  if (given > limit.max && limit.isClamped === true) return limit.max;
  // Half a second is not "never".
  const isZero = value === false || (given === 0 && readNumber(value) === 0);
  if (isZero && limit.zero !== undefined) return 0;
  throw new MillraceError(
    'MILLRACE_INVALID_OPTION',
    `${where}: '${name}' ${rangeRule(limit)}; got ${described(value)}`,
  );
}

/** Checks the options that a table of limits has, and fills in the defaults. Others are passed over. */
export function checkLimits<Table extends Readonly<Record<string, Limit>>>(
  where: string,
  options: object,
  table: Table,
): LimitsOf<Table> {
  const given = options as Readonly<Record<string, unknown>>;
  const entries = Object.entries(table).map(([name, limit]) => [
    name,
    checkLimit(where, name, given[name], limit),
  ]);
  return Object.fromEntries(entries) as LimitsOf<Table>;
}

/**
 * Checks an option that is true or false; 1 and 0 are the same, and null is "not given".
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the option
 */
export function checkFlag(
  where: string,
  name: string,
  value: unknown,
  { default: byDefault }: Pick<Switch, 'default'>,
): boolean {
  const flag = readFlag(value);
  if (flag !== null) return flag ?? byDefault;
  throw new MillraceError(
    'MILLRACE_INVALID_OPTION',
    `${where}: '${name}' must be true or false, or 1 or 0; got ${described(value)}`,
  );
}

/** TCP ports. */
export const PORT_RANGE = { min: 1, max: 65_535, zero: 'any free port', unit: 'port' } as const;

/**
 * The port to listen on.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION when it is none
 */
export function checkPort(where: string, port: unknown): number {
  const given = readInteger(port);
  if (given !== undefined && given >= 0 && given <= PORT_RANGE.max) return given;
  throw new MillraceError(
    'MILLRACE_INVALID_OPTION',
    `${where}: 'port' must be an integer from 0 to ${PORT_RANGE.max} (0: ${PORT_RANGE.zero}); got ${described(port)}`,
  );
}
