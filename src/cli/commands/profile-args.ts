import { type BenchOptions, SCENARIOS } from '../../load/index.ts';
import { BENCH_LIMITS } from '../../options/bench-options.ts';
import { PROFILE_LIMITS, SERVE_OPTIONS, SHARD_RANGE } from '../../options/server-options.ts';
import { type Flags, parseFlags, parseInteger, seeHelp, UsageError } from '../args.ts';
import { columns, flagLines } from '../help.ts';
import { defaultsOf, limitFlags, optionFlag, readLimits } from '../option-flags.ts';

export const COMMAND = 'millrace profile';

/** Numbers of the load, as in `millrace bench`. */
const LOAD_LIMITS = {
  connections: BENCH_LIMITS.connections,
  pipelining: BENCH_LIMITS.pipelining,
  size: BENCH_LIMITS.size,
  workers: BENCH_LIMITS.workers,
} as const;

const WARMUP = { warmup: { ...BENCH_LIMITS.warmup, default: 2 } } as const;

/** Numbers of the recording. */
const RECORDING_LIMITS = {
  duration: { ...BENCH_LIMITS.duration, max: 300, help: 'Seconds to record.' },
  ...PROFILE_LIMITS,
} as const;

const FLAGS: Flags = {
  ...limitFlags(LOAD_LIMITS),
  message: { short: 'm', value: 'TEXT', help: 'The message to send, as text.' },
  ...limitFlags({ ...WARMUP, ...RECORDING_LIMITS }),
  scenario: { value: 'NAME', help: `What the connections do: ${SCENARIOS.join(', ')}. Default echo.` },
  path: { value: 'PATH', help: 'Path that the connections ask for. Default /.' },
  ...optionFlag(
    'shards',
    SERVE_OPTIONS.shards,
    'N',
    `${SERVE_OPTIONS.shards.help} Default: ${SERVE_OPTIONS.shards.default}.`,
  ),
  output: { short: 'o', value: 'DIR', help: 'Folder for the profiles. Default millrace-profile.' },
  raw: { help: 'Write profiles without flamegraphs; 0x is not needed then.' },
  open: { help: 'Open the page in the browser.' },
  help: { short: 'h', help: 'Print this.' },
};

export function profileHelp(): string {
  return `Usage: ${COMMAND} MODULE [flags]

Serves an app on a free port, puts a load on it, and records a CPU profile of
each of its threads. 0x draws a flamegraph of each: npm install --save-dev 0x

  ${COMMAND} ./echo.js
  ${COMMAND} ./chat.js --path /chat --scenario idle -c 1000 -d 30 --open

Flags
${flagLines(FLAGS)}

The app must do what the scenario expects, see 'millrace bench --help'. To
profile a server that runs already, send 'millrace serve' the signal SIGUSR2, or
call server.profile() in your program.

Signals
${columns([['SIGINT, SIGTERM', 'End now, without profiles.']])}

Exit codes
  0  The profiles are written.
  1  The command line is wrong, the app or the load could not be started, 0x
     failed, or a thread has no profile (it ended meanwhile, or hangs); those of
     the others are written.
`;
}

export interface ProfileArgs {
  /** The app module as it was written. */
  readonly module: string;
  readonly shards: number | undefined;
  readonly path: string;
  /** Of `bench()`, without the URL and the time. */
  readonly load: Omit<BenchOptions, 'url' | 'duration' | 'signal' | 'onProgress'>;
  /** Seconds to record. */
  readonly duration: number;
  readonly interval: number;
  readonly output: string;
  readonly isRaw: boolean;
  readonly opens: boolean;
}

/**
 * Reads the command line of `millrace profile`; null: help is asked for.
 *
 * @throws UsageError
 */
export function parseProfileArgs(argv: readonly string[]): ProfileArgs | null {
  const args = parseFlags(COMMAND, FLAGS, argv);
  const { values, positionals } = args;
  if (values.has('help')) return null;
  const [module, extra] = positionals;
  if (module === undefined) throw usage(`name the app module: ${COMMAND} ./app.js`);
  if (extra !== undefined)
    throw usage(`one app module is profiled at a time; got '${module}' and '${extra}'`);
  const load: { -readonly [name in keyof ProfileArgs['load']]: ProfileArgs['load'][name] } = {
    ...defaultsOf(WARMUP),
    ...readLimits(COMMAND, args, { ...LOAD_LIMITS, ...WARMUP }),
  };
  const shards = values.get('shards');
  const message = values.get('message');
  if (message !== undefined && values.has('size')) throw usage('--message and --size exclude each other');
  if (message !== undefined) load.message = message;
  const scenario = values.get('scenario');
  if (scenario !== undefined) load.scenario = scenarioOf(scenario);
  const path = values.get('path') ?? '/';
  if (!path.startsWith('/')) throw usage(`--path must begin with a slash; got '${path}'`);
  return {
    module,
    shards: shards === undefined ? undefined : parseInteger(COMMAND, 'shards', shards, SHARD_RANGE),
    path,
    load,
    ...defaultsOf(RECORDING_LIMITS),
    ...readLimits(COMMAND, args, RECORDING_LIMITS),
    output: values.get('output') ?? 'millrace-profile',
    isRaw: values.has('raw'),
    opens: values.has('open'),
  };
}

function scenarioOf(text: string): NonNullable<BenchOptions['scenario']> {
  const known = SCENARIOS.find((name) => name === text);
  if (known !== undefined) return known;
  throw usage(`--scenario must be one of ${SCENARIOS.join(', ')}; got '${text}'`);
}

function usage(message: string): UsageError {
  return new UsageError(message, seeHelp(COMMAND));
}
