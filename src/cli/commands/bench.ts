import { writeFileSync } from 'node:fs';
import { MillraceError } from '../../errors.ts';
import { BENCH_LIMITS, type BenchResult, bench, benchReport } from '../../load/index.ts';
import { withoutPassword } from '../../printable.ts';
import { UsageError } from '../args.ts';
import { plural } from '../banner.ts';
import { BenchProgressBar } from '../bench-progress.ts';
import { benchTables } from '../bench-tables.ts';
import { Signals } from '../signals.ts';
import { styleOf } from '../terminal.ts';
import { assertWritable } from '../writable.ts';
import { type BenchArgs, benchHelp, inFlags, parseBenchArgs, usage } from './bench-args.ts';

/** There is a result, but something in it went wrong. */
const WITH_PROBLEMS = 2;

/** Runs `millrace bench`; resolves with the exit code. */
export async function benchCommand(argv: readonly string[]): Promise<number> {
  const args = parseBenchArgs(argv);
  if (args === null) {
    process.stdout.write(benchHelp());
    return 0;
  }
  if (args.html !== '') checkWritable(args.html);
  const signals = new Signals();
  const abort = new AbortController();
  void signals.first.then(() => {
    abort.abort();
  });
  void signals.second.then(() => process.exit(1));
  const bar = new BenchProgressBar(process.stderr, args.progress ? announcement(args) : null);
  try {
    const result = await bench({
      ...args.options,
      signal: abort.signal,
      onProgress: (progress) => {
        bar.update(progress);
      },
    });
    bar.end();
    show(result, args);
    return hasProblems(result) ? WITH_PROBLEMS : 0;
  } catch (error) {
    bar.end();
    if (!(error instanceof MillraceError) || error.code === 'MILLRACE_BENCH_FAILED') throw error;
    throw usage(inFlags(error.message));
  }
}

/** Better now than when everything is measured. */
function checkWritable(path: string): void {
  try {
    assertWritable(path);
  } catch (error) {
    throw cannotWrite(path, error, 'Name a file in a folder that exists.');
  }
}

function writeReport(path: string, result: BenchResult): void {
  try {
    writeFileSync(path, benchReport(result));
  } catch (error) {
    throw cannotWrite(path, error, 'Make room, or name a file elsewhere.');
  }
}

function cannotWrite(path: string, error: unknown, remedy: string): UsageError {
  return new UsageError(`--html: cannot write ${path}: ${(error as Error).message}`, remedy);
}

function announcement({ options }: BenchArgs): string {
  const { url, scenario = 'echo', connections = BENCH_LIMITS.connections.default, amount = 0 } = options;
  const { duration = BENCH_LIMITS.duration.default, pipelining = 1, workers = 1 } = options;
  const length =
    amount > 0 ? plural(amount, scenario === 'connect' ? 'handshake' : 'message') : `${duration} s`;
  const inFlight = pipelining > 1 ? `, ${plural(pipelining, 'message')} in flight on each` : '';
  const threads = workers > 1 ? `, ${plural(workers, 'client thread')}` : '';
  return `Running ${length} of ${scenario} @ ${withoutPassword(String(url))}\n${plural(connections, 'connection')}${inFlight}${threads}`;
}

function show(result: BenchResult, { json, html, latency }: BenchArgs): void {
  const { perConnection: _, ...printed } = result;
  process.stdout.write(
    json ? `${JSON.stringify(printed)}\n` : benchTables(result, styleOf(process.stdout), latency),
  );
  // Last: what was measured is printed even if the report cannot be written.
  if (html !== '') writeReport(html, result);
}

function hasProblems({ errors, mismatches, lost }: BenchResult): boolean {
  return errors + mismatches + lost > 0;
}
