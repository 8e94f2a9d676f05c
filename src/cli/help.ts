import type { Flags } from './args.ts';

/** Columns that every terminal has. */
const WIDTH = 80;

/** The right column is at least that wide: what is left of it may stand out, on a line of its own. */
const MIN_RIGHT = 48;

/** What `millrace --help` prints. */
export const MAIN_HELP = `Usage: millrace COMMAND [flags]

millrace is a WebSocket server engine for Node.js that uses all cores.

Commands
  serve MODULE    Serve an app over all cores
  bench URL       Put a load on a WebSocket server and measure it
  profile MODULE  Serve an app under load, and draw flamegraphs of its threads

Flags
  -h, --help     Print this, or the help of a command: millrace serve --help
  -v, --version  Print the version

Exit codes
  0  All went well.
  1  The command line is wrong, or the command failed; standard error says why.
  2  bench: there is a result, but with errors, mismatches or lost messages.
`;

/** The lines of a table of flags: name and value to the left, what it does to the right. */
export function flagLines(flags: Flags): string {
  const rows = Object.entries(flags).map(([name, { short, value, help }]): [string, string] => {
    const start = short === undefined ? '' : `-${short}, `;
    return [`${start}--${name}${value === undefined ? '' : ` ${value}`}`, help];
  });
  return columns(rows);
}

/** Two columns, the second one wrapped. */
export function columns(rows: readonly (readonly [left: string, right: string])[]): string {
  const longest = Math.max(...rows.map(([left]) => left.length));
  const indent = Math.min(2 + longest + 2, WIDTH - MIN_RIGHT);
  const next = `\n${' '.repeat(indent)}`;
  return rows
    .map(([left, right]) => {
      const start = `  ${left}`;
      const first = start.length + 2 > indent ? start + next : start.padEnd(indent);
      return first + wrap(right, WIDTH - indent).join(next);
    })
    .join('\n');
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
