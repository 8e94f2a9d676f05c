import { createHash, constants as crypto } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { MillraceError } from '../errors.ts';
import { contextHandle } from './node-internals.ts';
import { explainMistake, silentMistake } from './tls-diagnosis.ts';

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

/** TLS 1.3 has no others but those with 8-byte tags, which Node.js leaves out, too. */
const SUITES_1_3 = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
/** TLS 1.2 with forward secrecy and authenticated encryption alone, as RFC 9325 §4.2 has it. */
const SUITES_1_2 =
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:' +
  'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305';
/** For users who give parameters for it. */
const SUITES_DHE = 'DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305';

function defaultCiphers(hasDh: boolean): string {
  return `${SUITES_1_3}:${SUITES_1_2}${hasDh ? `:${SUITES_DHE}` : ''}`;
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
  const mistake = silentMistake(credentials);
  if (mistake !== '') throw badCertificate(name, mistake);
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
      ciphers: ciphers ?? defaultCiphers(dhparam !== undefined),
    });
    return contextHandle(context);
  } catch (cause) {
    throw badCertificate(name, explainMistake(credentials, cause), cause);
  }
}

/** What to tell a user whose TLS has no certificate at all: nobody could connect. */
export function noCertificate(): MillraceError {
  return badCertificate(
    '',
    "there is no certificate, so no client could connect. Give 'key_file_name' and 'cert_file_name', to SSLApp() or to " +
      "serve() in 'tls' (millrace serve: --key and --cert), or add names with app.addServerName() before the server listens",
  );
}

/** What to tell a user whose key or certificate cannot be used. `name` is '' for the default. */
export function badCertificate(name: string, reason: string, cause?: unknown): MillraceError {
  const where = name === '' ? 'The TLS options' : `The TLS options of '${name}'`;
  return new MillraceError('MILLRACE_BAD_CERTIFICATE', `${where} cannot be used: ${reason}`, { cause });
}
