import type { Limit, Option } from './option.ts';

/** Every numeric option of the load generator. The short flags are autocannon's where it has one. */
export const BENCH_LIMITS = {
  /** Connections, over all client threads. Default 100 (1 to 1,000,000 connections). */
  connections: {
    type: 'integer',
    default: 100,
    min: 1,
    max: 1_000_000,
    unit: 'connections',
    short: 'c',
    help: 'Connections, over all client threads.',
  },
  /** Messages in flight on each connection. Default 1 (1 to 65,536 messages). */
  pipelining: {
    type: 'integer',
    default: 1,
    min: 1,
    max: 65_536,
    unit: 'messages',
    short: 'p',
    help: 'Messages in flight on each connection.',
  },
  /** Time of the measurement. Default 10 (1 to 86,400 seconds). */
  duration: {
    type: 'integer',
    default: 10,
    min: 1,
    max: 86_400,
    unit: 'seconds',
    short: 'd',
    help: 'Seconds to measure.',
  },
  /**
   * Messages (connect: connections) after which the run ends, whatever its duration. Default 0: as many as the
   * duration allows (else 1 to 1,000,000,000,000 messages).
   */
  amount: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 1e12,
    zero: 'as many as the duration allows',
    unit: 'messages',
    short: 'a',
    help: 'Messages to send in all, instead of a duration (connect: connections to open).',
  },
  /** Client threads. Default 1 (1 to 64 threads). */
  workers: {
    type: 'integer',
    default: 1,
    min: 1,
    max: 64,
    unit: 'threads',
    short: 'w',
    help: 'Client threads.',
  },
  /** Payload of a message. Default 64 (0 to 67,108,864 bytes). */
  size: {
    type: 'integer',
    default: 64,
    min: 0,
    max: 64 * 1024 * 1024,
    unit: 'bytes',
    short: 's',
    help: 'Size of a message.',
  },
  /**
   * Messages a second on each connection. Default 0: as many as possible (else 1 to 1,000,000 messages a second).
   */
  connectionRate: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 1_000_000,
    zero: 'as many as possible',
    unit: 'messages a second',
    short: 'r',
    help: 'Messages a second on each connection, at a fixed rate.',
  },
  /**
   * Messages a second over all connections. Default 0: as many as possible (else 1 to 100,000,000 messages a second).
   */
  overallRate: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 100_000_000,
    zero: 'as many as possible',
    unit: 'messages a second',
    short: 'R',
    help: 'Messages a second over all connections, at a fixed rate.',
  },
  /** Time for a handshake, and for the reply to a message. Default 10 (1 to 3,600 seconds). */
  timeout: {
    type: 'integer',
    default: 10,
    min: 1,
    max: 3600,
    unit: 'seconds',
    short: 't',
    help: 'Seconds that a handshake or a reply may take.',
  },
  /** Time the load runs before the measurement. Default 0: none (else 1 to 3,600 seconds). */
  warmup: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 3600,
    zero: 'none',
    unit: 'seconds',
    short: 'W',
    help: 'Seconds of load before the measurement.',
  },
  /** Connections that publish (broadcast, stomp). Default 1 (1 to 1,000 connections). */
  publishers: {
    type: 'integer',
    default: 1,
    min: 1,
    max: 1000,
    unit: 'connections',
    help: 'broadcast, stomp: connections that publish.',
  },
  /**
   * Connections that take messages from queues and acknowledge them (stomp). Default 0: none (else 1 to 1,000,000
   * connections). What is neither publisher nor consumer subscribes to a topic.
   */
  consumers: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 1_000_000,
    zero: 'none',
    unit: 'connections',
    help: 'stomp: connections that take messages from queues; the others subscribe to topics.',
  },
  /** Topics, and as many queues, that publishers send to in turn (stomp). Default 1 (1 to 10,000 destinations). */
  destinations: {
    type: 'integer',
    default: 1,
    min: 1,
    max: 10_000,
    unit: 'destinations',
    help: 'stomp: topics, and as many queues.',
  },
  /**
   * Connections that send and do not read (slow). Default 0: half of them (else 1 to 1,000,000 connections).
   */
  stalled: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 1_000_000,
    zero: 'half of them',
    unit: 'connections',
    help: 'slow: connections that send and do not read.',
  },
  /**
   * Process id of the server, whose memory is read (Linux). Default 0: unknown (else 1 to 2,147,483,647 process id).
   */
  pid: {
    type: 'integer',
    default: 0,
    min: 1,
    max: 2 ** 31 - 1,
    zero: 'unknown',
    unit: 'process id',
    help: 'Process id of the server: its memory is measured (Linux, same machine).',
  },
} as const satisfies Readonly<Record<string, Limit>>;

/** The other options of `bench()`. */
export const BENCH_OPTIONS = {
  url: { type: 'value', default: '', help: 'The server: ws:// or wss://.' },
  scenario: { type: 'text', default: "`'echo'`", help: 'What the connections do.' },
  message: { type: 'value', default: '', help: 'The message to send.' },
  binary: {
    type: 'value',
    default: 'text for a `message` that is a string and for stomp, else binary',
    help: 'Send binary messages.',
  },
  protocols: {
    type: 'value',
    flag: 'subprotocol',
    short: 'T',
    default: '',
    help: 'Subprotocols to ask for, the preferred one first.',
  },
  headers: {
    type: 'value',
    flag: 'header',
    short: 'H',
    default: '',
    help: 'More headers of the handshake.',
  },
  insecure: { type: 'flag', default: false, help: 'wss: accept any certificate.' },
  deflate: {
    type: 'flag',
    default: false,
    help: 'Compress messages (permessage-deflate); -s then makes records that compress well.',
  },
  ignoreCoordinatedOmission: {
    type: 'flag',
    default: false,
    short: 'C',
    help: 'At a fixed rate: do not add the latencies of messages that a late reply held up.',
  },
  ackMode: {
    type: 'text',
    default: "`'client-individual'`",
    help: 'stomp: how consumers acknowledge: auto, client or client-individual.',
  },
  receipts: { type: 'flag', default: false, help: 'stomp: ask for a RECEIPT for every SEND.' },
  login: { type: 'text', default: '', help: 'stomp: the login of CONNECT.' },
  passcode: { type: 'text', default: '', help: 'stomp: the passcode of CONNECT.' },
  virtualHost: {
    type: 'text',
    default: 'that of the URL',
    help: "stomp: the host of CONNECT ('/' for RabbitMQ's own).",
  },
  title: { type: 'text', default: '', help: 'A title for the result.' },
  signal: { type: 'value', default: '', help: 'Ends the run early.' },
  onProgress: { type: 'callback', default: '', help: 'Called about once a second while the load runs.' },
} as const satisfies Readonly<Record<string, Option>>;
