import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MillraceError } from '../errors.ts';
import type { CredentialsSource } from '../net/server-names.ts';
import { badCertificate, TICKET_KEY_SIZE, type TlsCredentials } from '../net/tls-context.ts';
import { checkSpelling } from './option-names.ts';
import { type RecognizedString, textOf } from './recognized-string.ts';

/**
 * Keys and certificates, in the names of uWebSockets.js. Whatever ends in `_file_name` is the path of a PEM file, or
 * the PEM text itself. Paths are read when the options are given, and again by `reloadTls()`.
 */
export interface TlsOptions {
  /** Private key of the certificate. */
  key_file_name?: RecognizedString;
  /** The certificate, with the intermediate ones behind it. */
  cert_file_name?: RecognizedString;
  /**
   * Authorities for certificates of clients. When given, clients are asked for one; a client may have none, but one
   * that these authorities do not vouch for ends the handshake. See `res.getX509Certificate()`.
   */
  ca_file_name?: RecognizedString;
  /** Of the private key. */
  passphrase?: RecognizedString;
  /** Diffie-Hellman parameters, for ciphers that TLS 1.2 has without elliptic curves; by default these are off. */
  dh_params_file_name?: RecognizedString;
  /** Ciphers in OpenSSL's syntax. Default: those of Node.js. */
  ssl_ciphers?: RecognizedString;
  /** Has no effect: buffers of connections at rest are always released. */
  ssl_prefer_low_memory_usage?: boolean;
}

const FILES = { key_file_name: 'key', cert_file_name: 'cert', ca_file_name: 'ca' } as const;
const TEXTS = { passphrase: 'passphrase', ssl_ciphers: 'ciphers' } as const;
const WITH_VALUE = [...Object.keys(FILES), ...Object.keys(TEXTS), 'dh_params_file_name'];

/** The names of all. */
export const TLS_NAMES: readonly string[] = [...WITH_VALUE, 'ssl_prefer_low_memory_usage'];

/**
 * Checks the shape of the options. The files are read whenever the result is called, which throws
 * MILLRACE_BAD_CERTIFICATE where it cannot.
 *
 * @param name the server name they are of; '' for the default
 * @throws MillraceError MILLRACE_INVALID_OPTION
 */
export function credentialsSource(where: string, options: TlsOptions, name = ''): CredentialsSource {
  if (typeof options !== 'object' || options === null) {
    throw new MillraceError(
      'MILLRACE_INVALID_OPTION',
      `${where}: the TLS options must be an object, such as { key_file_name: 'key.pem', cert_file_name: 'cert.pem' }`,
    );
  }
  checkSpelling(where, options, TLS_NAMES);
  const texts = new Map<string, string>();
  for (const option of WITH_VALUE) {
    const value = (options as Record<string, unknown>)[option];
    if (value !== undefined && value !== null) texts.set(option, optionText(where, option, value));
  }
  return () => {
    const credentials: { -readonly [K in keyof TlsCredentials]: string } = {};
    for (const [option, text] of texts) {
      if (option in FILES) credentials[FILES[option as keyof typeof FILES]] = pem(name, option, text);
      else if (option in TEXTS) credentials[TEXTS[option as keyof typeof TEXTS]] = text;
      else credentials.dhparam = pem(name, option, text);
    }
    return credentials;
  };
}

/** What session tickets are sealed with, for as long as the server runs. */
export function newTicketKey(): Uint8Array {
  return new Uint8Array(randomBytes(TICKET_KEY_SIZE));
}

function optionText(where: string, option: string, value: unknown): string {
  try {
    const text = textOf(value as RecognizedString);
    if (text !== '') return text;
  } catch {
    // Said below.
  }
  const what = option.endsWith('_file_name') ? 'the path of a PEM file or a PEM text' : 'a text';
  throw new MillraceError('MILLRACE_INVALID_OPTION', `${where}: '${option}' must be ${what}`);
}

/** The text itself, or that of the file. */
function pem(name: string, option: string, text: string): string {
  if (text.includes('-----BEGIN ')) return text;
  try {
    return readFileSync(text, 'utf8');
  } catch (cause) {
    const { code = String(cause) } = cause as NodeJS.ErrnoException;
    throw badCertificate(name, `${option} '${text}' cannot be read (${code})`, cause);
  }
}
