/** What a number may be. */
export interface Range {
  readonly min: number;
  readonly max: number;
  /** 0 is allowed beside min to max, and means this. */
  readonly zero?: string;
  /** More than `max` is no mistake: it means `max`. */
  readonly isClamped?: boolean;
  readonly unit: string;
}

interface Row {
  /** For `--help` and the tables of the documentation: what it is, and what happens beyond it. */
  readonly help: string;
  /** Its flag of the command line, where that is not its name with hyphens. */
  readonly flag?: string;
  /** One letter for the flag. */
  readonly short?: string;
}

/** A numeric option. */
export interface Limit extends Row, Range {
  readonly type: 'integer';
  readonly default: number;
}

/** An option that is true or false. */
export interface Switch extends Row {
  readonly type: 'flag';
  readonly default: boolean;
}

/** An option with a rule of its own, which is written where it is checked. */
export interface Other extends Row {
  readonly type: 'text' | 'callback' | 'value';
  /** In words, as code where it is a value; '' where there is none. */
  readonly default: string;
}

/** One row of a table of options: all that `--help`, the documentation, the checks and the types of the option say. */
export type Option = Limit | Switch | Other;

/** The numbers that a table of limits stands for, with the comments of its rows. */
export type LimitsOf<Table> = { -readonly [Name in keyof Table]: number };

/** maxHeadSize: max-head-size */
export function flagOf(name: string, { flag }: { readonly flag?: string } = {}): string {
  return flag ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** 'Default 10 (1 to 960 seconds).': how the comment of a limit's row ends. */
export function limitText(limit: Limit): string {
  const { default: value, zero } = limit;
  if (zero === undefined) return `Default ${grouped(value)} (${rangeText(limit)}).`;
  if (value === 0) return `Default 0: ${zero} (else ${rangeText(limit)}).`;
  return `Default ${grouped(value)} (${rangeText(limit)}; 0: ${zero}).`;
}

/** What an error says of a number that is none of these: 'must be an integer from 1 to 960 (seconds)'. */
export function rangeRule({ min, max, zero, unit }: Range): string {
  return `must be an integer from ${min} to ${max} (${unit})${zero === undefined ? '' : `, or 0 for ${zero}`}`;
}

/** '1 to 960 seconds' */
export function rangeText({ min, max, isClamped, unit }: Range): string {
  if (max === Number.MAX_SAFE_INTEGER) return `${grouped(min)} or more ${unit}`;
  const note = isClamped === true ? ', which more means, too' : '';
  return `${grouped(min)} to ${grouped(max)} ${unit}${note}`;
}

/** 1234567: 1,234,567 */
export function grouped(value: number): string {
  return value.toLocaleString('en');
}
