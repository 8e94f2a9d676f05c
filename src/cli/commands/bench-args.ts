import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { type BenchOptions, SCENARIOS } from '../../load/index.ts';
import { BENCH_LIMITS, BENCH_OPTIONS } from '../../options/bench-options.ts';
import { nearest } from '../../options/nearest-name.ts';
import { flagOf, type LimitsOf } from '../../options/option.ts';
import { type Flags, type ParsedArgs, parseFlags, seeHelp, UsageError } from '../args.ts';
import { columns, flagLines } from '../help.ts';
import { limitFlags, optionFlag, readLimits } from '../option-flags.ts';

export const COMMAND = 'millrace bench';

const { connections, pipelining, duration, amount, workers, size, ...limits } = BENCH_LIMITS;
const { connectionRate, overallRate, timeout, warmup, ...ofScenarios } = limits;

/** Options of the scenario stomp that are texts, and their placeholders. */
const STOMP_TEXTS = { ackMode: 'MODE', login: 'NAME', passcode: 'TEXT', virtualHost: 'NAME' } as const;

const FLAGS: Flags = {
  ...limitFlags({ connections, pipelining, duration, amount, workers, size }),
  message: { short: 'm', value: 'TEXT', help: 'The message to send.' },
  input: { short: 'i', value: 'FILE', help: 'A file that holds the message to send.' },
  text: { help: 'Send text messages. Default for -m, and for -i when the file is UTF-8.' },
  binary: { help: 'Send binary messages. Default otherwise.' },
  ...limitFlags({ connectionRate, overallRate }),
  ...optionFlag('ignoreCoordinatedOmission', BENCH_OPTIONS.ignoreCoordinatedOmission),
  ...optionFlag(
    'protocols',
    BENCH_OPTIONS.protocols,
    'NAME',
    'Subprotocol to ask for; may be repeated, the preferred one first.',
  ),
  ...optionFlag(
    'headers',
    BENCH_OPTIONS.headers,
    'NAME=VALUE',
    'A header of the handshake; may be repeated.',
  ),
  ...optionFlag('deflate', BENCH_OPTIONS.deflate),
  ...optionFlag('insecure', BENCH_OPTIONS.insecure),
  ...optionFlag(
    'scenario',
    BENCH_OPTIONS.scenario,
    'NAME',
    `What the connections do, see below: ${SCENARIOS.join(', ')}. Default echo.`,
  ),
  ...limitFlags(ofScenarios),
  ...Object.assign(
    {},
    ...Object.entries(STOMP_TEXTS).map(([name, value]) =>
      optionFlag(name, BENCH_OPTIONS[name as keyof typeof STOMP_TEXTS], value),
    ),
  ),
  ...optionFlag('receipts', BENCH_OPTIONS.receipts),
  ...limitFlags({ timeout, warmup }),
  json: { short: 'j', help: 'Print the result as one line of JSON, and nothing else, to standard output.' },
  html: { value: 'FILE', help: 'Write a report with charts to a file, which opens without a network.' },
  latency: { short: 'l', help: 'Print all percentiles of the latency.' },
  'no-progress': { short: 'n', help: 'Show no progress bar.' },
  ...optionFlag('title', BENCH_OPTIONS.title, 'TEXT'),
  help: { short: 'h', help: 'Print this.' },
};

export function benchHelp(): string {
  return `Usage: ${COMMAND} URL [flags]

Puts a load on a WebSocket server and measures it. URL begins with ws:// or
wss://.

  ${COMMAND} ws://localhost:9001
  ${COMMAND} ws://localhost:9001 -c 100 -p 10 -d 10 --html report.html
  ${COMMAND} wss://example.com/chat --scenario connect -c 50 -T chat

Flags
${flagLines(FLAGS)}

Scenarios
${columns([
  ['echo', 'The server sends every message back. Each reply is compared byte by byte.'],
  [
    'broadcast',
    'The server sends every message to all connections (the sender may get it or not). Each connection must get every message once, and those of a publisher in order.',
  ],
  [
    'connect',
    'Opens connections and closes them at once; -c of them at a time. Latency is that of the handshake.',
  ],
  ['idle', 'Holds connections open. With --pid: what each of them costs the server in memory.'],
  ['slow', 'Like echo, but some connections do not read: they must not disturb the others.'],
  [
    'stomp',
    'The server is a STOMP broker. Every subscriber of a topic must get every message once, and one consumer of a queue, which acknowledges it.',
  ],
])}

The client is measured too: when one of its threads is busy all the time, the
result says so.

Signals
${columns([['SIGINT, SIGTERM', 'End now, and print what was measured until then. A second one ends without.']])}

Exit codes
  0  There is a result, and nothing went wrong.
  1  The command line is wrong, or the server cannot be reached.
  2  There is a result, but with errors, mismatches or lost messages.
`;
}

export interface BenchArgs {
  readonly options: BenchOptions;
  readonly json: boolean;
  /** '' for none. */
  readonly html: string;
  /** Print all percentiles. */
  readonly latency: boolean;
  readonly progress: boolean;
}

