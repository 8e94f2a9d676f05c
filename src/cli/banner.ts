import { isIP } from 'node:net';
import type { Server } from '../app/server.ts';
import type { ServeLimits } from '../options/server-limits.ts';
import type { ServeArgs } from './commands/serve-args.ts';
import type { Style } from './terminal.ts';

/** What `millrace serve` says when it accepts connections. */
export function banner(
  server: Pick<Server, 'port' | 'shards' | 'handoff' | 'limits'>,
  { module, options, close }: ServeArgs,
  style: Style,
): string {
  const { port, shards, handoff, limits } = server;
  const { host = '::', balance = 'least-connections' } = options;
  const rows = [
    ['open', style.bold(urlOf(host, port, options.tls !== undefined))],
    ['listens', `${host} port ${port}, pid ${process.pid}`],
    ['shards', `${plural(shards, 'thread')}, balance ${balanceText(balance)}, handoff ${handoff}`],
    ['limits', limitsText(limits)],
  ] as const;
  const lines = rows.map(([name, text]) => `  ${style.dim(name.padEnd(9))}${text}\n`);
  return (
    `millrace serves ${style.bold(module)}, ready in ${process.uptime().toFixed(2)} s\n\n${lines.join('')}\n` +
    `${style.dim(`Ctrl+C or SIGTERM drains for at most ${close.drain / 1000} s; a second time ends at once.`)}\n`
  );
}

/** The address to open in a browser of this machine. */
export function urlOf(host: string, port: number, isTls = false): string {
  const isAny = host === '::' || host === '0.0.0.0';
  const name = isAny ? 'localhost' : isIP(host) === 6 ? `[${host}]` : host;
  return `http${isTls ? 's' : ''}://${name}:${port}/`;
}

function balanceText(balance: NonNullable<ServeArgs['options']['balance']>): string {
  if (typeof balance === 'string') return balance;
  const { sticky } = balance;
  if (typeof sticky === 'string') return `sticky:${sticky}`;
  return 'header' in sticky ? `sticky:header=${sticky.header}` : `sticky:cookie=${sticky.cookie}`;
}

function limitsText(limits: Readonly<ServeLimits>): string {
  const { maxConnections, maxConnectionsPerAddress, handshakeTimeout, maxHeadSize, maxHeaders } = limits;
  const perAddress =
    maxConnectionsPerAddress === 0 ? 'any number' : maxConnectionsPerAddress.toLocaleString('en');
  return (
    `${plural(maxConnections, 'connection')}, ${perAddress} per address; handshake within ${handshakeTimeout} s, ` +
    `head of ${plural(maxHeadSize, 'byte')} and ${plural(maxHeaders, 'header')}`
  );
}

/** A count with its noun. */
export function plural(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}
