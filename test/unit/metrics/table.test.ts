import { describe, expect, test } from 'vitest';
import { createLinkMemory } from '../../../src/bus/link-memory.ts';
import { ControlBlock, Gauge } from '../../../src/metrics/control-block.ts';
import {
  Counter,
  constantName,
  HISTOGRAM_SLOTS,
  HistogramStart,
  Level,
  THREAD_SLOTS,
} from '../../../src/metrics/counter.ts';
import type { HistogramReading } from '../../../src/metrics/histogram.ts';
import type { Metric } from '../../../src/metrics/metric.ts';
import { PairCounter, PairTable } from '../../../src/metrics/pair-table.ts';
import { RING_METRICS, THREAD_METRICS } from '../../../src/metrics/table.ts';
import { serverMetrics, serverStats } from '../../../src/supervisor/stats.ts';

const ROWS = Object.entries(THREAD_METRICS) as [string, Metric][];

function numbered(): { control: ControlBlock; links: ReturnType<typeof createLinkMemory> } {
  const control = new ControlBlock(2);
  for (const [thread, { counters }] of [
    control.main,
    control.acceptor,
    control.shard(0),
    control.shard(1),
  ].entries()) {
    for (const place of Object.values(Counter)) counters[place] = (thread + 1) * 1000 + place;
    for (const place of Object.values(Level)) counters[place] = (thread + 1) * 1000 + place;
  }
  for (const gauge of Object.values(Gauge)) {
    control.setGauge(0, gauge, gauge === Gauge.STATE ? 2 : 10 + gauge);
    control.setGauge(1, gauge, gauge === Gauge.STATE ? 3 : 20 + gauge);
  }
  const links = createLinkMemory(2, 7, 65_536, 65_536);
  return { control, links };
}

describe('the table of metrics', () => {
  test('gives each row slots of its own, and leaves none over', () => {
    const taken = new Set<number>();
    for (const place of [...Object.values(Counter), ...Object.values(Level)]) taken.add(place);
    for (const start of Object.values(HistogramStart)) {
      for (let i = 0; i < HISTOGRAM_SLOTS; i++) taken.add(start + i);
    }
    expect([...taken].toSorted((a, b) => a - b)).toEqual(Array.from({ length: THREAD_SLOTS }, (_, i) => i));
  });

  test('makes constants of names', () => {
    expect(constantName('messagesIn')).toBe('MESSAGES_IN');
    expect(Counter).toHaveProperty('MESSAGES_IN');
    expect(Level).toHaveProperty('HEARTBEAT_AGE');
    expect(Gauge).toHaveProperty('STALLED');
  });

  test('describes each row in a sentence, and makes differences of counters that are there', () => {
    for (const [name, { help, threads, of }] of [
      ...ROWS,
      ...Object.entries(RING_METRICS as Record<string, Metric>),
    ]) {
      expect(help, name).toMatch(/^[A-Z0-9].*\.$/);
      expect(threads.length, name).toBeGreaterThan(0);
      for (const part of of ?? []) expect(Counter).toHaveProperty(constantName(part));
    }
  });
});

describe('stats() and metrics()', () => {
  test('have each row for each thread of the table, with its value', () => {
    const { control, links } = numbered();
    const stats = serverStats(control, links);
    const readings = serverMetrics(control, links);
    const fields = { main: stats.main, acceptor: stats.acceptor, shard: stats.shards[1]! } as Record<
      string,
      object
    >;
    for (const [name, row] of ROWS) {
      const reading = readings.find((one) => one.name === name)!;
      expect(reading).toMatchObject({ kind: row.kind, unit: row.unit, help: row.help });
      for (const [role, has] of Object.entries(fields)) {
        const isHere = row.threads.includes(role);
        expect(name in has, `${role} ${name}`).toBe(isHere);
        const { value } = reading.values.findLast(({ labels }) => labels['thread'] === role) ?? {};
        expect(value !== undefined, `${role} ${name}`).toBe(isHere);
        // These are shown in another form, or run on.
        if (!isHere || ['state', 'heartbeatAge', 'overLimit', 'handoffFailed'].includes(name)) continue;
        const shown = (has as Record<string, unknown>)[name];
        expect(shown, `${role} ${name}`).toEqual(
          row.kind === 'histogram' ? (value as HistogramReading).stats() : value,
        );
      }
    }
    expect(Object.keys(stats.shards[0]!).toSorted()).toEqual(
      [
        ...ROWS.filter(([, { threads }]) => threads.includes('shard')).map(([name]) => name),
        'index',
      ].toSorted(),
    );
    expect(readings.filter(({ name }) => !name.startsWith('ring'))).toHaveLength(ROWS.length);
  });

  test('have in total what the shards have together', () => {
    const { control, links } = numbered();
    control.shard(0).histograms.handlerTime.record(1);
    control.shard(1).histograms.handlerTime.record(2);
    const { total, shards, acceptor } = serverStats(control, links);
    expect(total.messagesIn).toBe(shards[0]!.messagesIn + shards[1]!.messagesIn);
    expect(total.live).toBe(shards[0]!.live + shards[1]!.live);
    expect(total.handlerTime).toMatchObject({ count: 2, sum: 3 });
    expect(total).not.toHaveProperty('state');
    expect(total).not.toHaveProperty('index');
    expect(total.heartbeatAge).toBeLessThan(shards[0]!.heartbeatAge + shards[1]!.heartbeatAge);
    expect(shards.map(({ state }) => state)).toEqual(['stalled', 'draining']);
    const place = Counter.OVER_LIMIT;
    expect(acceptor.overLimit).toBe(2000 + 3000 + 4000 + 3 * place);
  });

  test('have the rows of the rings, of pairs between which there was something', () => {
    const { control, links } = numbered();
    expect(serverStats(control, links).rings).toEqual([]);
    const counters = new PairTable(links.pairs, links.threads, links.threads).counters(1, 0);
    for (const place of Object.values(PairCounter)) counters.set(place, 100 + place);
    const { rings } = serverStats(control, links);
    expect(rings).toHaveLength(1);
    const readings = serverMetrics(control, links).filter(({ name }) => name.startsWith('ring'));
    expect(readings).toHaveLength(Object.keys(RING_METRICS).length);
    for (const ring of rings) {
      expect(Object.keys(ring).toSorted()).toEqual(['from', 'to', ...Object.keys(RING_METRICS)].toSorted());
      expect(ring).toMatchObject({
        from: 1,
        to: 0,
        written: 100 + PairCounter.WRITTEN,
        lost: 100 + PairCounter.LOST,
      });
      expect(readings.find(({ name }) => name === 'ringLost')!.values).toEqual([
        { labels: { from: '1', to: '0' }, value: 100 + PairCounter.LOST },
      ]);
    }
  });
});
