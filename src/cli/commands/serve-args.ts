import { readFileSync } from 'node:fs';
import type { ServeOptions } from '../../app/serve-options.ts';
import type { CloseOptions } from '../../app/server.ts';
import { type Limit, SERVER_LIMITS, type ServerLimits } from '../../options/server-limits.ts';
import { type Flag, type Flags, parseFlags, parseInteger, seeHelp, UsageError } from '../args.ts';
import { columns, flagLines } from '../help.ts';

export const COMMAND = 'millrace serve';

/** Numbers that are no limits of the server. */
export const SERVE_NUMBERS = {
  port: { default: 9001, min: 1, max: 65_535, zero: 'any free port', unit: 'port' },
  shards: { min: 1, max: 63, unit: 'threads' },
  drain: { default: 10_000, min: 1, max: 3_600_000, zero: 'no time at all', unit: 'ms' },
  grace: { default: 1000, min: 1, max: 3_600_000, zero: 'no time at all', unit: 'ms' },
} as const;

/** A flag for each limit of the server: its name there, and the rest of the flag's row. */
const LIMIT_FLAGS: Readonly<Record<keyof ServerLimits, Flag>> = {
  maxConnections: { value: 'N', help: 'Connections at a time; more are answered 503.' },
  maxConnectionsPerAddress: {
    value: 'N',
    help: 'Connections at a time from one address (IPv6: one /64); more are answered 429, or cut off.',
  },
  handshakeTimeout: { value: 'S', help: 'Seconds a request head may take.' },
  keepAliveTimeout: { value: 'S', help: 'Seconds a connection may wait for the next request.' },
  bodyTimeout: { value: 'S', help: 'Seconds in which the next 16 KiB of a request body must arrive.' },
  maxBodySize: { value: 'BYTES', help: 'Size of a request body; more is answered 413.' },
  writeTimeout: { value: 'S', help: 'Seconds in which the next 16 KiB of a response must be taken.' },
  maxHandshakes: { value: 'N', help: 'TLS handshakes at a time in each shard; more end the oldest.' },
  maxHeadSize: { value: 'BYTES', help: 'Size of a request head; more is answered 431 or 414.' },
  maxHeaders: { value: 'N', help: 'Header lines of a request; more are answered 431.' },
  maxHeapSize: { value: 'MIB', help: 'Heap of each shard.' },
  heapWatermark: {
    value: 'PERCENT',
    help: 'A shard is replaced when a garbage collection leaves its heap fuller.',
  },
  backlog: { value: 'N', help: 'Connections the kernel holds until they are accepted.' },
  loadTimeout: { value: 'S', help: 'Seconds the app module may take to load in each thread.' },
  maxTopics: { value: 'N', help: 'Topics with subscribers in each shard; subscribing to more fails.' },
  maxTopicLength: { value: 'BYTES', help: 'Length of a topic name; subscribing to a longer one fails.' },
  ringSize: { value: 'BYTES', help: 'Size of the ring from each thread to each other one.' },
  maxOverflow: {
    value: 'BYTES',
    help: 'Publishes that may wait for a shard whose ring is full; more are dropped for it.',
  },
};

const FLAGS: Flags = {
  port: { value: 'N', help: `Port to listen on; 0: any free one. Default ${SERVE_NUMBERS.port.default}.` },
  host: { value: 'ADDRESS', help: 'Address or name to listen on. Default ::, all of IPv6 and IPv4.' },
  shards: {
    value: 'N',
    help: `Shard threads, 1 to ${SERVE_NUMBERS.shards.max}. Default: one for each core.`,
  },
  balance: {
    value: 'HOW',
    help:
      'How connections are spread over the shards: least-connections (default), round-robin, or to the same ' +
      'shard by sticky:ip, sticky:url, sticky:header=NAME or sticky:cookie=NAME.',
  },
  handoff: {
    value: 'HOW',
    help: 'How sockets reach the shards: channel, transfer (Node.js 24.20, 26.6 and later) or auto (default).',
  },
  'allowed-hosts': {
    value: 'NAMES',
    help:
      'Names that requests may call the server by, such as example.com,.example.org (and all below it); others are ' +
      'answered 403. IP addresses and localhost are always allowed. Default: any name.',
  },
  'behind-tls': {
    help: "A proxy in front ends TLS: 'same-origin' takes https pages alone.",
  },
  cert: {
    value: 'FILE',
    help: 'Serve TLS with this certificate (PEM), with the intermediate ones behind it.',
  },
  key: { value: 'FILE', help: 'Private key of the certificate (PEM).' },
  'passphrase-file': { value: 'FILE', help: 'File whose first line is the passphrase of the private key.' },
  ca: {
    value: 'FILE',
    help: 'Ask clients for certificates, and refuse those that these authorities (PEM) do not vouch for.',
  },
  ...Object.fromEntries(
    Object.entries(LIMIT_FLAGS).map(([name, flag]) => [
      flagOf(name),
      { ...flag, help: `${flag.help} ${defaultOf(SERVER_LIMITS[name as keyof ServerLimits])}` },
    ]),
  ),
  drain: {
    value: 'MS',
    help: `Milliseconds that clients get to leave when the server ends. ${defaultOf(SERVE_NUMBERS.drain)}`,
  },
  grace: {
    value: 'MS',
    help:
      'Milliseconds of these in which an idle HTTP connection may still send a request; at most half of them. ' +
      defaultOf(SERVE_NUMBERS.grace),
  },
  help: { short: 'h', help: 'Print this.' },
};

/** maxHeadSize: max-head-size */
function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function defaultOf(limit: Limit): string {
  const meaning = limit.default === 0 && limit.zero !== undefined ? `: ${limit.zero}` : '';
  return `Default ${limit.default}${meaning}.`;
}

