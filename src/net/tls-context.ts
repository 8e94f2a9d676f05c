import { createHash, constants as crypto } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { MillraceError } from '../errors.ts';
import { contextHandle } from './node-internals.ts';

/** Keys and certificates of one name, as PEM texts: what threads can send each other. */
export interface TlsCredentials {
  readonly key?: string;
  readonly cert?: string;
  /** Authorities for certificates of clients, which are asked for one when it is given. */
  readonly ca?: string;
  readonly passphrase?: string;
  /** Diffie-Hellman parameters. */
  readonly dhparam?: string;
  /** In OpenSSL's syntax. */
  readonly ciphers?: string;
}

/** Bytes of the key that session tickets are sealed with. */
export const TICKET_KEY_SIZE = 48;

/** What contexts have in common that accept each other's sessions. */
export interface TicketRules {
  /** Sealed with it; the same in all threads that accept each other's tickets. */
  readonly key: Uint8Array;
  readonly isEnabled: boolean;
}

/**
 * How sessions are resumed, for contexts that trust these authorities. A ticket says that its client's certificate
 * was checked, not by whose rules: where there are several sets of authorities nothing is resumed, and a changed
 * set makes the tickets of before void (CVE-2025-23419).
 */
export function ticketRules(key: Uint8Array, authorities: ReadonlySet<string>): TicketRules {
  const hash = createHash('sha512').update(key);
  for (const ca of [...authorities].toSorted()) hash.update(createHash('sha256').update(ca).digest());
  return { key: hash.digest().subarray(0, TICKET_KEY_SIZE), isEnabled: authorities.size <= 1 };
}

/**
 * Makes OpenSSL's context: TLS 1.2 and 1.3.
 *
 * @throws MillraceError MILLRACE_BAD_CERTIFICATE with what OpenSSL says
 */
export function createContext(name: string, credentials: TlsCredentials, tickets: TicketRules): object {
  const { key, cert, ca, passphrase, dhparam, ciphers } = credentials;
  if ((key === undefined) !== (cert === undefined)) {
    const missing = key === undefined ? 'key_file_name' : 'cert_file_name';
    throw badCertificate(name, `${missing} is missing: a certificate and its private key go together`);
  }
  try {
    const context = createSecureContext({
      minVersion: 'TLSv1.2',
      // Without this each context gets the public authorities, and clients' certificates with them.
      ca: ca ?? [],
      honorCipherOrder: true,
      secureOptions: tickets.isEnabled ? 0 : crypto.SSL_OP_NO_TICKET,
      ticketKeys: Buffer.from(tickets.key),
      // OpenSSL wants one where clients have certificates.
      sessionIdContext: 'millrace',
      ...(key === undefined ? {} : { key }),
      ...(cert === undefined ? {} : { cert }),
      ...(passphrase === undefined ? {} : { passphrase }),
      ...(dhparam === undefined ? {} : { dhparam }),
      ...(ciphers === undefined ? {} : { ciphers }),
    });
    return contextHandle(context);
  } catch (cause) {
    throw badCertificate(name, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** What to tell a user whose key or certificate cannot be used. `name` is '' for the default. */
export function badCertificate(name: string, reason: string, cause?: unknown): MillraceError {
  const where = name === '' ? 'The TLS options' : `The TLS options of '${name}'`;
  return new MillraceError('MILLRACE_BAD_CERTIFICATE', `${where} cannot be used: ${reason}`, { cause });
}
