import { tlsMode } from '../../support/tls-mode.ts';

// The same heads over TLS.
tlsMode.isOn = true;
await import('../http10.test.ts');
