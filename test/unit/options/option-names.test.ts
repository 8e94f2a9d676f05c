import { describe, expect, it } from 'vitest';
import { checkNames, checkSpelling } from '../../../src/options/option-names.ts';
import { optionTables } from '../../../src/options/option-tables.ts';
import { APP_NAMES } from '../../../src/options/server-options.ts';

const KNOWN = ['maxConnections', 'backlog', 'tls'];

function messageOf(check: () => void): string {
  try {
    check();
  } catch (error) {
    expect(error).toMatchObject({ name: 'MillraceError', code: 'MILLRACE_INVALID_OPTION' });
    return (error as Error).message;
  }
  return '';
}

describe('checkNames', () => {
  const check = (options: object): string => messageOf(() => checkNames('here', 'option', options, KNOWN));

  it('lets known names pass, and those without a value', () => {
    expect(check({})).toBe('');
    expect(check({ maxConnections: 1, backlog: null, other: undefined })).toBe('');
  });

  it('tells a name that is not known, with the nearest and with all', () => {
    expect(check({ tls: 1, other: null })).toBe(
      "here: 'other' is no option; there are maxConnections, backlog, tls",
    );
    expect(check({ backlogs: 1 })).toBe(
      "here: 'backlogs' is no option; did you mean 'backlog'? There are maxConnections, backlog, tls",
    );
  });

  it('knows no names that objects inherit', () => {
    expect(check({ constructor: 1 })).toContain("'constructor' is no option");
  });
});

describe('checkSpelling', () => {
  const check = (options: object): string => messageOf(() => checkSpelling('here', options, KNOWN));

  it('tells a name that is nearly a known one', () => {
    expect(check({ tls: 1, maxConection: 1 })).toBe(
      "here: 'maxConection' is no option; did you mean 'maxConnections'?",
    );
  });

  it('lets all others pass, the start of a known one too', () => {
    expect(check({ other: 1, max: 1, backlogs: undefined })).toBe('');
  });

  it('takes no name of one list of options for a misspelt one of another', () => {
    const { ws, tls, App, serve } = optionTables;
    const lists = [ws, tls, App, serve].map((table) => Object.keys(table));
    const known = [APP_NAMES, Object.keys(ws), Object.keys(tls)];
    for (const names of lists) {
      const options = Object.fromEntries(names.map((name) => [name, 1]));
      for (const list of known) expect(messageOf(() => checkSpelling('here', options, list))).toBe('');
    }
  });
});
