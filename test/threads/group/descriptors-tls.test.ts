import { App, SSLApp, type TemplatedApp } from 'millrace';
import { afterEach, expect, it } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { HOST } from '../../support/servers/server.ts';
import { SERVER_CERTIFICATE, tlsOptions } from '../../support/tls/tls.ts';
import { until } from '../../support/tools/deadline.ts';

const TRUST = { ca: SERVER_CERTIFICATE.cert };
let open: TemplatedApp[] = [];
afterEach(() => {
  for (const app of open.splice(0)) app.close();
});

it.each([
  ['App', () => App()],
  ['SSLApp', () => SSLApp(tlsOptions())],
])('an SSLApp behind an %s does the TLS handshake itself', async (_name, createAcceptor) => {
  const acceptor = createAcceptor();
  const child = SSLApp(tlsOptions());
  open = [acceptor, child];
  child.ws('/', {
    message: (ws, message) => {
      ws.send(`from the child: ${Buffer.from(message).toString()}`);
    },
  });
  let port = -1;
  acceptor.listen(HOST, 0, (socket) => {
    if (socket !== false) port = socket.port;
  });
  acceptor.addChildAppDescriptor(child.getDescriptor());
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => Client.connect(`wss://${HOST}:${port}/`, TRUST)),
  );
  for (const [i, client] of clients.entries()) {
    expect(await client.ask(`hello ${i}`)).toBe(`from the child: hello ${i}`);
    await client.close();
  }
  await until(() => acceptor.childAppStats().children[0]?.waiting === 0, 'all are taken');
});
