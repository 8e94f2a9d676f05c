import { isMainThread } from 'node:worker_threads';
import { errorText, reportError } from '../error-report.ts';
import { MillraceError } from '../errors.ts';
import { descriptorLimit } from '../net/descriptor-limit.ts';
import { checkPort } from '../options/check-option.ts';
import { checkServeLimits, ringCapacity, SERVER_LIMITS, type ServeLimits } from '../options/server-limits.ts';
import { printable } from '../printable.ts';
import { maxNameLengthOf } from '../ring/record-writer.ts';
import type { FullHeap } from '../supervisor/recycler.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { callUser, type UserCode, userCode } from '../user-code.ts';
import { checkHosts } from './host-options.ts';
import {
  checkBalance,
  checkHandoff,
  checkServeOptions,
  checkShards,
  hostAddress,
  moduleUrl,
  type ServeOptions,
} from './serve-options.ts';
import { drainTerms, Server } from './server.ts';
import { readCredentials, tlsSource } from './tls-source.ts';

const MIB = 1024 * 1024;

/** Descriptors that are left for everything but connections. */
const RESERVED_DESCRIPTORS = 128;

/**
 * Starts a server on all cores. Resolves when connections are accepted.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION, MILLRACE_LISTEN_FAILED, MILLRACE_BAD_MODULE,
 *   MILLRACE_UNSUPPORTED_RUNTIME
 */
export async function serve(given: ServeOptions): Promise<Server> {
  if (!isMainThread) {
    throw new MillraceError('MILLRACE_APP_STATE', 'serve() must be called in the main thread');
  }
  const options = checkServeOptions(given);
  // What must be given is quoted as it came, null too.
  const port = checkPort('serve', given.port);
  const limits = checkServeLimits('serve', options);
  checkTopicLength(options, limits);
  if (limits.maxConnections === 0) limits.maxConnections = defaultMaxConnections();
  const tls = tlsSource(options.tls);
  const supervisor = new Supervisor({
    module: moduleUrl(given.app),
    host: await hostAddress(options.host ?? '::'),
    port,
    shards: checkShards(options.shards),
    balance: checkBalance(options.balance, tls !== null),
    tls: tls === null ? null : readCredentials(tls),
    limits,
    hosts: checkHosts('serve', options),
    recycleTerms: drainTerms('serve', {}),
    data: options.data,
    handoff: checkHandoff(options.handoff),
  });
  const { onCrash, onStalled, onRecovered, onHeapFull, onOverflow } = options;
  supervisor.on('crash', onCrash === undefined ? reportCrash : guarded('onCrash', onCrash));
  supervisor.on('stalled', onStalled === undefined ? reportStalled : guarded('onStalled', onStalled));
  supervisor.on(
    'recovered',
    onRecovered === undefined ? reportRecovered : guarded('onRecovered', onRecovered),
  );
  supervisor.on('heapFull', onHeapFull === undefined ? reportFullHeap : guarded('onHeapFull', onHeapFull));
  if (onOverflow !== undefined) supervisor.on('overflow', guarded('onOverflow', onOverflow));
  supervisor.on('stateLost', reportLostState);
  supervisor.on('acceptorCrash', reportAcceptorCrash);
  await supervisor.start();
  return new Server(supervisor, limits, tls);
}

/** A topic must fit the rings, or it would have subscribers that other shards cannot reach. */
function checkTopicLength({ maxTopicLength }: ServeOptions, limits: ServeLimits): void {
  const most = maxNameLengthOf(ringCapacity(limits));
  if (limits.maxTopicLength <= most) return;
  if ((maxTopicLength ?? undefined) !== undefined) {
    throw new MillraceError(
      'MILLRACE_INVALID_OPTION',
      `serve: 'maxTopicLength' can be at most ${most} with a 'ringSize' of ${limits.ringSize}; ` +
        `got ${limits.maxTopicLength}`,
    );
  }
  limits.maxTopicLength = most;
}

function defaultMaxConnections(): number {
  const limit = descriptorLimit();
  return Number.isFinite(limit)
    ? Math.max(limit - RESERVED_DESCRIPTORS, 1)
    : SERVER_LIMITS.maxConnections.max;
}

/** A callback of the options, such that nothing that it does concerns the server. */
function guarded<A extends unknown[]>(name: string, callback: (...args: A) => unknown): (...args: A) => void {
  const code = userCode(callback) as UserCode<(...args: A) => unknown>;
  const failed = (error: unknown): void => {
    reportError(`serve: '${name}'`, error);
  };
  return (...args) => {
    callUser(code, failed, ...args);
  };
}

function reportCrash(shard: number, error: unknown, delay: number): void {
  console.error(
    `millrace: shard ${shard} ended unexpectedly and is started anew ${when(delay)}: ${errorText(error)}`,
  );
}

function reportStalled(shard: number): void {
  console.error(
    `millrace: shard ${shard} has not taken the connections it was sent for a second: its event loop stands still. ` +
      'Newcomers go to the others',
  );
}

function reportRecovered(shard: number, duration: number): void {
  console.error(`millrace: shard ${shard} takes connections again, ${(duration / 1000).toFixed(1)} s later`);
}

function reportFullHeap(shard: number, { used, limit, delay, error }: FullHeap): void {
  const heap = `${Math.round(used / MIB)} of ${Math.round(limit / MIB)} MiB`;
  if (error !== undefined) {
    console.error(
      `millrace: shard ${shard}, whose heap is full (${heap}), could not be replaced: ${errorText(error)}`,
    );
  } else if (delay === 0) {
    console.error(`millrace: the heap of shard ${shard} is full (${heap}); it is replaced`);
  } else {
    console.error(
      `millrace: the heap of shard ${shard} is full again (${heap}); replacing it did not help, and is tried again in ` +
        `${Math.round(delay / 1000)} s at the earliest`,
    );
  }
}

function reportLostState(shard: number, failures: readonly string[]): void {
  const lost = failures.map((failure) => printable(failure, 300)).join('; ');
  console.error(`millrace: shard ${shard} begins anew with what it kept by name: ${lost}`);
}

function reportAcceptorCrash(error: unknown, delay: number): void {
  console.error(
    `millrace: the acceptor ended unexpectedly and is started anew ${when(delay)}: ${errorText(error)}`,
  );
}

function when(delay: number): string {
  return delay === 0 ? 'at once' : `in ${delay / 1000} s`;
}
