import Table from 'cli-table3';
import {
  type BenchResult,
  formatBytes,
  formatMilliseconds,
  PERCENTILES,
  type PercentileName,
  type Spread,
} from '../load/index.ts';
import { plural } from './banner.ts';
import type { Style } from './terminal.ts';

/** How a scenario calls what it counts. */
const COUNTED: Readonly<Record<string, readonly [one: string, row: string]>> = {
  echo: ['message', 'Msg/Sec'],
  slow: ['message', 'Msg/Sec'],
  broadcast: ['delivery', 'Deliveries/Sec'],
  connect: ['handshake', 'Handshakes/Sec'],
  idle: ['message', 'Msg/Sec'],
  stomp: ['delivery', 'Deliveries/Sec'],
};

/** What `millrace bench` prints. */
export function benchTables(result: BenchResult, style: Style, withAllPercentiles: boolean): string {
  const blocks = [result.title === '' ? '' : style.bold(result.title)];
  if (result.scenario !== 'idle') {
    blocks.push(latencyTable(result, style), rateTable(result, style));
    if (withAllPercentiles) blocks.push(percentileTable(result, style));
  }
  blocks.push(summary(result), problems(result, style), client(result, style));
  return `\n${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}

function latencyTable({ latency }: BenchResult, style: Style): string {
  const head = ['Stat', '2.5%', '50%', '97.5%', '99%', '99.9%', 'Avg', 'Stdev', 'Max'];
  const { p2_5, p50, p97_5, p99, p99_9, average, stddev, max } = latency;
  const values = [p2_5, p50, p97_5, p99, p99_9, average, stddev, max];
  return table(head, [['Latency', ...values.map(formatMilliseconds)]], style);
}

function rateTable({ scenario, messages, throughput }: BenchResult, style: Style): string {
  const head = ['Stat', '1%', '2.5%', '50%', '97.5%', 'Avg', 'Stdev', 'Min'];
  const rows = [
    [COUNTED[scenario]![1], ...ratesOf(messages).map((value) => count(Math.round(value)))],
    ['Bytes/Sec', ...ratesOf(throughput).map(formatBytes)],
  ];
  return table(head, rows, style);
}

function ratesOf({ p1, p2_5, p50, p97_5, average, stddev, min }: Spread): number[] {
  return [p1, p2_5, p50, p97_5, average, stddev, min];
}

function percentileTable({ latency }: BenchResult, style: Style): string {
  const rows = PERCENTILES.map((percentile) => [
    `${percentile}%`,
    formatMilliseconds(latency[`p${percentile}`.replace('.', '_') as PercentileName]),
  ]);
  return table(['Percentile', 'Latency'], rows, style);
}

function table(head: readonly string[], rows: readonly (readonly string[])[], style: Style): string {
  // Colours are ours, so that a file or NO_COLOR gets none.
  const drawn = new Table({ head: head.map((text) => style.bold(text)), style: { head: [], border: [] } });
  for (const [name = '', ...values] of rows) drawn.push([style.bold(name), ...values]);
  return drawn.toString();
}

function summary(result: BenchResult): string {
  const { scenario, messages, throughput, duration, held, connections, server, stalled, missed, rate } =
    result;
  const [noun] = COUNTED[scenario]!;
  const lines: string[] = [];
  if (scenario !== 'idle') {
    lines.push(`${counted(messages.total, noun)} in ${duration} s, ${formatBytes(throughput.total)} read`);
    lines.push(`Rates are counted once a second: ${plural(result.samples, 'sample')}.`);
  }
  if (scenario !== 'connect') {
    lines.push(
      `${count(held.open)} of ${plural(connections, 'connection')} open at the end; opened in ${count(held.openedIn)} ms`,
    );
  }
  if (rate > 0)
    lines.push(
      `The rate was ${count(rate)} messages a second; ${counted(missed, 'message')} left out, as too many were in flight.`,
    );
  if (stalled !== undefined) {
    lines.push(
      `${plural(stalled.connections, 'connection')} did not read: they could send ${formatBytes(stalled.sent)}, ` +
        `and the server ended ${count(stalled.ended)} of them.`,
    );
  }
  if (result.stomp !== undefined) {
    const { topics, queues, acknowledged, redelivered, receipts } = result.stomp;
    lines.push(
      `${count(topics)} from topics, ${count(queues)} from queues; ${count(acknowledged)} acknowledged, ` +
        `${count(redelivered)} redelivered${receipts > 0 ? `, ${plural(receipts, 'receipt')}` : ''}.`,
    );
  }
  if (server !== undefined) {
    lines.push(
      `The server's memory: ${formatBytes(server.before)} before, ${formatBytes(server.after)} at the end, ` +
        `${formatBytes(server.perConnection)} for each connection.`,
    );
  }
  return lines.join('\n');
}

function problems(result: BenchResult, style: Style): string {
  const { errors, timeouts, mismatches, lost, resets, reasons, interrupted } = result;
  const lines: string[] = [];
  if (interrupted) lines.push('Interrupted: this is what was measured until then.');
  if (errors > 0) {
    lines.push(style.bold(`${plural(errors, 'error')} (${plural(timeouts, 'timeout')})`));
    for (const { reason, count: times } of reasons) lines.push(`  ${count(times)} × ${reason}`);
  }
  if (resets > 0) lines.push(`${plural(resets, 'connection')} opened anew`);
  if (mismatches > 0)
    lines.push(style.bold(`${counted(mismatches, 'mismatch')}: messages that are not what they should be`));
  if (lost > 0) lines.push(style.bold(`${counted(lost, 'message')} lost: they never came`));
  return lines.join('\n');
}

function client({ client: { cpu, threads, limited, starved } }: BenchResult, style: Style): string {
  const busiest = Math.round(Math.max(...threads) * 100);
  const busy = `the busiest of ${plural(threads.length, 'thread')} was busy ${busiest} % of the time`;
  const line = `The client took ${cpu} % of one core; ${busy}.`;
  if (!limited) return line;
  const remedy = starved
    ? 'It did not get the processor: other programs, perhaps the server, took it. Use another machine, or fewer threads.'
    : 'Use more client threads (-w), or another machine.';
  return `${line}\n${style.bold('The client was the limit: the server may be faster.')} ${remedy}`;
}

function counted(value: number, noun: string): string {
  const ending = noun.endsWith('y')
    ? `${noun.slice(0, -1)}ies`
    : noun.endsWith('ch')
      ? `${noun}es`
      : `${noun}s`;
  return `${count(value)} ${value === 1 ? noun : ending}`;
}

function count(value: number): string {
  return value.toLocaleString('en');
}
