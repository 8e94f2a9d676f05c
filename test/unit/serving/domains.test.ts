import { describe, expect, it } from 'vitest';
import { Domains, hostName } from '../../../src/serving/domains.ts';

describe('Domains', () => {
  const domains = new Domains<string>();
  domains.take('example.com', () => 'exact');
  domains.take('*.example.com', () => 'wildcard');
  domains.take('*.com', () => 'top');

  it('makes a value once for each name', () => {
    expect(domains.take('example.com', () => 'another')).toBe('exact');
    expect(domains.isEmpty).toBe(false);
    expect(new Domains().isEmpty).toBe(true);
  });

  it('prefers the name to the wildcard, which stands for exactly one label', () => {
    expect(domains.find('example.com')).toBe('exact');
    expect(domains.find('a.example.com')).toBe('wildcard');
    expect(domains.find('a.b.example.com')).toBeUndefined();
    expect(domains.find('other.com')).toBe('top');
  });

  it.each(['com', '', '.example.com', 'example.org'])('finds nothing for %j', (name) => {
    expect(domains.find(name)).toBeUndefined();
  });

  it('falls back to the wildcard when a name is removed', () => {
    const names = new Domains<number>();
    names.take('a.b', () => 1);
    names.take('*.b', () => 2);
    names.remove('a.b');
    expect(names.find('a.b')).toBe(2);
    names.remove('*.b');
    expect([names.find('a.b'), names.isEmpty]).toEqual([undefined, true]);
  });
});

it.each([
  ['Example.COM', 'example.com'],
  ['example.com:8080', 'example.com'],
  ['127.0.0.1:80', '127.0.0.1'],
  ['[::1]', '[::1]'],
  ['[2001:DB8::1]:443', '[2001:db8::1]'],
  ['example.com:', 'example.com'],
  ['', ''],
])('hostName of %j is %j', (host, name) => {
  expect(hostName(host)).toBe(name);
});
