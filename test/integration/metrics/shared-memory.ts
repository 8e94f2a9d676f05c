import { createLinkMemory, type LinkMemory, ringRegion } from '../../../src/bus/link-memory.ts';
import { Links } from '../../../src/bus/links.ts';
import { ControlBlock } from '../../../src/metrics/control-block.ts';
import type { MetricReading } from '../../../src/metrics/readings.ts';
import { RingHeader } from '../../../src/ring/layout.ts';
import {
  createSubscriberCounts,
  LocalCounts,
  SubscriberCounts,
} from '../../../src/ring/subscriber-counts.ts';
import { serverMetrics } from '../../../src/supervisor/stats.ts';
import { LinkThread, quiet } from '../../unit/bus/link-threads.ts';

type Both = [before: readonly MetricReading[], after: readonly MetricReading[]];

async function both(links: LinkMemory, change: () => Promise<void>): Promise<Both> {
  const control = new ControlBlock(links.threads - 2);
  const before = serverMetrics(control, links);
  await change();
  return [before, serverMetrics(control, links)];
}

/** A thread has written over another one's ring, as only a fault of the engine could. */
export function damagedRing(): Promise<Both> {
  const links = createLinkMemory(2, 1, 65_536, 65_536);
  return both(links, async () => {
    const zero = new LinkThread(links, 0);
    const one = new LinkThread(links, 1).listen().subscribe('news');
    zero.publish('news', 'first');
    zero.flush();
    await quiet(links);
    const { buffer, byteOffset } = ringRegion(links, 0, 1);
    new Int32Array(buffer, byteOffset)[RingHeader.HEAD >> 2]! += 4096;
    zero.publish('news', 'second');
    zero.flush();
    await quiet(links);
    zero.links.close();
    one.links.close();
  });
}

/** The tables of topic counts are full, and no more can be had. */
export function fullCounts(): Promise<Both> {
  const counts = createSubscriberCounts(2, 16, 1, 0);
  const links: LinkMemory = { ...createLinkMemory(2, 1, 65_536, 65_536), counts };
  return both(links, () => {
    const local = new LocalCounts(new SubscriberCounts(counts), 0);
    for (let i = 0; i < 100; i++) local.set(`topic ${i}`, 1, 0);
    return Promise.resolve();
  });
}

/** A thread ends with a record unread and another not sent off yet; nobody takes the one its successor gets. */
export function endedReader(): Promise<Both> {
  const links = createLinkMemory(2, 1, 65_536, 65_536);
  return both(links, async () => {
    const [zero, one] = [new LinkThread(links, 0).listen(), new LinkThread(links, 1).listen()];
    await quiet(links);
    one.die();
    const note = (): number => zero.links.sendTo(1, 200, Buffer.from('a note'));
    note();
    zero.flush();
    note();
    zero.links.clearThread(1);
    const next = new Links(links, 1, () => {});
    next.listen(0, { onRecord: () => false, onInstance: () => {} });
    zero.flush();
    await quiet(links);
    note();
    zero.flush();
    await quiet(links);
    zero.links.close();
    next.close();
  });
}
