import { described, readInteger } from '../caller-values.ts';
import { invalidArgument } from '../errors.ts';
import { checkPort } from '../options/check-option.ts';
import { type RecognizedString, textOf } from '../serving/recognized-string.ts';
import type { ListenCallback } from './listen-socket.ts';

/** How a port is listened on. */
export const ListenOptions = {
  /**
   * Other listeners of the same port, in this process or another, are let in, and the kernel spreads connections over
   * them (SO_REUSEPORT). Needs Linux and Node.js 22.12; elsewhere the port is exclusive.
   */
  LIBUS_LISTEN_DEFAULT: 0,
  /** No other listener is let in; `listen` fails when there is one. */
  LIBUS_LISTEN_EXCLUSIVE_PORT: 1,
} as const;
export type ListenOptions = (typeof ListenOptions)[keyof typeof ListenOptions];

export interface ListenArguments {
  readonly host: string;
  readonly port: number;
  readonly isExclusive: boolean;
  readonly callback: ListenCallback;
}

/**
 * Tells the four forms of `listen` apart: `([host,] port, [options,] callback)`. A text in front is a host, unless it is a
 * number; a port that is not given is any free one, as programs pass what the environment may not have.
 */
export function listenArguments(args: readonly unknown[]): ListenArguments {
  const callback = args.at(-1);
  if (typeof callback !== 'function') {
    throw invalidArgument(`listen: the last argument must be a callback; got ${described(callback)}`);
  }
  const hasHost = isHost(args);
  const [port, options] = args.slice(hasHost ? 1 : 0, -1);
  const flags = options === true ? 1 : (readInteger(options) ?? ListenOptions.LIBUS_LISTEN_DEFAULT);
  if (flags !== ListenOptions.LIBUS_LISTEN_DEFAULT && flags !== ListenOptions.LIBUS_LISTEN_EXCLUSIVE_PORT) {
    throw invalidArgument(
      `listen: the options must be LIBUS_LISTEN_EXCLUSIVE_PORT or 0; got ${described(options)}`,
    );
  }
  const host = hasHost ? textOf((args[0] ?? '') as RecognizedString) : '';
  return {
    host: host === '' ? '::' : host,
    port: checkPort('listen', port ?? 0),
    isExclusive: flags === ListenOptions.LIBUS_LISTEN_EXCLUSIVE_PORT,
    callback: callback as ListenCallback,
  };
}

/** Whether there is a host in front, which may be one that is not given: a port follows it. */
function isHost(args: readonly unknown[]): boolean {
  const [first] = args;
  if (args.length < 3) return false;
  if (first === undefined || first === null || first === '') return true;
  return typeof first !== 'number' && typeof first !== 'boolean' && Number.isNaN(readInteger(first));
}
