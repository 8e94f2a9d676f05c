import type { Limit, Option } from './option.ts';
import { SERVE_LIMITS } from './server-limits.ts';

/** Options of `serve()` and `App()` about the names a server is called by. */
export const HOST_OPTIONS = {
  allowedHosts: {
    type: 'value',
    default: '`true`: any name',
    help: 'Names that requests may call the server by in Host, such as example.com, or .example.org and all below it.',
  },
  behindTls: {
    type: 'flag',
    default: false,
    help: "A proxy in front ends TLS: 'same-origin' takes https pages alone.",
  },
} as const satisfies Readonly<Record<string, Option>>;

/** Options of an App alone. */
export const APP_OPTIONS = {
  proxyProtocol: {
    type: 'flag',
    default: false,
    help: 'Every connection starts with a header of the PROXY protocol, version 2.',
  },
} as const satisfies Readonly<Record<string, Option>>;

/** Options of `SSLApp()`, and of `tls` of `serve()`. */
export const TLS_OPTIONS = {
  key_file_name: {
    type: 'text',
    flag: 'key',
    default: '',
    help: 'Private key of the certificate (PEM).',
  },
  cert_file_name: {
    type: 'text',
    flag: 'cert',
    default: '',
    help: 'Serve TLS with this certificate (PEM), with the intermediate ones behind it.',
  },
  ca_file_name: {
    type: 'text',
    flag: 'ca',
    default: '',
    help: 'Ask clients for certificates, and refuse those that these authorities (PEM) do not vouch for.',
  },
  passphrase: { type: 'text', default: '', help: 'Passphrase of the private key.' },
  dh_params_file_name: {
    type: 'text',
    flag: 'dh-params',
    default: 'off',
    help: 'Diffie-Hellman parameters (PEM), for ciphers of TLS 1.2 without elliptic curves.',
  },
  ssl_ciphers: {
    type: 'text',
    flag: 'ciphers',
    default: 'ECDHE with AES-GCM or ChaCha20-Poly1305',
    help: "Ciphers of TLS 1.2 in OpenSSL's syntax.",
  },
  ssl_prefer_low_memory_usage: {
    type: 'flag',
    default: false,
    help: 'Has no effect: buffers of connections at rest are always released.',
  },
} as const satisfies Readonly<Record<string, Option>>;

/** What `App()` knows: its own options, and the limits that `serve()` alone has, which are no misspelt ones of its own. */
export const APP_NAMES: readonly string[] = [SERVE_LIMITS, TLS_OPTIONS, HOST_OPTIONS, APP_OPTIONS].flatMap(
  (table) => Object.keys(table),
);

/** The shard threads of a server: 64 threads can share topics, and the main thread is one. */
export const SHARD_RANGE = { min: 1, max: 63, unit: 'threads' } as const;

const PRINTED = 'it is printed to standard error';

/** Options of `serve()` alone, beside its limits. */
export const SERVE_OPTIONS = {
  app: { type: 'value', default: '', help: 'The app module: a URL or a path.' },
  port: { type: 'value', default: '', help: 'Port to listen on; 0: any free one.' },
  host: {
    type: 'text',
    default: "`'::'`, all of IPv6 and IPv4",
    help: 'Address or name to listen on.',
  },
  shards: {
    type: 'value',
    default: 'one for each core',
    help: `Shard threads, ${SHARD_RANGE.min} to ${SHARD_RANGE.max}.`,
  },
  balance: {
    type: 'value',
    default: "`'least-connections'`",
    help: 'How connections are spread over the shards.',
  },
  tls: { type: 'value', default: '', help: 'Serves TLS, with the options of `SSLApp()`.' },
  data: {
    type: 'value',
    default: '',
    help: 'Anything that can be copied between threads, for the app module.',
  },
  handoff: {
    type: 'value',
    default: "`'auto'`",
    help: 'How sockets reach the shards: channel, transfer (Node.js 24.20, 26.6 and later) or auto.',
  },
  onCrash: { type: 'callback', default: PRINTED, help: 'A shard ended unexpectedly and is started anew.' },
  onStalled: {
    type: 'callback',
    default: PRINTED,
    help: 'A shard does not take the connections it is sent.',
  },
  onRecovered: { type: 'callback', default: PRINTED, help: 'It takes connections again.' },
  onHeapFull: {
    type: 'callback',
    default: PRINTED,
    help: "A shard's heap is fuller than `heapWatermark`.",
  },
  onOverflow: {
    type: 'callback',
    default: '',
    help: 'Publishes were dropped for a shard that does not keep up.',
  },
} as const satisfies Readonly<Record<string, Option>>;

/** Options of `server.close()` and `server.reload()`. */
export const CLOSE_LIMITS = {
  /**
   * Ms that connections get to end politely; what is left then is cut off. Default 10,000 (1 to 3,600,000 ms; 0: no
   * time at all).
   */
  drain: {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 3_600_000,
    zero: 'no time at all',
    unit: 'ms',
    help: 'Milliseconds that clients get to leave when the server ends.',
  },
  /**
   * Ms in which an HTTP connection that waits for a request may still send one, which is answered with `Connection:
   * close`; then it gets a FIN. At most half of `drain`. Default 1,000 (1 to 3,600,000 ms; 0: no time at all).
   */
  grace: {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 3_600_000,
    zero: 'no time at all',
    unit: 'ms',
    help: 'Milliseconds of these in which an idle HTTP connection may still send a request; at most half of them.',
  },
} as const satisfies Readonly<Record<string, Limit>>;

/** Options of `server.profile()`. */
export const PROFILE_LIMITS = {
  /** Microseconds between two samples. Default 1,000 (50 to 100,000 microseconds). */
  interval: {
    type: 'integer',
    default: 1000,
    min: 50,
    max: 100_000,
    unit: 'microseconds',
    help: 'Microseconds between two samples.',
  },
} as const satisfies Readonly<Record<string, Limit>>;
