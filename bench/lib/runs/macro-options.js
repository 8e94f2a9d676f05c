// @ts-check
import { parseArgs } from 'node:util';
import { requireFreshBuild } from './fresh-build.js';

/** What all programs in macro/ take, for their help. */
export const MACRO_HELP = `  --build FOLDER        another build of millrace (package.json and dist/) to measure instead of this one
  --baseline FOLDER     another build of millrace to run beside it
  --seconds 3           length of a measurement
  --warmup 1            seconds before it
  --reps 4              repetitions
  --quiet 30            seconds to wait, before each measurement, for other programs to leave the processors alone
  --retries 2           how often a measurement that they disturbed all the same is repeated
  --json FILE           keep the figures
  --markdown FILE       keep the tables
  --list                the rows as JSON lines, and nothing else
  --help

The tables go to stdout, progress to stderr. bench/README.md says how to read them.
`;

/**
 * The options on the command line.
 *
 * @template {{ readonly id: string }} Row
 * @param {readonly Row[]} allRows
 */
export function macroOptions(allRows) {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string' },
      candidates: { type: 'string' },
      build: { type: 'string' },
      baseline: { type: 'string' },
      seconds: { type: 'string', default: '3' },
      warmup: { type: 'string', default: '1' },
      reps: { type: 'string', default: '4' },
      quiet: { type: 'string', default: '30' },
      retries: { type: 'string', default: '2' },
      json: { type: 'string' },
      markdown: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.build === undefined && !values.list && !values.help) requireFreshBuild();
  const ids = values.rows?.split(',');
  const unknown = ids?.find((id) => !allRows.some((row) => row.id === id));
  if (unknown !== undefined) throw new Error(`there is no row ${unknown}`);
  return {
    ...values,
    rows: allRows.filter(({ id }) => ids?.includes(id) ?? true),
    candidates: values.candidates?.split(',').filter((name) => name !== ''),
    seconds: atLeast(0.1, 'seconds', values.seconds),
    warmup: atLeast(0, 'warmup', values.warmup),
    reps: atLeast(1, 'reps', values.reps),
    quiet: atLeast(0, 'quiet', values.quiet),
    retries: atLeast(0, 'retries', values.retries),
  };
}

/**
 * The number that an option was given.
 *
 * @param {number} least
 * @param {string} name
 * @param {string} text
 */
export function atLeast(least, name, text) {
  const value = Number(text);
  if (!(value >= least)) throw new Error(`--${name} must be a number from ${least} on; got ${text}`);
  return value;
}
