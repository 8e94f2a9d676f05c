import { describe, expect, test } from 'vitest';
import { banner, plural, urlOf } from '../../../src/cli/banner.ts';
import { parseServeArgs } from '../../../src/cli/commands/serve-args.ts';
import { checkServeLimits } from '../../../src/options/server-limits.ts';

const plain = { bold: (text: string) => text, dim: (text: string) => text };

function bannerOf(argv: string, limits: object = {}): string {
  const args = parseServeArgs(['app.js', ...argv.split(' ').filter(Boolean)])!;
  const server = {
    port: args.options.port,
    shards: args.options.shards ?? 1,
    handoff: 'channel' as const,
    limits: checkServeLimits('serve', { maxConnections: 19_872, ...limits }),
  };
  return banner(server, args, plain);
}

describe('banner', () => {
  test('tells the address to open, shards, balance, handoff, limits and the process', () => {
    const text = bannerOf('--port 8080 --shards 2 --drain 2500');
    expect(text).toContain('http://localhost:8080/');
    expect(text).toContain(`:: port 8080, pid ${process.pid}`);
    expect(text).toContain('2 threads, balance least-connections, handoff channel');
    expect(text).toContain('19,872 connections, any number per address; handshake within 10 s');
    expect(text).toContain('head of 4,096 bytes and 100 headers');
    expect(text).toContain('drains for at most 2.5 s');
  });

  test('tells one thread from many, and limits that were set', () => {
    const text = bannerOf('', { maxConnectionsPerAddress: 20, maxConnections: 1 });
    expect(text).toContain('1 thread,');
    expect(text).toContain('1 connection, 20 per address');
  });

  test.each(['sticky:ip', 'sticky:header=x-user', 'sticky:cookie=sid', 'round-robin'])(
    'writes balance %s as the flag has it',
    (balance) => {
      expect(bannerOf(`--balance ${balance}`)).toContain(`balance ${balance},`);
    },
  );

  test('marks text only in the way it is given', () => {
    // oxlint-disable-next-line no-control-regex
    expect(bannerOf('')).not.toMatch(/\u001b/);
  });
});

describe('urlOf', () => {
  test.each([
    ['::', 'http://localhost:1/'],
    ['0.0.0.0', 'http://localhost:1/'],
    ['127.0.0.1', 'http://127.0.0.1:1/'],
    ['::1', 'http://[::1]:1/'],
    ['example.com', 'http://example.com:1/'],
  ])('of %s is %s', (host, url) => {
    expect(urlOf(host, 1)).toBe(url);
  });
});

test('plural writes thousands and one', () => {
  expect([0, 1, 2, 12_345].map((count) => plural(count, 'shard'))).toEqual([
    '0 shards',
    '1 shard',
    '2 shards',
    '12,345 shards',
  ]);
});
