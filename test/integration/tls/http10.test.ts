import { tlsMode } from '../../support/tls/tls-mode.ts';

// The same heads over TLS.
tlsMode.isOn = true;
await import('../serving/http10.test.ts');
