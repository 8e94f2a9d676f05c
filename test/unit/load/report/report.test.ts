import { describe, expect, it } from 'vitest';
import { chartsOf } from '../../../../src/load/report/charts.ts';
import { escapeHtml, scriptJson } from '../../../../src/load/report/escape.ts';
import { bytes, milliseconds } from '../../../../src/load/report/format.ts';
import { benchReport } from '../../../../src/load/report/report.ts';
import { benchResult } from '../../../support/tools/bench-result.ts';

const ids = (changes: Parameters<typeof benchResult>[0]): string[] =>
  chartsOf(benchResult(changes)).map(({ id }) => id);

describe('the report', () => {
  it('has the charts that the scenario has something for', () => {
    const echo = ['throughput', 'latency', 'percentiles', 'connection-messages', 'connection-latency'];
    expect(ids({})).toEqual(echo);
    expect(ids({ scenario: 'connect' })).toEqual(echo.slice(0, 3));
    const nothing = { ...benchResult().latency, totalCount: 0 };
    expect(ids({ scenario: 'idle', latency: nothing })).toEqual(['open']);
    const history = benchResult().history.map((sample) => Object.assign(sample, { serverMemory: 5e7 }));
    const server = { pid: 1, before: 4e7, after: 5e7, perConnection: 2000 };
    expect(ids({ scenario: 'idle', latency: nothing, history, server })).toEqual(['open', 'memory']);
  });

  it('escapes everything that comes from outside', () => {
    const evil = `</script><img src=x onerror="alert(1)">'&`;
    const reasons = [{ reason: evil, count: 1 }];
    const html = benchReport(benchResult({ title: evil, url: evil, errors: 1, reasons }));
    expect(html).not.toContain('<img');
    expect(html.match(/<\/script>/g)).toHaveLength(2);
    expect(html).toContain(escapeHtml(evil));
    expect(JSON.parse(scriptJson({ evil }))).toEqual({ evil });
    expect(scriptJson(`<!--${evil}`)).not.toMatch(/[<>&]/);
  });

  it('names nothing outside of itself', () => {
    const html = benchReport(benchResult());
    const withoutUrl = html.replaceAll('ws://localhost:9001/', '');
    expect(withoutUrl).not.toMatch(/https?:|\/\/[a-z]|@import|url\(/i);
  });

  it('has only numbers that are numbers, whatever the result', () => {
    const short = benchResult();
    const client = { cpu: 99, threads: [1], limited: true, starved: false };
    const results = [
      short,
      benchResult({ history: short.history.slice(0, 1), perConnection: short.perConnection.slice(0, 1) }),
      benchResult({ history: [], curve: [], perConnection: [] }),
      benchResult({
        curve: [
          [0, 5],
          [100, 5],
        ],
      }),
      benchResult({ interrupted: true, lost: 3, mismatches: 4, missed: 5, client }),
    ];
    for (const result of results) expect(benchReport(result)).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('numbers for people', () => {
  it('have three digits and a unit', () => {
    expect([0, 999, 1000, 123_456, 1e7, 5.4321e12].map(bytes)).toEqual([
      '0 B',
      '999 B',
      '1 kB',
      '123 kB',
      '10 MB',
      '5.43 TB',
    ]);
    expect(bytes(-2048)).toBe('-2.05 kB');
    expect([0, 0.0123456, 1.5, 12_345].map(milliseconds)).toEqual([
      '0 ms',
      '0.0123 ms',
      '1.5 ms',
      '12300 ms',
    ]);
  });
});