/**
 * Reads the command line of `millrace bench`; null: help is asked for.
 *
 * @throws UsageError
 */
export function parseBenchArgs(argv: readonly string[]): BenchArgs | null {
  const args = parseFlags(COMMAND, FLAGS, argv);
  const { values, positionals } = args;
  if (values.has('help')) return null;
  const [url, extra] = positionals;
  if (url === undefined) throw usage(`name the server: ${COMMAND} ws://localhost:9001`);
  if (extra !== undefined) throw usage(`one server is measured at a time; got '${url}' and '${extra}'`);
  const options: BenchOptions = {
    url,
    ...numbersOf(args),
    ...messageOf(args),
    ...handshakeOf(args),
    ...stompOf(args),
  };
  const scenario = values.get('scenario');
  if (scenario !== undefined) options.scenario = scenarioOf(scenario);
  const title = values.get('title');
  if (title !== undefined) options.title = title;
  if (values.has('ignore-coordinated-omission')) options.ignoreCoordinatedOmission = true;
  return {
    options,
    json: values.has('json'),
    html: values.get('html') ?? '',
    latency: values.has('latency'),
    progress: !values.has('no-progress') && !values.has('json'),
  };
}

function numbersOf(args: ParsedArgs): Partial<LimitsOf<typeof BENCH_LIMITS>> {
  const numbers = readLimits(COMMAND, args, BENCH_LIMITS);
  if (numbers.amount !== undefined && numbers.duration !== undefined) {
    throw usage('--amount and --duration exclude each other: a run ends by one of them');
  }
  return numbers;
}

function messageOf({ values }: ParsedArgs): Pick<BenchOptions, 'message' | 'binary'> {
  const sources = ['size', 'message', 'input'].filter((name) => values.has(name));
  if (sources.length > 1) {
    throw usage(`--${sources[0]} and --${sources[1]} exclude each other: there is one message`);
  }
  if (values.has('text') && values.has('binary')) throw usage('--text and --binary exclude each other');
  const asked = values.has('binary') ? true : values.has('text') ? false : undefined;
  const text = values.get('message');
  if (text !== undefined) return { message: text, binary: asked ?? false };
  const file = values.get('input');
  if (file === undefined) return asked === undefined ? {} : { binary: asked };
  const message = readInput(file);
  if (asked === false && !isUtf8(message)) {
    throw new UsageError(`--text: ${file} is not UTF-8`, 'Send it with --binary.');
  }
  return { message, binary: asked ?? !isUtf8(message) };
}

function readInput(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw usage(`--input: cannot read ${file}: ${(error as Error).message}`);
  }
}

function handshakeOf({
  values,
  repeated,
}: ParsedArgs): Pick<BenchOptions, 'protocols' | 'headers' | 'insecure' | 'deflate'> {
  const headers: Record<string, string> = {};
  for (const text of repeated.get('header') ?? []) {
    const [, name, value] = /^([^=:\s]+)\s*[=:]\s*(.*)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined) {
      throw usage(`--header must be NAME=VALUE, such as -H Origin=https://example.com; got '${text}'`);
    }
    headers[name] = value;
  }
  const protocols = repeated
    .get('subprotocol')
    ?.flatMap((names) => names.split(',').map((name) => name.trim()));
  return {
    ...(protocols === undefined ? {} : { protocols }),
    headers,
    insecure: values.has('insecure'),
    deflate: values.has('deflate'),
  };
}

function stompOf({ values }: ParsedArgs): Partial<BenchOptions> {
  const texts = Object.keys(STOMP_TEXTS).flatMap((name) => {
    const text = values.get(flagOf(name));
    return text === undefined ? [] : [[name, text]];
  });
  return { ...Object.fromEntries(texts), ...(values.has('receipts') ? { receipts: true } : {}) };
}

function scenarioOf(text: string): NonNullable<BenchOptions['scenario']> {
  const known = SCENARIOS.find((name) => name === text);
  if (known !== undefined) return known;
  const near = nearest(text, SCENARIOS);
  const question = near === undefined ? '' : `; did you mean ${near}?`;
  throw usage(
    `--scenario must be ${SCENARIOS.slice(0, -1).join(', ')} or ${SCENARIOS.at(-1)}; got '${text}'${question}`,
  );
}

/** The message of an error of `bench()`, with its options named as flags. */
export function inFlags(message: string): string {
  const names: ReadonlySet<string> = new Set([
    ...Object.keys(BENCH_LIMITS),
    'message',
    'ignoreCoordinatedOmission',
    'scenario',
    ...Object.keys(STOMP_TEXTS),
  ]);
  return message
    .replace(/^bench: /, '')
    .replace(/'([a-zA-Z]+)'/g, (quoted, name: string) => (names.has(name) ? `--${flagOf(name)}` : quoted));
}

export function usage(message: string): UsageError {
  return new UsageError(message, seeHelp(COMMAND));
}
