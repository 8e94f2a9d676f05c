import { MillraceError } from '../errors.ts';
import { misspelt, nearest } from './nearest-name.ts';

/**
 * Throws for the first name that is none of those known: misspelt, it would have no effect.
 *
 * @param kind what the names are of
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the nearest one, and all
 */
export function checkNames(where: string, kind: string, options: object, known: readonly string[]): void {
  for (const name of givenNames(options)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    const all = known.join(', ');
    const rest = near === undefined ? `; there are ${all}` : `${meant(near)} There are ${all}`;
    throw noOption(where, name, kind, rest);
  }
}

/**
 * Throws for the first name that nearly is one of those known. Others are passed over: what is built upon
 * uWebSockets.js hands its App all the options it was given itself.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION naming the nearest one
 */
export function checkSpelling(
  where: string,
  options: object,
  known: readonly string[],
  kind = 'option',
): void {
  for (const name of givenNames(options)) {
    const near = known.includes(name) ? undefined : misspelt(name, known);
    if (near !== undefined) throw noOption(where, name, kind, meant(near));
  }
}

/** Those that have a value: undefined is absent everywhere. */
function givenNames(options: object): string[] {
  return Object.keys(options).filter((name) => (options as Record<string, unknown>)[name] !== undefined);
}

function meant(near: string): string {
  return `; did you mean '${near}'?`;
}

function noOption(where: string, name: string, kind: string, rest: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', `${where}: '${name}' is no ${kind}${rest}`);
}
