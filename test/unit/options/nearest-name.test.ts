import { describe, expect, test } from 'vitest';
import { misspelt, nearest } from '../../../src/options/nearest-name.ts';

describe('nearest', () => {
  const words = ['port', 'host', 'shards', 'max-connections', 'max-connections-per-address'];

  test.each([
    ['prot', 'port'],
    ['ports', 'port'],
    ['hots', 'host'],
    ['shard', 'shards'],
    ['max-conections', 'max-connections'],
    ['max-connections-per-adress', 'max-connections-per-address'],
    ['max-conn', 'max-connections'],
    ['sha', 'shards'],
  ])('takes %s for %s', (word, meant) => {
    expect(nearest(word, words)).toBe(meant);
  });

  test.each(['cert', 'x', '', 'status-port'])('takes %j for nothing', (word) => {
    expect(nearest(word, words)).toBeUndefined();
  });
});

describe('misspelt', () => {
  const words = ['maxConnections', 'maxHeadSize', 'writeTimeout', 'key_file_name', 'tls'];

  test.each([
    ['maxConection', 'maxConnections'],
    ['max_connections', 'maxConnections'],
    ['maxHeaderSize', 'maxHeadSize'],
    ['keyFileName', 'key_file_name'],
    ['TLS', 'tls'],
    ['tsl', 'tls'],
  ])('takes %s for %s', (word, meant) => {
    expect(misspelt(word, words)).toBe(meant);
  });

  test.each(['idleTimeout', 'maxConn', 'key', 'http', ''])('takes %j for nothing', (word) => {
    expect(misspelt(word, words)).toBeUndefined();
  });
});
