import { expect, it } from 'vitest';
import type { HandshakeRequest } from '../../../src/protocol/handshake.ts';
import { refuseUpgrade, type UpgradeRules } from '../../../src/shard/upgrade.ts';

const RULES: UpgradeRules = { origins: '*', protocols: undefined, compression: 0 };

/** A good handshake, but for these headers. */
function handshake(changed: Readonly<Record<string, string>> = {}, method = 'GET'): HandshakeRequest {
  const headers: Readonly<Record<string, string>> = {
    host: 'x',
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
    ...changed,
  };
  return {
    method,
    minorVersion: 1,
    header: (name) => headers[name] ?? '',
    headerCount: (name) => (headers[name] === undefined ? 0 : 1),
  };
}

it('refuses nothing in a good handshake', () => {
  expect(refuseUpgrade(handshake(), RULES)).toBeUndefined();
});

it.each(['', '8', '12', '14', '013'])(
  'answers version %j with the one spoken and what to upgrade to',
  (version) => {
    expect(refuseUpgrade(handshake({ 'sec-websocket-version': version }), RULES)).toBe(
      'HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\nContent-Type: text/plain\r\n' +
        'Content-Length: 33\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\n' +
        'Sec-WebSocket-Version must be 13\n',
    );
  },
);

it('offers no upgrade in other refusals', () => {
  const refusals = [
    refuseUpgrade(handshake({}, 'POST'), RULES),
    refuseUpgrade(handshake({ 'sec-websocket-key': 'short' }), RULES),
    refuseUpgrade(handshake({ origin: 'https://evil.example' }), { ...RULES, origins: [] }),
  ];
  expect(refusals.map((refusal) => refusal?.slice(9, 12))).toEqual(['405', '400', '403']);
  for (const refusal of refusals) {
    expect(refusal).toContain('\r\nConnection: close\r\n');
    expect(refusal).not.toContain('Upgrade:');
  }
});
