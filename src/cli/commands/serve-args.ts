import { readFileSync } from 'node:fs';
import type { ServeOptions } from '../../app/serve-options.ts';
import type { CloseOptions } from '../../app/server.ts';
import { PORT_RANGE } from '../../options/check-option.ts';
import type { Range } from '../../options/option.ts';
import { SERVE_LIMITS } from '../../options/server-limits.ts';
import {
  CLOSE_LIMITS,
  HOST_OPTIONS,
  SERVE_OPTIONS,
  SHARD_RANGE,
  TLS_OPTIONS,
} from '../../options/server-options.ts';
import { type Flags, parseFlags, parseInteger, seeHelp, UsageError } from '../args.ts';
import { columns, flagLines } from '../help.ts';
import { defaultsOf, limitFlags, optionFlag, readLimits } from '../option-flags.ts';

export const COMMAND = 'millrace serve';

/** Where it listens when it is not told. */
const DEFAULT_PORT = 9001;

const { balance, handoff, host, port, shards } = SERVE_OPTIONS;
const { key_file_name, cert_file_name, ca_file_name, dh_params_file_name, ssl_ciphers } = TLS_OPTIONS;

const FLAGS: Flags = {
  ...optionFlag('port', port, 'N', `${port.help} Default ${DEFAULT_PORT}.`),
  ...optionFlag('host', host, 'ADDRESS', `${host.help} Default ::, all of IPv6 and IPv4.`),
  ...optionFlag('shards', shards, 'N', `${shards.help} Default: ${shards.default}.`),
  ...optionFlag(
    'balance',
    balance,
    'HOW',
    'How connections are spread over the shards: least-connections (default), round-robin, or to the same ' +
      'shard by sticky:ip, sticky:url, sticky:header=NAME or sticky:cookie=NAME.',
  ),
  ...optionFlag('handoff', handoff, 'HOW', `${handoff.help.slice(0, -1)} (default).`),
  ...optionFlag(
    'allowedHosts',
    HOST_OPTIONS.allowedHosts,
    'NAMES',
    'Names that requests may call the server by, such as example.com,.example.org (and all below it); others are ' +
      'answered 403. IP addresses and localhost are always allowed. Default: any name.',
  ),
  ...optionFlag('behindTls', HOST_OPTIONS.behindTls),
  ...optionFlag('cert_file_name', cert_file_name, 'FILE'),
  ...optionFlag('key_file_name', key_file_name, 'FILE'),
  'passphrase-file': { value: 'FILE', help: 'File whose first line is the passphrase of the private key.' },
  ...optionFlag('ca_file_name', ca_file_name, 'FILE'),
  ...optionFlag('ssl_ciphers', ssl_ciphers, 'LIST', `${ssl_ciphers.help} Default: ${ssl_ciphers.default}.`),
  ...optionFlag('dh_params_file_name', dh_params_file_name, 'FILE'),
  ...limitFlags(SERVE_LIMITS),
  ...limitFlags(CLOSE_LIMITS),
  help: { short: 'h', help: 'Print this.' },
};

export function serveHelp(): string {
  return `Usage: ${COMMAND} MODULE [flags]

Serves an app over all cores. MODULE's default export, (app, shard) => …, is
called once in each shard thread; it adds the routes.

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
  1  The command line is wrong, the server could not start, or a second signal
     ended it.
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
  const args = parseFlags(COMMAND, FLAGS, argv);
  const { values, positionals } = args;
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
  const number = (flag: string, range: Range): number | undefined => {
    const text = values.get(flag);
    return text === undefined ? undefined : parseInteger(COMMAND, flag, text, range);
  };
  const shards = number('shards', SHARD_RANGE);
  const host = values.get('host');
  const balance = values.get('balance');
  const handoff = values.get('handoff');
  const tls = parseTls(values);
  const allowedHosts = values.get('allowed-hosts');
  const options: ServeArgs['options'] = {
    port: number('port', PORT_RANGE) ?? DEFAULT_PORT,
    ...(host === undefined ? {} : { host }),
    ...(shards === undefined ? {} : { shards }),
    ...(balance === undefined ? {} : { balance: parseBalance(balance) }),
    ...(handoff === undefined ? {} : { handoff: parseHandoff(handoff) }),
    ...(allowedHosts === undefined
      ? {}
      : { allowedHosts: allowedHosts.split(',').map((name) => name.trim()) }),
    ...(values.has('behind-tls') ? { behindTls: true } : {}),
    ...(tls === undefined ? {} : { tls }),
    ...readLimits(COMMAND, args, SERVE_LIMITS),
  };
  return {
    options,
    module,
    close: { ...defaultsOf(CLOSE_LIMITS), ...readLimits(COMMAND, args, CLOSE_LIMITS) },
  };
}

/** The other flags of TLS, and the options they are. */
const MORE_TLS = {
  ca: 'ca_file_name',
  'passphrase-file': 'passphrase',
  ciphers: 'ssl_ciphers',
  'dh-params': 'dh_params_file_name',
} as const;

function parseTls(values: ReadonlyMap<string, string>): ServeOptions['tls'] {
  const [cert, key] = [values.get('cert'), values.get('key')];
  if (cert === undefined || key === undefined) {
    const given = ['cert', 'key', ...Object.keys(MORE_TLS)].filter((flag) => values.has(flag));
    if (given.length === 0) return undefined;
    throw new UsageError(
      `--${given.join(' and --')} without --${cert === undefined ? 'cert' : 'key'}`,
      seeHelp(COMMAND),
    );
  }
  const tls: NonNullable<ServeOptions['tls']> = { cert_file_name: cert, key_file_name: key };
  for (const [flag, option] of Object.entries(MORE_TLS)) {
    const value = values.get(flag);
    if (value !== undefined) tls[option] = flag === 'passphrase-file' ? firstLine(value) : value;
  }
  return tls;
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
