import { expect, it } from 'vitest';
import { RouteTable } from '../../../src/acceptor/route-table.ts';
import { ParseStatus, RequestParser } from '../../../src/http/request-parser.ts';
import type { RouteEntry } from '../../../src/shard/control-message.ts';

const rules = { origins: 'any', protocols: undefined, compression: 0 } as unknown as RouteEntry['rules'];

function entry(pattern: string, hasUpgrade = false): RouteEntry {
  return { pattern, rules, hasUpgrade };
}

function numberOf(table: RouteTable, path: string): number {
  const parser = new RequestParser();
  const bytes = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect(parser.feed(bytes, 0, bytes.length)).toBe(ParseStatus.COMPLETE);
  return table.find(parser.head);
}

it('finds the number of the first route that a request is for, in the order of the module', () => {
  const table = new RouteTable([entry('/chat'), entry('/room/:name'), entry('/*')]);
  expect(['/chat', '/chat?x=1', '/room/a', '/else'].map((path) => numberOf(table, path))).toEqual([
    0, 0, 1, 2,
  ]);
  expect(numberOf(new RouteTable([entry('/chat')]), '/else')).toBe(-1);
  expect(numberOf(new RouteTable([]), '/')).toBe(-1);
});

it('is told from the table of another module by all that is said of its routes', () => {
  const { signature } = new RouteTable([entry('/chat')]);
  expect(RouteTable.signatureOf([entry('/chat')])).toBe(signature);
  expect(RouteTable.signatureOf([entry('/chat', true)])).not.toBe(signature);
  expect(RouteTable.signatureOf([entry('/chat'), entry('/')])).not.toBe(signature);
});
