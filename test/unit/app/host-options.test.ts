import { describe, expect, it } from 'vitest';
import { checkHosts, type HostOptions } from '../../../src/app/host-options.ts';

const names = (allowedHosts: unknown) =>
  checkHosts('serve', { allowedHosts } as Partial<HostOptions>).allowedHosts;

describe('checkHosts', () => {
  it('has defaults: any name, no TLS in front', () => {
    expect(checkHosts('serve', {})).toEqual({ allowedHosts: null, behindTls: false });
  });

  it('takes true, and what is not given, for any name, but an empty list for none', () => {
    for (const any of [true, undefined, null]) expect(names(any)).toBeNull();
    expect(names([])).toEqual([]);
  });

  it('gives names in lower case', () => {
    expect(names(['Example.COM', '.Example.org', 'xn--bcher-kva.example', 'a_b', 'localhost'])).toEqual([
      'example.com',
      '.example.org',
      'xn--bcher-kva.example',
      'a_b',
      'localhost',
    ]);
  });

  it('takes labels of up to 63 characters, and names of up to 253 with a dot in front', () => {
    const label = 'a'.repeat(63);
    const name = `${label}.${label}.${label}.${'a'.repeat(61)}`;
    expect(names([name, `.${name}`])).toEqual([name, `.${name}`]);
    expect(() => names([`${label}a`])).toThrow(/allowedHosts/);
    expect(() => names([`.${name}aa`])).toThrow(/allowedHosts/);
  });

  it.each([
    '',
    '.',
    '..example.com',
    'example..com',
    'example.com.',
    '*.example.com',
    'https://example.com',
    'example.com:80',
    'bücher.example',
    'a b',
    7,
    null,
  ])('refuses the entry %j and says how names are written', (entry) => {
    expect(() => names(['fine.example', entry])).toThrow(
      /^serve: 'allowedHosts' has the entry .*, which is no host name: write 'example\.com'/,
    );
  });

  it.each(['example.com', false, 7, {}])('refuses %j for the list', (value) => {
    expect(() => names(value)).toThrow(/^serve: 'allowedHosts' must be a list of names .*; got /);
  });
});