export function serveHelp(): string {
  return `Usage: ${COMMAND} MODULE [flags]

Serves an app over all cores. MODULE's default export, (app, shard) => …, is called once in each
shard thread; it adds the routes.

  ${COMMAND} ./chat.js
  ${COMMAND} ./chat.js --port 8080 --shards 4 --balance sticky:ip

Flags
${flagLines(FLAGS)}

Signals
${columns([
  ['SIGINT, SIGTERM', 'Drain: no new connections, clients get a Close frame with 1001 and time to leave.'],
  ['SIGHUP', 'With --cert: read the files again, for new connections. Bad ones are reported, and not used.'],
  ['', 'When it comes because the terminal was closed: drain.'],
  ['a second one', 'End at once: the connections that are left are cut off.'],
  [
    'SIGUSR2',
    'Record a CPU profile of each thread for 10 s, and write it, with flamegraphs, to a new folder.',
  ],
])}

Exit codes
  0  The server was ended by a signal.
  1  The command line is wrong, the server could not start, or a second signal ended it.
`;
}

export interface ServeArgs {
  readonly options: Omit<ServeOptions, 'app' | 'data' | 'onCrash'>;
  /** The app module as it was written. */
  readonly module: string;
  /** How the server ends. */
  readonly close: Required<CloseOptions>;
}

/**
 * Reads the command line of `millrace serve`; null: help is asked for.
 *
 * @throws UsageError
 */
export function parseServeArgs(argv: readonly string[]): ServeArgs | null {
  const { values, positionals } = parseFlags(COMMAND, FLAGS, argv);
  if (values.has('help')) return null;
  const [module, extra] = positionals;
  if (module === undefined)
    throw new UsageError(`name the app module: ${COMMAND} ./app.js`, seeHelp(COMMAND));
  if (extra !== undefined) {
    throw new UsageError(
      `one app module is served at a time; got '${module}' and '${extra}'`,
      seeHelp(COMMAND),
    );
  }
  const number = (flag: string, limit: Omit<Limit, 'default'>): number | undefined => {
    const text = values.get(flag);
    return text === undefined ? undefined : parseInteger(COMMAND, flag, text, limit);
  };
  const shards = number('shards', SERVE_NUMBERS.shards);
  const host = values.get('host');
  const balance = values.get('balance');
  const handoff = values.get('handoff');
  const tls = parseTls(values);
  const allowedHosts = values.get('allowed-hosts');
  const options: ServeArgs['options'] = {
    port: number('port', SERVE_NUMBERS.port) ?? SERVE_NUMBERS.port.default,
    ...(host === undefined ? {} : { host }),
    ...(shards === undefined ? {} : { shards }),
    ...(balance === undefined ? {} : { balance: parseBalance(balance) }),
    ...(handoff === undefined ? {} : { handoff: parseHandoff(handoff) }),
    ...(allowedHosts === undefined
      ? {}
      : { allowedHosts: allowedHosts.split(',').map((name) => name.trim()) }),
    ...(values.has('behind-tls') ? { behindTls: true } : {}),
    ...(tls === undefined ? {} : { tls }),
  };
  for (const name of Object.keys(LIMIT_FLAGS) as (keyof ServerLimits)[]) {
    const value = number(flagOf(name), SERVER_LIMITS[name]);
    if (value !== undefined) options[name] = value;
  }
  const close = {
    drain: number('drain', SERVE_NUMBERS.drain) ?? SERVE_NUMBERS.drain.default,
    grace: number('grace', SERVE_NUMBERS.grace) ?? SERVE_NUMBERS.grace.default,
  };
  return { options, module, close };
}

function parseTls(values: ReadonlyMap<string, string>): ServeOptions['tls'] {
  const [cert, key, ca] = [values.get('cert'), values.get('key'), values.get('ca')];
  const passphraseFile = values.get('passphrase-file');
  if (cert === undefined || key === undefined) {
    const given = ['cert', 'key', 'ca', 'passphrase-file'].filter((flag) => values.has(flag));
    if (given.length === 0) return undefined;
    throw new UsageError(
      `--${given.join(' and --')} without --${cert === undefined ? 'cert' : 'key'}`,
      seeHelp(COMMAND),
    );
  }
  return {
    cert_file_name: cert,
    key_file_name: key,
    ...(ca === undefined ? {} : { ca_file_name: ca }),
    ...(passphraseFile === undefined ? {} : { passphrase: firstLine(passphraseFile) }),
  };
}

function firstLine(file: string): string {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0] ?? '';
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    // Not the name: who mistakes the flag writes the passphrase itself there.
    throw new UsageError(
      `--passphrase-file: there is no file that can be read (${code}); its value is the path of a file, not the passphrase`,
      seeHelp(COMMAND),
    );
  }
}

function parseBalance(text: string): NonNullable<ServeOptions['balance']> {
  if (text === 'least-connections' || text === 'round-robin') return text;
  if (text === 'sticky:ip') return { sticky: 'ip' };
  if (text === 'sticky:url') return { sticky: 'url' };
  const [, kind, name] = /^sticky:(header|cookie)=(.+)$/.exec(text) ?? [];
  if (name !== undefined) return { sticky: kind === 'header' ? { header: name } : { cookie: name } };
  const rule =
    'least-connections, round-robin, sticky:ip, sticky:url, sticky:header=NAME or sticky:cookie=NAME';
  throw new UsageError(`--balance must be ${rule}; got '${text}'`, seeHelp(COMMAND));
}

function parseHandoff(text: string): NonNullable<ServeOptions['handoff']> {
  if (text === 'auto' || text === 'channel' || text === 'transfer') return text;
  throw new UsageError(`--handoff must be auto, channel or transfer; got '${text}'`, seeHelp(COMMAND));
}
