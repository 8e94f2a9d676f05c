import { createApp, type TemplatedApp } from '../../../src/app/app.ts';
import { listenTcp, type TcpSessions } from '../../../src/stomp/front/tcp-binding.ts';
import type { SessionOptions } from '../../../src/stomp/session/session-port.ts';
import { SimpleBroker } from './simple-broker.ts';

/** A simple broker behind a TCP port. */
export class TcpBroker extends SimpleBroker implements TcpSessions<string> {
  readonly app: TemplatedApp;
  readonly port: number;
  maxBackpressure = 1024 * 1024;
  writeTimeout = 30;
  slowReaders = 0;

  constructor(
    options: Partial<SessionOptions> = {},
    app = createApp({ maxConnectionsPerAddress: 0 }),
    tls = false,
  ) {
    super(options);
    this.app = app;
    this.port = listenTcp(app, '/stomp', { port: 0, host: '127.0.0.1', tls }, this).port;
  }

  onSlowReader(): void {
    this.slowReaders++;
  }

  close(): void {
    this.app.close();
  }
}
