import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import type { TlsOptions } from 'millrace';
import { type Certificate, makeCertificate } from './certificates.ts';

/**
 * Whether servers and clients of the helpers here speak TLS. A test file that is to hold over TLS, too, is imported
 * by a file of `integration/tls/` that has switched this on before.
 */
export const tlsMode = { isOn: false };

const ADDRESS = '127.0.0.1';

/** The certificate of servers under test, for 127.0.0.1 and localhost. It signs itself: give it to clients as `ca`. */
export const SERVER_CERTIFICATE: Certificate = makeCertificate('localhost', {
  names: ['localhost', `IP:${ADDRESS}`],
  isAuthority: true,
});

export function tlsOptions({ key, cert }: Certificate = SERVER_CERTIFICATE): TlsOptions {
  return { key_file_name: key, cert_file_name: cert };
}

/** What a client talks through over this connection: the connection itself, or TLS. */
export function securedInTlsMode(tcp: Socket): { socket: Socket; ready: 'connect' | 'secureConnect' } {
  if (!tlsMode.isOn) return { socket: tcp, ready: 'connect' };
  const socket = connect({
    socket: tcp,
    ca: SERVER_CERTIFICATE.cert,
    servername: '',
    checkServerIdentity: () => undefined,
  });
  return { socket, ready: 'secureConnect' };
}
