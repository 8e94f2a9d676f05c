/**
 * Every error this package throws or reports, in one table. Codes are stable and never used again for
 * something else; `docs/errors.md` explains each one, and a test keeps the two in step.
 */
export const ERRORS = {
  /** An option has a wrong type or value. The message names the option and the remedy. */
  MILLRACE_INVALID_OPTION: 'An option is invalid',
  /** An argument of a method has a wrong type or value. */
  MILLRACE_INVALID_ARGUMENT: 'An argument is invalid',
  /** A method of a WebSocket was called after its close handler ran. */
  MILLRACE_CLOSED_SOCKET: 'Invalid access of closed uWS.WebSocket/SSLWebSocket.',
  /** A request or response object was used outside its lifetime. */
  MILLRACE_STALE_ACCESS: 'The request or response is no longer valid',
  /** The App is closed, or in a state that does not allow the call. */
  MILLRACE_APP_STATE: 'The App is not in a state that allows this',
  /** The address cannot be listened on. `cause` holds the system error. */
  MILLRACE_LISTEN_FAILED: 'Cannot listen',
  /** The app module of `serve()` cannot be loaded, or its default export is not a function. */
  MILLRACE_BAD_MODULE: 'The app module cannot be used',
  /** This Node.js lacks a name the engine builds on, or the handoff between threads does not work here. */
  MILLRACE_UNSUPPORTED_RUNTIME: 'This runtime lacks something the engine needs',
  /** A TLS key, certificate or authority cannot be read or used. `cause` says why. */
  MILLRACE_BAD_CERTIFICATE: 'The TLS options cannot be used',
  /** The key-value store has no room for a value. */
  MILLRACE_STORE_FULL: 'The key-value store is full',
  /** Something of uWebSockets.js that this package does not have. */
  MILLRACE_NOT_SUPPORTED: 'This is not supported',
  /** A shard ended unexpectedly; the supervisor starts it anew. */
  MILLRACE_SHARD_CRASHED: 'A shard ended unexpectedly',
  /** A request to another thread was not begun: it, or this one, has too many, or is not made for it. It can be repeated. */
  MILLRACE_ASK_REFUSED: 'The request was not sent',
  /** The handler of a request to another thread threw or rejected. */
  MILLRACE_ASK_FAILED: 'The request failed',
  /** The answer of another thread was not there in time; what was asked may have been done. */
  MILLRACE_ASK_TIMEOUT: 'The request was not answered in time',
  /** The thread that was asked is not there, or ended before it answered; what was asked may have been done. */
  MILLRACE_PEER_GONE: 'The thread that was asked is gone',
  /** A shard's state could not be handed over to its successor. */
  MILLRACE_HANDOVER_FAILED: 'State could not be handed over',
  /** The acceptor's thread ended before it had ever listened. Later it is started anew. */
  MILLRACE_ACCEPTOR_CRASHED: 'The acceptor ended while it started',
  /** The server to be measured cannot be reached, or refuses the handshake. */
  MILLRACE_BENCH_FAILED: 'The load cannot be run',
} as const;

export type ErrorCode = keyof typeof ERRORS;

const BRAND = Symbol.for('millrace.error');

/** The class of all errors of this package. `instanceof` also works across two copies of the package. */
export class MillraceError extends Error {
  readonly code: ErrorCode;
  override readonly name = 'MillraceError';

  constructor(code: ErrorCode, message: string = ERRORS[code], options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    Object.defineProperty(this, BRAND, { value: true });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}

/** An argument has a wrong type or value; the message names it and the remedy. */
export function invalidArgument(message: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_ARGUMENT', message);
}
