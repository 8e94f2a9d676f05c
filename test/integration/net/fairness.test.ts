import { serve } from 'millrace';
import { expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { frameBytes, SAMPLE_KEY, text } from '../../support/protocol/frame-bytes.ts';
import { HOST } from '../../support/servers/server.ts';
import { sleep } from '../../support/tools/deadline.ts';

test('a client that sends a million messages in one burst does not keep another waiting for its end', async () => {
  const app = new URL('../fixtures/fairness-app.js', import.meta.url);
  await using server = await serve({ app, port: 0, host: HOST, shards: 1 });
  const flood = await RawClient.webSocket(server.port, '/flood');
  const other = await Client.connect(`ws://${HOST}:${server.port}/count`);
  const total = 1_000_000;
  const frame = Buffer.from(frameBytes(text('x'), SAMPLE_KEY));
  flood.write(Buffer.alloc(total * frame.length, frame));

  const counts: number[] = [];
  while (counts.length < 5 || counts.at(-1) === 0) counts.push(Number(await other.ask('how many?')));
  // All of these were answered while the burst was under way.
  expect(counts.at(-1)).toBeGreaterThan(0);
  expect(counts.at(-1)).toBeLessThan(total);
  let last = counts.at(-1)!;
  while (last < total) {
    await sleep(10);
    last = Number(await other.ask('how many?'));
  }
  expect(last).toBe(total);
  flood.destroy();
  await other.close();
});
