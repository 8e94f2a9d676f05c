import { tlsMode } from '../../support/tls-mode.ts';

// The same verdicts over TLS (S07).
tlsMode.isOn = true;
await import('../turns.test.ts');
