import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';

/** A certificate with its key, in PEM. Made when a test asks for it, so that no key is kept anywhere. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
  readonly name: string;
  readonly keyObject: KeyObject;
  /** SHA-256 of the certificate, as `node:tls` has it. */
  readonly fingerprint: string;
}

export interface CertificateOptions {
  /** Names it is for beside `name`; addresses as `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  /** Signed by this one; by itself when left out. */
  readonly issuer?: Certificate;
  /** It signs others. */
  readonly isAuthority?: boolean;
  /** Days from now until it is void; negative: it is. */
  readonly days?: number;
  /** Encrypts the key. */
  readonly passphrase?: string;
}

/** Makes an X.509 certificate (RFC 5280) with a key on P-256. */
export function makeCertificate(name: string, options: CertificateOptions = {}): Certificate {
  const { issuer, days = 30, isAuthority = false, names = [name], passphrase } = options;
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const now = Date.now();
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    nameOf(issuer?.name ?? name),
    sequence(time(now - 2 * DAY), time(now + days * DAY)),
    nameOf(name),
    spki,
    tagged(0xa3, sequence(...extensions(spki, names, isAuthority))),
  );
  const signature = sign('sha256', body, issuer?.keyObject ?? privateKey);
  const der = sequence(body, ECDSA_SHA256, tagged(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const cert = `-----BEGIN CERTIFICATE-----\n${lines(der.toString('base64'))}-----END CERTIFICATE-----\n`;
  const cipher = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }).toString(),
    cert,
    name,
    keyObject: privateKey,
    fingerprint: new X509Certificate(cert).fingerprint256,
  };
}

const DAY = 24 * 3600 * 1000;

/** 1.2.840.10045.4.3.2 */
const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));

function extensions(spki: Buffer, names: readonly string[], isAuthority: boolean): Buffer[] {
  const alternatives = names.map((name) =>
    name.startsWith('IP:')
      ? tagged(0x87, Buffer.from(name.slice(3).split('.').map(Number)))
      : tagged(0x82, Buffer.from(name)),
  );
  const keyId = createHash('sha1').update(spki).digest();
  return [
    // basicConstraints, critical; subjectKeyIdentifier; subjectAltName
    sequence(
      oid('551d13'),
      tagged(0x01, Buffer.from([255])),
      octets(sequence(...(isAuthority ? [tagged(0x01, Buffer.from([255]))] : []))),
    ),
    sequence(oid('551d0e'), octets(octets(keyId))),
    sequence(oid('551d11'), octets(sequence(...alternatives))),
  ];
}

/** A name of one commonName. */
function nameOf(name: string): Buffer {
  return sequence(tagged(0x31, sequence(oid('550403'), tagged(0x0c, Buffer.from(name)))));
}

/** UTCTime, good until 2049. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return tagged(0x17, Buffer.from(digits.slice(2)));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function octets(bytes: Buffer): Buffer {
  return tagged(0x04, bytes);
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'));
}

/** DER: tag, length, content (X.690 §8.1, §10.1). */
function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function lines(base64: string): string {
  return base64.replaceAll(/.{1,64}/g, '$&\n');
}
