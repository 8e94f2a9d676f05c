import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../error-report.ts';
import { MillraceError } from '../errors.ts';
import { printableLines } from '../printable.ts';
import { UsageError } from './args.ts';

/** The folder of the compiled package (or of its sources), as stacks show it. */
const OWN_FOLDER = new URL('../../', import.meta.url);
const FOREIGN_FRAMES = [
  'node:internal/',
  '(node:',
  '/node_modules/piscina/',
  OWN_FOLDER.href,
  fileURLToPath(OWN_FOLDER),
];

/** Characters of a line that are shown. */
const MAX_LINE = 2000;

/** How long Node.js may take to say where a syntax error is, in ms. */
const LOCATE_TIMEOUT = 5000;

/**
 * What to print about an error that ended a command. The user's mistakes are a line or two. What the user's app
 * module threw is shown with its stack, without the frames that are ours. Anything else is a fault of ours, and
 * shown whole.
 */
export function explain(error: unknown): string {
  // Messages quote what servers, files and the command line say.
  return printableLines(explanation(error), MAX_LINE);
}

function explanation(error: unknown): string {
  if (error instanceof UsageError) return `millrace: ${error.message}\n${error.remedy}`;
  if (!(error instanceof MillraceError)) {
    return `millrace: unexpected error\n${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}`;
  }
  const { code, cause, message } = error;
  const isOfModule = code === 'MILLRACE_BAD_MODULE' || code === 'MILLRACE_SHARD_CRASHED';
  if (!isOfModule || !(cause instanceof Error)) return `millrace: ${message}`;
  const stack = usersStack(cause.stack ?? '');
  // The message ends with the cause's, which the stack begins with.
  return stack === ''
    ? `millrace: ${message}`
    : `millrace: ${withoutEnd(message, `: ${cause.message}`)}\n\n${stack}`;
}

/** The stack without frames of this package, its dependencies and Node.js; '' when nothing else is in it. */
export function usersStack(stack: string): string {
  const lines = stack.split('\n');
  const kept = lines.filter((line) => !isFrame(line) || !FOREIGN_FRAMES.some((part) => line.includes(part)));
  // A syntax error that was found when the modules were linked begins with the place.
  return kept.some(isFrame) || /^file:.*:\d+$/.test(lines[0]!) ? kept.join('\n') : '';
}

function isFrame(line: string): boolean {
  return line.startsWith('    at ');
}

function withoutEnd(text: string, end: string): string {
  return text.endsWith(end) ? text.slice(0, -end.length) : text;
}

/**
 * Node.js tells the place of a syntax error only when it is fatal, and never a thread. So the module is imported
 * once more in a process of its own: none of it runs, for it fails at the same place, before anything runs.
 * Returns '' when there is nothing to tell.
 */
export function locateSyntaxError(error: unknown, module: URL): string {
  const cause = error instanceof MillraceError ? error.cause : undefined;
  const { stack = '' } = cause instanceof Error ? cause : {};
  if (!stack.startsWith('SyntaxError') || usersStack(stack) !== '') return '';
  const { stderr } = spawnSync(
    process.execPath,
    [...process.execArgv, '-e', 'import(process.argv[1])', '--', module.href],
    { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'], timeout: LOCATE_TIMEOUT },
  );
  const lines = (stderr ?? '').split('\n');
  const end = lines.findIndex((line) => line.startsWith('SyntaxError'));
  return end < 0 ? '' : printableLines(lines.slice(0, end + 1).join('\n'), MAX_LINE);
}
