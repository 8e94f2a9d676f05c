import { printable } from './printable.ts';

/**
 * What callers pass as numbers and flags: all that JavaScript programs do is read here, and nowhere else. Numbers may be
 * text, as they come from the environment and from addresses, flags may be 0 or 1, and null is "not given", like
 * undefined. A fraction is cut.
 */

/** The integer that was meant; undefined: none was given; NaN: it is no number. */
export function readInteger(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  return Math.trunc(readNumber(value));
}

/** The number that was meant; NaN: it is none. */
export function readNumber(value: unknown): number {
  if (typeof value === 'number') return value;
  // An empty text would be 0.
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
}

/** The flag that was meant; undefined: none was given; null: it is no flag. */
export function readFlag(value: unknown): boolean | null | undefined {
  if (typeof value === 'boolean') return value;
  if (value === 1) return true;
  if (value === 0) return false;
  return value === undefined || value === null ? undefined : null;
}

/** The options without those that are null: it is "not given" in every one of them. */
export function withoutNull<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null)) as T;
}

/** Characters of a text that an error quotes. */
const MAX_QUOTED = 40;

/** What came, for the message of an error: quoted where it is text, with its type where that is the mistake. */
export function described(value: unknown): string {
  if (typeof value === 'string') return `'${printable(value, MAX_QUOTED)}' (a string)`;
  if (typeof value === 'number' || value === null || value === undefined) return String(value);
  if (typeof value === 'boolean') return `${value} (a boolean)`;
  if (typeof value === 'bigint') return `${value}n (a bigint)`;
  if (Array.isArray(value)) return 'an array';
  return `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`;
}
