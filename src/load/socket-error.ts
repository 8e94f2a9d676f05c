import { printable } from '../printable.ts';
import type { Target } from './target.ts';

/** What a failed connection means, in words, with the remedy where there is one. */
export function explainSocketError(error: Error | null, target: Target): string {
  if (error === null) return 'the server closed the connection';
  const { code = '' } = error as NodeJS.ErrnoException;
  const known = REASONS[code]?.(target) ?? tlsReason(code, target);
  if (known !== undefined) return known;
  const message = printable(error.message);
  return code === '' || message.includes(code) ? message : `${message} (${printable(code)})`;
}

const REASONS: Readonly<Record<string, (target: Target) => string>> = {
  ECONNREFUSED: ({ host, port }) =>
    `connection refused: is the server running, and does it listen on ${host} port ${port}?`,
  ECONNRESET: () => 'the server reset the connection',
  EPIPE: () => 'the server closed the connection',
  ENOTFOUND: ({ host }) => `there is no host named '${host}'`,
  EAI_AGAIN: ({ host }) => `the name '${host}' cannot be looked up now`,
  ETIMEDOUT: ({ host, port }) => `nobody answers at ${host} port ${port}`,
  EHOSTUNREACH: ({ host }) => `there is no way to ${host}`,
  ENETUNREACH: ({ host }) => `there is no way to ${host}`,
  EMFILE: () => 'this process has no descriptors left: use fewer connections, or raise `ulimit -n`',
  EADDRNOTAVAIL: ({ host }) => `this machine has no ports left for connections to ${host}`,
  EPROTO: ({ port }) => `port ${port} does not speak TLS: is it ws:// instead of wss://?`,
  ERR_SSL_WRONG_VERSION_NUMBER: ({ port }) =>
    `port ${port} does not speak TLS: is it ws:// instead of wss://?`,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ({ port }) =>
    `port ${port} does not speak TLS: is it ws:// instead of wss://?`,
};

/** Codes of certificates that cannot be trusted (`node:tls`). */
function tlsReason(code: string, target: Target): string | undefined {
  const isCertificate = /CERT|SIGNATURE|UNABLE_TO|ALTNAME/.test(code);
  if (!target.secure || !isCertificate) return undefined;
  return `the certificate of ${target.host} cannot be trusted (${code}): --insecure accepts any`;
}
