import { describe, expect, test } from 'vitest';
import { AllowedHosts } from '../../../src/http/allowed-hosts.ts';

const hosts = new AllowedHosts(['example.com', '.example.org', 'under_score.test']);

describe('the hosts that are allowed', () => {
  test.each([
    'example.com',
    'example.com:8080',
    'EXAMPLE.com:1',
    'example.com.',
    'example.com.:80',
    'example.org',
    'a.example.org:443',
    'a.b.Example.Org',
    'under_score.test',
    'localhost',
    'localhost:9001',
    'app.localhost:9001',
    '127.0.0.1',
    '10.0.0.1:9001',
    '[::1]',
    '[2001:db8::1]:9001',
    '',
  ])('%j is', (host) => {
    expect(hosts.has(host)).toBe(true);
  });

  test.each([
    'evil.com',
    'evil.com:8080',
    'a.example.com',
    'example.com.evil.com',
    'badexample.org',
    'xexample.com',
    'localhost.evil.com',
    'notlocalhost',
    '127.0.0.1.evil.com',
    '1.2.3.4.nip.io:9001',
    'example.com:80:80',
    '.',
    ':80',
  ])('%j is not', (host) => {
    expect(hosts.has(host)).toBe(false);
  });
});
