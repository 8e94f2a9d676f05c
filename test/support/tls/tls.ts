import { once } from 'node:events';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { type AppModule, type AppOptions, type ServeOptions, SSLApp, serve } from 'millrace';
import { HOST, type Mode, type Running, running } from '../servers/server.ts';
import { within } from '../tools/deadline.ts';
import { SERVER_CERTIFICATE, tlsOptions } from './tls-mode.ts';

export { SERVER_CERTIFICATE, tlsOptions } from './tls-mode.ts';

/** Runs an app module of `fixtures/` with TLS, the same way in both modes. */
export async function startTls(
  mode: Mode,
  fixture: string,
  options: Partial<ServeOptions> = {},
): Promise<Running> {
  const url = new URL(`../../integration/fixtures/${fixture}`, import.meta.url);
  const { tls = tlsOptions(), data, ...limits } = options;
  if (mode === 'two shards') {
    const server = await serve({ app: url, port: 0, host: HOST, shards: 2, data, ...limits, tls });
    return running(server.port, server, null, () => server.close({ drain: 0 }), 's');
  }
  const module = (await import(url.href)) as { default: AppModule };
  const app = SSLApp({ ...(limits as AppOptions), ...tls });
  await module.default(app, { index: 0, count: 1, data });
  let port = -1;
  app.listen(HOST, 0, (socket) => {
    if (socket !== false) port = socket.port;
  });
  return running(
    port,
    null,
    app,
    () => {
      app.close();
      return Promise.resolve();
    },
    's',
  );
}

/** A TLS connection after its handshake. Rejects when the handshake fails. */
export async function connectTls(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: HOST, ca: SERVER_CERTIFICATE.cert, ...options });
  await within(once(socket, 'secureConnect'), 'a TLS handshake');
  return socket;
}

/** The error that a handshake ends with: its code. */
export async function tlsErrorOf(port: number, options: ConnectionOptions = {}): Promise<string> {
  const socket = connect({ port, host: HOST, rejectUnauthorized: false, ...options });
  const error = await within(
    new Promise<NodeJS.ErrnoException>((resolve) => {
      // A client of TLS 1.3 is done before the server has looked at its certificate.
      socket.on('error', resolve).on('close', () => resolve(new Error('closed')));
      socket.resume();
    }),
    'the end of a TLS handshake',
  );
  socket.destroy();
  return error.code ?? error.message;
}

/** The fingerprint of the certificate that a client gets who asks for this name. */
export async function fingerprintFor(port: number, servername: string): Promise<string> {
  const socket = await connectTls(port, { servername, rejectUnauthorized: false });
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

/** The body of the answer to a GET. Rejects when the connection ends before. */
export async function requestOver(socket: TLSSocket, path: string, host = 'x'): Promise<string> {
  const answer = new Promise<string>((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const head = text.indexOf('\r\n\r\n') + 4;
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
      if (head > 3 && text.length === head + length) resolve(text.slice(head));
    });
    socket.on('error', reject).on('close', () => {
      reject(new Error('the connection ended'));
    });
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  try {
    return await within(answer, `the answer to GET ${path}`);
  } finally {
    socket.removeAllListeners('data').resume();
  }
}
