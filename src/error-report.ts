import { inspect, types } from 'node:util';
import { printable } from './printable.ts';

/** Characters of an error's message that are shown: it may hold what a peer sent. */
const MAX_MESSAGE = 300;
/** Frames of a stack that are shown. */
const MAX_FRAMES = 10;
/** Causes of causes that are shown. */
const MAX_CAUSES = 3;

/** Ms in which reports of one place are printed once and then counted. */
const WINDOW = 10_000;
/** Places that are told apart in that time. */
const MAX_PLACES = 20;

const FRAME = '    at ';

/** An error as text: its name and message, printable and on one line, and the frames of its stack below. */
export function errorText(error: unknown): string {
  try {
    return describe(error, 0);
  } catch {
    // It may be anything, with getters and an inspection of its own.
    return `something that cannot be printed (${typeof error})`;
  }
}

/** The first line of it. */
export function errorLine(error: unknown): string {
  try {
    return types.isNativeError(error) ? headOf(error) : valueText(error);
  } catch {
    return `something that cannot be printed (${typeof error})`;
  }
}

/** What an error says, as it is; of anything else that was thrown what `errorLine` shows. */
export function messageOf(error: unknown): string {
  try {
    if (typeof error === 'string') return error;
    if (error instanceof Error && typeof error.message === 'string') return error.message;
  } catch {
    // It may be anything.
  }
  return errorLine(error);
}

function describe(error: unknown, depth: number): string {
  if (!types.isNativeError(error)) return valueText(error);
  const lines = [headOf(error), ...framesOf(error).map((frame) => printable(frame))];
  if (error.cause !== undefined && depth < MAX_CAUSES) {
    lines.push(`  [cause] ${describe(error.cause, depth + 1)}`);
  }
  const { errors } = error as AggregateError;
  if (Array.isArray(errors) && errors.length > 0 && depth < MAX_CAUSES) {
    lines.push(`  [1 of ${errors.length} errors] ${describe(errors[0], depth + 1)}`);
  }
  return lines.join('\n');
}

function headOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  const message = textOf(error.message);
  const suffix = typeof code === 'string' && !message.includes(code) ? ` (${printable(code, 50)})` : '';
  return `${printable(textOf(error.name), 50)}: ${printable(message, MAX_MESSAGE)}${suffix}`;
}

/** Whoever makes an error may give its properties any value. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : valueText(value);
}

/** The frames alone: a stack begins with the message, which may hold lines that look like frames. */
function framesOf(error: Error): string[] {
  const { stack } = error;
  if (typeof stack !== 'string') return [];
  const message = textOf(error.message);
  const at = stack.indexOf(message);
  const lines = stack.slice(at < 0 ? 0 : at + message.length).split('\n', 200);
  const frames = lines.filter((line) => line.startsWith(FRAME));
  const rest = frames.length - MAX_FRAMES;
  return rest > 0 ? [...frames.slice(0, MAX_FRAMES), `${FRAME}… ${rest} more`] : frames;
}

function valueText(value: unknown): string {
  const text = inspect(value, {
    depth: 2,
    maxArrayLength: 20,
    maxStringLength: MAX_MESSAGE,
    breakLength: Number.POSITIVE_INFINITY,
  });
  return printable(text, MAX_MESSAGE);
}

/** What was printed in this window: how often each place has failed since. */
const places = new Map<string, number>();
/** Failures of further places. */
let others = 0;
let timer: NodeJS.Timeout | null = null;
let isFlushedAtExit = false;

/**
 * Prints to standard error that something of the user's failed. The first failure of a place in 10 seconds is printed
 * whole, further ones are counted and told when the time is over: peers can make handlers fail at any rate. Never throws.
 *
 * @param what what failed, such as "a handler of ws('/')"
 */
export function reportError(what: string, error: unknown): void {
  const subject = printable(what);
  const place = places.size < MAX_PLACES || others === 0 ? placeOf(subject, error) : '';
  const count = places.get(place);
  if (count !== undefined) {
    places.set(place, count + 1);
  } else if (places.size >= MAX_PLACES) {
    others++;
  } else {
    places.set(place, 0);
    say(`${subject} threw: ${errorText(error)}`);
  }
  if (timer === null) {
    timer = setTimeout(flushReports, WINDOW);
    timer.unref();
  }
  if (isFlushedAtExit) return;
  isFlushedAtExit = true;
  process.once('exit', flushReports);
}

/** Ends the window: tells what was counted, and forgets it. It is called when the thread ends, too. */
export function flushReports(): void {
  if (timer !== null) clearTimeout(timer);
  timer = null;
  for (const [place, count] of places) if (count > 0) say(`${place}: ${count} more like it`);
  if (others > 0) say(`${others} more errors, of other places`);
  places.clear();
  others = 0;
}

/** What failed, with which kind of error, in which line of code. The message is left out: peers choose it. */
function placeOf(what: string, error: unknown): string {
  try {
    if (!types.isNativeError(error)) return `${what} threw a ${typeof error}`;
    const frames = framesOf(error);
    // JSON.parse and its like have no place.
    const frame = frames.find((line) => line.includes('/') && !line.includes('(node:')) ?? frames[0] ?? '';
    return `${what} threw ${printable(textOf(error.name), 50)} ${printable(frame.trim())}`.trimEnd();
  } catch {
    return `${what} threw`;
  }
}

function say(text: string): void {
  console.error(`millrace: ${text}`);
}
