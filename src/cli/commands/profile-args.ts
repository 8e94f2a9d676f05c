import { BENCH_LIMITS, type BenchOptions, SCENARIOS } from '../../load/index.ts';
import { type Flag, type Flags, parseFlags, parseInteger, seeHelp, UsageError } from '../args.ts';
import { columns, flagLines } from '../help.ts';
import { SERVE_NUMBERS } from './serve-args.ts';

export const COMMAND = 'millrace profile';

/** Numbers of the load, as in `millrace bench`; the rest of the flags' rows. */
const LOAD_FLAGS = {
  connections: { short: 'c', value: 'N', help: 'Connections of the load.' },
  pipelining: { short: 'p', value: 'N', help: 'Messages in flight on each connection.' },
  size: { short: 's', value: 'BYTES', help: 'Size of a message.' },
  workers: { short: 'w', value: 'N', help: 'Client threads.' },
} as const;

export const PROFILE_NUMBERS = {
  duration: { default: 10, min: 1, max: 300, unit: 'seconds' },
  warmup: { default: 2, min: 1, max: 3600, zero: 'none', unit: 'seconds' },
  interval: { default: 1000, min: 50, max: 100_000, unit: 'microseconds' },
} as const;

const FLAGS: Flags = {
  ...Object.fromEntries(
    Object.entries(LOAD_FLAGS).map(([name, flag]): [string, Flag] => [
      name,
      { ...flag, help: `${flag.help} Default ${BENCH_LIMITS[name as keyof typeof LOAD_FLAGS].default}.` },
    ]),
  ),
  message: { short: 'm', value: 'TEXT', help: 'The message to send, as text.' },
  duration: {
    short: 'd',
    value: 'S',
    help: `Seconds to record. Default ${PROFILE_NUMBERS.duration.default}.`,
  },
  warmup: {
    short: 'W',
    value: 'S',
    help: `Seconds of load before that. Default ${PROFILE_NUMBERS.warmup.default}.`,
  },
  scenario: { value: 'NAME', help: `What the connections do: ${SCENARIOS.join(', ')}. Default echo.` },
  path: { value: 'PATH', help: 'Path that the connections ask for. Default /.' },
  shards: { value: 'N', help: 'Shard threads. Default: one for each core.' },
  interval: {
    value: 'US',
    help: `Microseconds between two samples. Default ${PROFILE_NUMBERS.interval.default}.`,
  },
  output: { short: 'o', value: 'DIR', help: 'Folder for the profiles. Default millrace-profile.' },
  raw: { help: 'Write profiles without flamegraphs; 0x is not needed then.' },
  open: { help: 'Open the page in the browser.' },
  help: { short: 'h', help: 'Print this.' },
};

export function profileHelp(): string {
  return `Usage: ${COMMAND} MODULE [flags]

Serves an app on a free port, puts a load on it, and records a CPU profile of each of its threads. 0x draws a
flamegraph of each: npm install --save-dev 0x

  ${COMMAND} ./echo.js
  ${COMMAND} ./chat.js --path /chat --scenario idle -c 1000 -d 30 -o profiles --open

Flags
${flagLines(FLAGS)}

The app must do what the scenario expects, see 'millrace bench --help'. To profile a server that runs already, send
'millrace serve' the signal SIGUSR2, or call server.profile() in your program.

Signals
${columns([['SIGINT, SIGTERM', 'End now, without profiles.']])}

Exit codes
  0  The profiles are written.
  1  The command line is wrong, the app or the load could not be started, 0x failed, or a thread has no profile
     (it ended meanwhile, or hangs); those of the others are written.
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
  const { values, positionals } = parseFlags(COMMAND, FLAGS, argv);
  if (values.has('help')) return null;
  const [module, extra] = positionals;
  if (module === undefined) throw usage(`name the app module: ${COMMAND} ./app.js`);
  if (extra !== undefined)
    throw usage(`one app module is profiled at a time; got '${module}' and '${extra}'`);
  const number = (flag: string, limit: Parameters<typeof parseInteger>[3]): number | undefined => {
    const text = values.get(flag);
    return text === undefined ? undefined : parseInteger(COMMAND, flag, text, limit);
  };
  const load: { -readonly [name in keyof ProfileArgs['load']]: ProfileArgs['load'][name] } = {
    warmup: number('warmup', PROFILE_NUMBERS.warmup) ?? PROFILE_NUMBERS.warmup.default,
  };
  for (const name of Object.keys(LOAD_FLAGS) as (keyof typeof LOAD_FLAGS)[]) {
    const value = number(name, BENCH_LIMITS[name]);
    if (value !== undefined) load[name] = value;
  }
  const message = values.get('message');
  if (message !== undefined && values.has('size')) throw usage('--message and --size exclude each other');
  if (message !== undefined) load.message = message;
  const scenario = values.get('scenario');
  if (scenario !== undefined) load.scenario = scenarioOf(scenario);
  const path = values.get('path') ?? '/';
  if (!path.startsWith('/')) throw usage(`--path must begin with a slash; got '${path}'`);
  return {
    module,
    shards: number('shards', SERVE_NUMBERS.shards),
    path,
    load,
    duration: number('duration', PROFILE_NUMBERS.duration) ?? PROFILE_NUMBERS.duration.default,
    interval: number('interval', PROFILE_NUMBERS.interval) ?? PROFILE_NUMBERS.interval.default,
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
