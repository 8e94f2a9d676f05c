import { grouped, type Option, rangeText } from '../../../src/options/option.ts';
import { optionTables } from '../../../src/options/option-tables.ts';

const BLOCK = /(<!-- options: ([^>]*) -->\n)[^]*?(<!-- \/options -->)/g;

/**
 * A document with its tables of options written anew: between `<!-- options: DOOR NAMES… -->` and `<!-- /options -->` stand
 * those named, or all of the door.
 */
export function withOptionTables(text: string): string {
  return text.replace(BLOCK, (_all, begin: string, words: string, end: string) => {
    const [door, ...names] = words.split(' ');
    return `${begin}\n${tableOf(door!, names)}\n${end}`;
  });
}

function tableOf(door: string, names: readonly string[]): string {
  const rows = (optionTables as Readonly<Record<string, Readonly<Record<string, Option>>>>)[door];
  if (rows === undefined) throw new Error(`there is no table of options '${door}'`);
  const lines = (names.length > 0 ? names : Object.keys(rows)).map((name) => {
    const row = rows[name];
    if (row === undefined) throw new Error(`'${door}' has no option '${name}'`);
    return `| \`${name}\` | ${defaultOf(row)} | ${rangeOf(row)} | ${row.help.replaceAll('|', '\\|')} |`;
  });
  return ['| option | default | range | what it is |', '| --- | --- | --- | --- |', ...lines, ''].join('\n');
}

function rangeOf(row: Option): string {
  if (row.type !== 'integer') return '';
  return row.zero === undefined ? rangeText(row) : `${rangeText(row)}; 0: ${row.zero}`;
}

function defaultOf(row: Option): string {
  return row.type === 'integer' ? grouped(row.default) : String(row.default);
}
