import { invalidArgument } from '../errors.ts';
import type { ListenCallback } from './app.ts';
import { type RecognizedString, textOf } from './recognized-string.ts';
import { checkPort } from './server-limits.ts';

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

/** Tells the four forms of `listen` apart: `([host,] port, [options,] callback)`. */
export function listenArguments(args: readonly unknown[]): ListenArguments {
  const callback = args.at(-1);
  if (typeof callback !== 'function') {
    throw invalidArgument('listen: the last argument must be a callback');
  }
  const hasHost = typeof args[0] !== 'number';
  const [port, options = ListenOptions.LIBUS_LISTEN_DEFAULT] = args.slice(hasHost ? 1 : 0, -1);
  checkPort('listen', port);
  if (
    options !== ListenOptions.LIBUS_LISTEN_DEFAULT &&
    options !== ListenOptions.LIBUS_LISTEN_EXCLUSIVE_PORT
  ) {
    throw invalidArgument(
      `listen: the options must be LIBUS_LISTEN_EXCLUSIVE_PORT or 0; got ${String(options)}`,
    );
  }
  return {
    host: hasHost ? textOf(args[0] as RecognizedString) : '::',
    port,
    isExclusive: options === ListenOptions.LIBUS_LISTEN_EXCLUSIVE_PORT,
    callback: callback as ListenCallback,
  };
}
