import { expect, it } from 'vitest';
import { ThreadMetrics } from '../../../src/metrics/control-block.ts';
import { IoLoop } from '../../../src/net/io-loop.ts';
import { copyOf, HeadSource } from '../../../src/serving/head-source.ts';

const HEAD = 'GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-Y: z\r\n\r\n';

function sourceOf(): HeadSource {
  return new HeadSource(new IoLoop(ThreadMetrics.alone().counters), { maxHeadSize: 4096, maxHeaders: 100 });
}

it('reads a head anew from where it starts, and out of a copy of its bytes', () => {
  const source = sourceOf();
  const memory = Buffer.concat([Buffer.from('before'), Buffer.from(`${HEAD}body`)]);
  const head = source.read(memory, 6);
  expect([head.path, head.query, head.header('x-y')]).toEqual(['/a', 'b=c', 'z']);
  const copy = copyOf(head);
  memory.fill(0);
  const again = source.read(copy);
  expect([again.path, again.query, again.header('x-y')]).toEqual(['/a', 'b=c', 'z']);
  expect(Buffer.from(copy).toString().trimEnd()).toBe(HEAD.trimEnd());
});

it('each parser is a new one', () => {
  const source = sourceOf();
  expect(source.newParser()).not.toBe(source.newParser());
});
