import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { printable } from '../printable.ts';
import type { TlsCredentials } from './tls-context.ts';

const CERTIFICATE = '-----BEGIN CERTIFICATE-----';
const CERTIFICATE_END = '-----END CERTIFICATE-----';
const DH_PARAMETERS = '-----BEGIN DH PARAMETERS-----';

/** The certificates in a text of PEM blocks, in order. Throws where one is none. */
export function certificatesIn(pem: string): X509Certificate[] {
  const certificates: X509Certificate[] = [];
  for (let at = pem.indexOf(CERTIFICATE); at >= 0; ) {
    const end = pem.indexOf(CERTIFICATE_END, at);
    if (end < 0) throw new Error('a certificate has no end');
    certificates.push(new X509Certificate(pem.slice(at, end + CERTIFICATE_END.length)));
    at = pem.indexOf(CERTIFICATE, end);
  }
  return certificates;
}

/** What of these credentials OpenSSL passes over in silence, although it has no effect; '' when there is nothing. */
export function silentMistake({ ca, dhparam }: TlsCredentials): string {
  if (ca !== undefined && !ca.includes(CERTIFICATE)) {
    return 'ca_file_name holds no certificate in PEM: no client could be trusted';
  }
  if (ca !== undefined && certificatesOrNull(ca) === null)
    return 'ca_file_name holds a certificate that is damaged';
  if (dhparam !== undefined && !dhparam.includes(DH_PARAMETERS)) {
    return "dh_params_file_name holds no 'DH PARAMETERS' in PEM";
  }
  return '';
}

/** Why OpenSSL did not take these credentials, in plain words where it can be found out; else in its own. */
export function explainMistake(credentials: TlsCredentials, error: unknown): string {
  const { key, cert, ciphers, dhparam } = credentials;
  const { code, message = String(error) } = error as { code?: unknown; message?: string };
  if (code === 'ERR_SSL_NO_CIPHER_MATCH') return `ssl_ciphers '${printable(ciphers ?? '')}' names no cipher`;
  if (cert !== undefined && !cert.includes(CERTIFICATE)) {
    const isKey = cert.includes('PRIVATE KEY-----')
      ? ', but a private key: are the two options swapped?'
      : '';
    return `cert_file_name holds no certificate in PEM${isKey}`;
  }
  const keyMistake = key === undefined ? '' : mistakeOfKey(key, credentials);
  if (keyMistake !== '') return keyMistake;
  const own = dhparam === undefined ? '' : ' (with dh_params_file_name)';
  return `${printable(message)}${own}`;
}

function mistakeOfKey(key: string, { cert, passphrase }: TlsCredentials): string {
  if (!key.includes('PRIVATE KEY-----')) {
    const isCertificate = key.includes(CERTIFICATE)
      ? ', but a certificate: are the two options swapped?'
      : '';
    return `key_file_name holds no private key in PEM${isCertificate}`;
  }
  let parsed: KeyObject;
  try {
    parsed = createPrivateKey({ key, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    const isLocked = key.includes('ENCRYPTED');
    if (isLocked && passphrase === undefined) {
      return "the private key is encrypted: give its 'passphrase' (millrace serve: --passphrase-file)";
    }
    return isLocked
      ? "the 'passphrase' does not open the private key"
      : 'key_file_name holds a private key that is damaged, or of a kind that OpenSSL does not know';
  }
  return cert === undefined ? '' : mismatch(parsed, cert);
}

function mismatch(key: KeyObject, cert: string): string {
  const certificates = certificatesOrNull(cert);
  if (certificates === null) return 'cert_file_name holds a certificate that is damaged';
  const own = certificates.findIndex((certificate) => certificate.checkPrivateKey(key));
  if (own === 0) return '';
  return own > 0
    ? `the certificate of the private key is number ${own + 1} in cert_file_name: it must be the first one, with the intermediate ones behind it`
    : 'the private key is not that of the certificate: key_file_name and cert_file_name do not go together';
}

/** Null: one of them is damaged. */
function certificatesOrNull(pem: string): X509Certificate[] | null {
  try {
    return certificatesIn(pem);
  } catch {
    return null;
  }
}
