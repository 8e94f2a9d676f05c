import type { BenchResult } from '../result.ts';
import { PERCENTILES, type PercentileName } from '../statistics.ts';
import { chartData, drawChart } from './chart.ts';
import { chartsOf } from './charts.ts';
import { escapeHtml, scriptJson } from './escape.ts';
import { bytes, capitalized, count, countedBy, milliseconds } from './format.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';

/** A result as one HTML file that needs nothing else: no network, no other file. */
export function benchReport(result: BenchResult): string {
  const charts = chartsOf(result);
  const title = result.title === '' ? `millrace bench ${result.url}` : result.title;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(subtitle(result))}</p>
</header>
${problems(result)}
<dl class="tiles">
${tiles(result)}
</dl>
<div class="charts">
${charts.map(drawChart).join('\n')}
</div>
${percentileTable(result)}
${historyTable(result)}
<footer>${escapeHtml(footer(result))}</footer>
</main>
<script type="application/json" id="charts">${scriptJson(charts.map(chartData))}</script>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function subtitle(result: BenchResult): string {
  const { url, scenario, connections, pipelining, size, workers, duration, rate, start } = result;
  const parts = [url, scenario, `${count(connections)} connections`];
  if (scenario !== 'connect' && scenario !== 'idle') {
    parts.push(`${count(pipelining)} in flight on each`, `messages of ${bytes(size)}`);
  }
  if (rate > 0) parts.push(`${count(rate)} messages a second asked for`);
  parts.push(`${workers} client thread${workers === 1 ? '' : 's'}`, `${duration} s`);
  return `${parts.join(' · ')} · ${start.toISOString().replace('T', ' ').slice(0, 19)} UTC`;
}

function tiles(result: BenchResult): string {
  const { scenario, messages, throughput, latency, client, held, server, stalled, missed, stomp } = result;
  const rows: [name: string, value: string][] = [];
  if (latency.totalCount > 0) {
    const noun = capitalized(countedBy(scenario));
    rows.push([`${noun} a second`, count(messages.average)], [`${noun} in all`, count(messages.total)]);
    rows.push(['Latency, 50 %', milliseconds(latency.p50)], ['Latency, 99 %', milliseconds(latency.p99)]);
    rows.push(['Latency, longest', milliseconds(latency.max)], ['Read a second', bytes(throughput.average)]);
  }
  if (scenario !== 'connect') rows.push(['Connections open', count(held.open)]);
  if (server !== undefined) rows.push(['Memory of a connection', bytes(server.perConnection)]);
  if (stalled !== undefined) rows.push(['Ended by the server', `${stalled.ended} of ${stalled.connections}`]);
  if (stomp !== undefined) {
    rows.push(['From topics', count(stomp.topics)], ['From queues', count(stomp.queues)]);
    rows.push(['Acknowledged', count(stomp.acknowledged)], ['Redelivered', count(stomp.redelivered)]);
    if (stomp.receipts > 0) rows.push(['Receipts', count(stomp.receipts)]);
  }
  if (missed > 0) rows.push(['Left out of the rate', count(missed)]);
  rows.push(['Client, of one core', `${client.cpu} %`]);
  return rows
    .map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`)
    .join('\n');
}

function problems({ errors, timeouts, mismatches, lost, reasons, client, interrupted }: BenchResult): string {
  const lines: string[] = [];
  if (interrupted) lines.push('The run was interrupted: this is what was measured until then.');
  if (client.limited) {
    const remedy = client.starved
      ? 'It did not get the processor: other programs, perhaps the server, took it.'
      : 'Use more client threads, or another machine.';
    lines.push(`The client was the limit: the server may be faster. ${remedy}`);
  }
  if (mismatches > 0) lines.push(`${count(mismatches)} messages are not what they should be.`);
  if (lost > 0) lines.push(`${count(lost)} messages never came.`);
  if (errors > 0) lines.push(`${count(errors)} errors, ${count(timeouts)} of them timeouts.`);
  if (lines.length === 0) return '';
  const items = reasons.map(({ reason, count: times }) => `<li>${count(times)} × ${escapeHtml(reason)}</li>`);
  const list = items.length === 0 ? '' : `<ul>${items.join('')}</ul>`;
  return `<section class="problem" aria-label="Problems">${lines.map((line) => `<div>${escapeHtml(line)}</div>`).join('')}${list}</section>`;
}

function percentileTable({ latency }: BenchResult): string {
  if (latency.totalCount === 0) return '';
  const rows = PERCENTILES.map((percentile) => [
    `${percentile} %`,
    milliseconds(latency[`p${percentile}`.replace('.', '_') as PercentileName]),
  ]);
  rows.push(['mean', milliseconds(latency.mean)], ['standard deviation', milliseconds(latency.stddev)]);
  return details('All percentiles of the latency', ['At most', 'Latency'], rows);
}

function historyTable({ history }: BenchResult): string {
  const rows = history.map(({ time, messages, bytes: read, open, latency }) => [
    `${time} s`,
    count(messages),
    bytes(read),
    count(open),
    ...[latency.p50, latency.p99, latency.max].map(milliseconds),
  ]);
  const head = ['Until', 'Messages a second', 'Read a second', 'Connections', '50 %', '99 %', 'Longest'];
  return details('Second by second', head, rows);
}

function details(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const body = rows.map((row) => cells('td', row)).join('');
  return `<details><summary>${escapeHtml(title)}</summary><div class="scroll"><table><thead>${cells('th', head)}</thead><tbody>${body}</tbody></table></div></details>`;
}

function cells(tag: string, values: readonly string[]): string {
  return `<tr>${values.map((value) => `<${tag}>${escapeHtml(value)}</${tag}>`).join('')}</tr>`;
}

function footer({ client, latency }: BenchResult): string {
  const busiest = Math.round(Math.max(...client.threads) * 100);
  return (
    `${count(latency.totalCount)} latencies. The busiest client thread was busy ${busiest} % of the time. ` +
    'Made by millrace bench.'
  );
}
