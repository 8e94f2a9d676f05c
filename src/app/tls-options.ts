import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { described } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';
import type { CredentialsSource } from '../net/server-names.ts';
import { badCertificate, TICKET_KEY_SIZE, type TlsCredentials } from '../net/tls-context.ts';
import { checkSpelling } from '../options/option-names.ts';
import { TLS_OPTIONS } from '../options/server-options.ts';
import { printable } from '../printable.ts';
import { type RecognizedString, textOf } from '../serving/recognized-string.ts';

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
  /** Diffie-Hellman parameters, for ciphers that TLS 1.2 has without elliptic curves. Default: off. */
  dh_params_file_name?: RecognizedString;
  /** Ciphers of TLS 1.2 in OpenSSL's syntax. Default: ECDHE with AES-GCM or ChaCha20-Poly1305. See docs/tls.md. */
  ssl_ciphers?: RecognizedString;
  /** Has no effect: buffers of connections at rest are always released. */
  ssl_prefer_low_memory_usage?: boolean;
}

const FILES = { key_file_name: 'key', cert_file_name: 'cert', ca_file_name: 'ca' } as const;
const TEXTS = { passphrase: 'passphrase', ssl_ciphers: 'ciphers' } as const;
const WITH_VALUE = [...Object.keys(FILES), ...Object.keys(TEXTS), 'dh_params_file_name'];

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
      `${where}: the TLS options must be an object, such as { key_file_name: 'key.pem', cert_file_name: 'cert.pem' }; ` +
        `got ${described(options)}`,
    );
  }
  checkSpelling(where, options, Object.keys(TLS_OPTIONS));
  checkForeignNames(where, options as Record<string, unknown>);
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

/** The names that Node.js has for the same things. */
const NODE_NAMES: Readonly<Record<string, string>> = {
  key: 'key_file_name',
  cert: 'cert_file_name',
  ca: 'ca_file_name',
  dhparam: 'dh_params_file_name',
  ciphers: 'ssl_ciphers',
};

/** Those of Node.js would have no effect: the server would have no certificate, and nobody could reach it. */
function checkForeignNames(where: string, options: Record<string, unknown>): void {
  const isGiven = (name: string): boolean => options[name] !== undefined && options[name] !== null;
  for (const [name, own] of Object.entries(NODE_NAMES)) {
    if (!isGiven(name) || isGiven(own)) continue;
    const what = own.endsWith('_file_name') ? ', the path of a PEM file or the PEM text itself' : '';
    throw new MillraceError(
      'MILLRACE_INVALID_OPTION',
      `${where}: '${name}' is the name of Node.js; here it is '${own}'${what}`,
    );
  }
  if (!isGiven('pfx') || isGiven('cert_file_name')) return;
  throw new MillraceError(
    'MILLRACE_INVALID_OPTION',
    `${where}: 'pfx' is not read here; make PEM files of it (openssl pkcs12 -in FILE -nodes), for 'key_file_name' and 'cert_file_name'`,
  );
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
    // Its message and its path are the text, which may be a key: it is not handed on.
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    throw badCertificate(name, `${option}: ${unreadable(text, code)}`);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a folder',
};

function unreadable(text: string, code: string): string {
  if (!isPath(text)) {
    return (
      `a text of ${text.length} characters is neither the path of a file (${code}) nor PEM, which has a line ` +
      "'-----BEGIN …-----'; it is not shown, as it may be a key"
    );
  }
  const reason = REASONS[code];
  const from = code === 'ENOENT' && !isAbsolute(text) ? ` in ${printable(process.cwd())}` : '';
  return `'${printable(text)}' cannot be read (${code}${reason === undefined ? '' : `: ${reason}${from}`})`;
}

/**
 * What can be shown. The text of a key that lost its first line, or was put into a URL or a variable, is long, has lines, or
 * a long run of base64, which holds slashes as paths do.
 */
function isPath(text: string): boolean {
  if (text.length > 255 || text.includes('\n') || text.includes('\r') || text.includes('-----')) return false;
  return /^(\/[a-z]+|\.{1,2})\//.test(text) || !/[A-Za-z0-9+/=_%-]{40}/.test(text);
}
