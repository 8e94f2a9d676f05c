import { tlsMode } from '../../support/tls/tls-mode.ts';

// The same verdicts over TLS (S07).
tlsMode.isOn = true;
await import('../websocket/backpressure.test.ts');
