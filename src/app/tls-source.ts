import { loadTlsWrap } from '../net/node-internals.ts';
import { type CredentialsSource, ServerNames } from '../net/server-names.ts';
import type { TlsSetup } from '../shard/control-message.ts';
import { credentialsSource, newTicketKey, type TlsOptions } from './tls-options.ts';

/** Where the certificate of a server comes from, and the key of its session tickets, which stays the same. */
export interface TlsSource {
  readonly source: CredentialsSource;
  readonly ticketKey: Uint8Array;
}

/** Reads no file yet. Null: connections are plain. */
export function tlsSource(options: TlsOptions | undefined): TlsSource | null {
  if (options === undefined) return null;
  return { source: credentialsSource('serve', options), ticketKey: newTicketKey() };
}

/**
 * Reads the files here, so that what is wrong with them is told before any thread hears of them.
 *
 * @throws MillraceError MILLRACE_BAD_CERTIFICATE, MILLRACE_UNSUPPORTED_RUNTIME
 */
export function readCredentials({ source, ticketKey }: TlsSource): TlsSetup {
  const credentials = source();
  loadTlsWrap();
  void new ServerNames(() => credentials, ticketKey);
  return { credentials, ticketKey };
}
