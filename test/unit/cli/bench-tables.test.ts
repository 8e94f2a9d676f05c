import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { BenchProgressBar } from '../../../src/cli/bench-progress.ts';
import { benchTables } from '../../../src/cli/bench-tables.ts';
import { benchResult } from '../../support/tools/bench-result.ts';

const plain = { bold: (text: string) => text, dim: (text: string) => text };
const tables = (changes: Parameters<typeof benchResult>[0], all = false): string =>
  benchTables(benchResult(changes), plain, all);

describe('the tables of bench', () => {
  it('show latency and rates', () => {
    const text = tables({ title: 'A title' });
    expect(text).toMatch(/^\nA title\n/);
    expect(text).toContain('│ Latency │ 0.2 ms │ 0.5 ms │');
    expect(text).toMatch(/│ Msg\/Sec {3}│ [\d,]+ +│/);
    expect(text).toMatch(/│ Bytes\/Sec │ 6 MB +│/);
    expect(text).toContain(
      '1,800,000 messages in 20.01 s, 120 MB read\nRates are counted once a second: 20 samples.',
    );
    expect(text).toContain('60 of 60 connections open at the end; opened in 31 ms');
    expect(text).toContain(
      'The client took 42.5 % of one core; the busiest of 1 thread was busy 55 % of the time.\n',
    );
    expect(text).not.toContain('Percentile');
    expect(tables({}, true)).toContain('│ 99.999%    │ 180 ms  │');
  });

  it('warn when the client was the limit', () => {
    expect(tables({})).not.toContain('limit');
    const client = { cpu: 99, threads: [0.4, 0.97], limited: true, starved: false };
    const text = tables({ client });
    expect(text).toContain('the busiest of 2 threads was busy 97 % of the time.');
    expect(text).toContain('The client was the limit: the server may be faster. Use more client threads');
    const starved = tables({ client: { ...client, starved: true } });
    expect(starved).toContain('It did not get the processor: other programs');
  });

  it('tell what went wrong, and nothing when nothing did', () => {
    expect(tables({})).not.toMatch(/error|mismatch|lost|anew|Interrupted/);
    const reasons = [
      { reason: 'the server reset the connection', count: 2 },
      { reason: 'no reply within 1 s', count: 1 },
    ];
    const text = tables({
      errors: 3,
      timeouts: 1,
      resets: 1,
      mismatches: 1,
      lost: 1,
      interrupted: true,
      reasons,
    });
    expect(text).toContain(
      '3 errors (1 timeout)\n  2 × the server reset the connection\n  1 × no reply within 1 s\n1 connection opened anew\n',
    );
    expect(text).toContain(
      '1 mismatch: messages that are not what they should be\n1 message lost: they never came',
    );
    expect(text).toContain('Interrupted: this is what was measured until then.');
  });

  it('speak of what the scenario counts', () => {
    expect(tables({ scenario: 'connect' })).toMatch(/Handshakes\/Sec[\s\S]*1,800,000 handshakes in/);
    expect(tables({ scenario: 'connect' })).not.toContain('open at the end');
    expect(tables({ scenario: 'broadcast' })).toMatch(/Deliveries\/Sec[\s\S]*1,800,000 deliveries in/);
    const server = { pid: 5, before: 50e6, after: 60e6, perConnection: 2048 };
    const idle = tables({ scenario: 'idle', server });
    expect(idle).toContain(
      "The server's memory: 50 MB before, 60 MB at the end, 2.05 kB for each connection.",
    );
    expect(idle).not.toContain('│');
    expect(tables({ scenario: 'slow', stalled: { connections: 30, ended: 2, sent: 5e6 } })).toContain(
      '30 connections did not read: they could send 5 MB, and the server ended 2 of them.',
    );
    const stomp = { topics: 1000, queues: 500, acknowledged: 499, redelivered: 2, receipts: 1500 };
    expect(tables({ scenario: 'stomp', stomp })).toContain(
      '1,000 from topics, 500 from queues; 499 acknowledged, 2 redelivered, 1,500 receipts.',
    );
    expect(tables({ rate: 5000, missed: 1 })).toContain(
      'The rate was 5,000 messages a second; 1 message left out',
    );
  });
});

/** A stream that is a terminal, or says so. */
function terminal(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  const stream = new PassThrough();
  const written: string[] = [];
  stream.on('data', (data: Buffer) => written.push(data.toString()));
  const faces = { isTTY, columns: 100, cursorTo: () => true, clearLine: () => true };
  return {
    stream: Object.assign(stream, faces) as unknown as NodeJS.WriteStream,
    text: () => written.join(''),
  };
}

describe('the progress bar', () => {
  const progress = { phase: 'running', done: 0.5, open: 60, messagesPerSecond: 12_345 } as const;

  it('is drawn on a terminal, below what begins', () => {
    const { stream, text } = terminal(true);
    const bar = new BenchProgressBar(stream, 'Running');
    bar.update({ ...progress, phase: 'opening', done: 1, messagesPerSecond: 0 });
    bar.update(progress);
    bar.end();
    expect(text()).toMatch(/^Running\n/);
    expect(text()).toMatch(/running \[=+ +\] 50% 12,345 a second, 60 connections/);
  });

  it('is not drawn elsewhere, and nothing is said when nothing is wanted', () => {
    const file = terminal(false);
    new BenchProgressBar(file.stream, 'Running').update(progress);
    expect(file.text()).toBe('Running\n');
    const silent = terminal(true);
    const bar = new BenchProgressBar(silent.stream, null);
    bar.update(progress);
    bar.end();
    expect(silent.text()).toBe('');
  });
});
