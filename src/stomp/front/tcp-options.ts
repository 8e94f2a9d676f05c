import { isIP } from 'node:net';
import { described } from '../../caller-values.ts';
import { MillraceError } from '../../errors.ts';
import { checkPort } from '../../options/check-option.ts';
import { checkSpelling } from '../../options/option-names.ts';
import type { RawOptions } from '../../serving/raw-endpoint.ts';

/** STOMP over plain TCP, for clients that do not speak WebSocket. */
export interface TcpOptions {
  /** 61613 is usual; 0: any free one. An App listens at once, a server when it starts. */
  readonly port: number;
  /** An IP address of this machine, or 'localhost'. Default '::', all of IPv6 and IPv4. */
  readonly host?: string;
  /** Connections do TLS with the certificates of the server. Default false. */
  readonly tls?: boolean;
}

const WHERE = "stompBroker: 'tcp'";

/** @throws MillraceError MILLRACE_INVALID_OPTION */
export function checkTcpOptions(options: TcpOptions): Omit<RawOptions, 'name'> {
  if (typeof options !== 'object' || options === null) {
    throw invalid(`must be an object such as { port: 61613 }; got ${described(options)}`);
  }
  checkSpelling(WHERE, options, ['port', 'host', 'tls']);
  const host = options.host ?? '::';
  if (typeof host !== 'string' || (isIP(host) === 0 && host !== 'localhost')) {
    throw invalid(
      `'host' must be an IP address of this machine, 'localhost' or '::'; got ${described(host)}`,
    );
  }
  const isTls = options.tls ?? false;
  if (typeof isTls !== 'boolean') throw invalid(`'tls' must be true or false; got ${described(isTls)}`);
  return { option: WHERE, host, port: checkPort(WHERE, options.port), isTls };
}

function invalid(what: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', `${WHERE}: ${what}`);
}
