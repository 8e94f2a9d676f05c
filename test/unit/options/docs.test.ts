import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { limitText, type Option } from '../../../src/options/option.ts';
import { optionTables } from '../../../src/options/option-tables.ts';
import { withOptionTables } from '../../support/tools/option-docs.ts';

const read = (path: string): string => readFileSync(new URL(`../../../src/${path}`, import.meta.url), 'utf8');

/** The files that have the docstrings of a door's options. */
const DOORS: Readonly<Record<keyof typeof optionTables, readonly string[]>> = {
  serve: ['options/server-limits.ts', 'app/serve-options.ts', 'app/host-options.ts'],
  App: ['options/server-limits.ts', 'app/app.ts', 'app/host-options.ts', 'app/tls-options.ts'],
  tls: ['app/tls-options.ts'],
  ws: ['options/route-options.ts', 'websocket/behavior.ts', 'app/websocket-behavior.ts'],
  close: ['options/server-options.ts'],
  profile: ['options/server-options.ts'],
  stompBroker: [
    'stomp/broker/queues/queue-options.ts',
    'stomp/broker/broker-options.ts',
    'options/stomp-options.ts',
    'options/stomp-topic-options.ts',
    'options/stomp-queue-options.ts',
  ],
  bench: ['options/bench-options.ts', 'load/options.ts'],
};

/** What the comments of properties say, by the property's name; quotes are left out. */
function docstringsOf(source: string): Map<string, string> {
  const found = source.matchAll(/^ {2}\/\*\*((?:(?!\*\/)[^])*)\*\/\s+(?:readonly )?(\w+)\??:/gm);
  return new Map(
    Array.from(found, ([, text, name]) => [
      name!,
      text!
        .replaceAll(/\n\s*\*/g, ' ')
        .replaceAll(/['`]/g, '')
        .replaceAll(/\s+/g, ' '),
    ]),
  );
}

/** What the docstring of an option must say of its default and its range; '' where there is nothing to say. */
function defaultText(row: Option): string {
  if (row.type === 'integer') return limitText(row).replaceAll("'", '');
  return row.default === '' ? '' : `Default ${row.default}`.replaceAll(/['`]/g, '');
}

const says = (docstring: string | undefined, text: string): boolean =>
  docstring?.replace('Default: ', 'Default ').includes(text) === true;

describe.each(Object.entries(DOORS))('the options of %s', (door, files) => {
  const docstrings = docstringsOf(files.map((file) => read(file)).join('\n'));
  const rows = Object.entries<Option>(optionTables[door as keyof typeof optionTables]);

  it.each(rows)('%s has a docstring with the default of the table', (name, row) => {
    if (row.type === 'flag' && name === 'ssl_prefer_low_memory_usage') return;
    const docstring = docstrings.get(name) ?? '';
    if (row.type !== 'callback') expect(docstring, name).not.toBe('');
    const text = defaultText(row);
    if (!says(docstring, text)) expect(docstring, name).toContain(text);
  });
});

test('a docstring that says something else is noticed', () => {
  const docstrings = docstringsOf('  /** Time. Default 11 (1 to 960 seconds). */\n  bodyTimeout: {');
  expect(says(docstrings.get('bodyTimeout'), 'Default 11 (1 to 960 seconds).')).toBe(true);
  expect(says(docstrings.get('bodyTimeout'), defaultText(optionTables.serve.bodyTimeout))).toBe(false);
});

describe('the tables of options in the documents', () => {
  const folder = new URL('../../../docs/', import.meta.url);
  const documents = readdirSync(folder).filter((name) => name.endsWith('.md'));

  // `npm run docs` writes what this compares.
  it.each(documents)('%s agrees with src/options', (name) => {
    const file = new URL(name, folder);
    const expected = withOptionTables(readFileSync(file, 'utf8'));
    if (process.env['WRITE_DOCS'] === '1') writeFileSync(file, expected);
    expect(readFileSync(file, 'utf8')).toBe(expected);
  });

  it('are there for every door', () => {
    const text = readFileSync(new URL('options.md', folder), 'utf8');
    const written = Array.from(text.matchAll(/<!-- options: (\w+) -->/g), ([, door]) => door);
    expect(new Set([...written, 'tls'])).toEqual(new Set(Object.keys(optionTables)));
  });

  it('that say something else are noticed, and so is an option that there is not', () => {
    const text = '<!-- options: close drain -->\n\n| `drain` | 9 | | |\n\n<!-- /options -->';
    expect(withOptionTables(text)).toContain('| `drain` | 10,000 | 1 to 3,600,000 ms; 0: no time at all |');
    expect(() => withOptionTables(text.replace('drain', 'drian'))).toThrow("'close' has no option 'drian'");
    expect(() => withOptionTables(text.replace('close', 'open'))).toThrow("no table of options 'open'");
  });
});
