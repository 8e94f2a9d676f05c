import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Server } from '../../app/server.ts';
import { MillraceError } from '../../errors.ts';
import { type BenchResult, bench } from '../../load/index.ts';
import { FlamegraphError, find0x } from '../../profile/flamegraph.ts';
import { makeFolder } from '../../profile/make-folder.ts';
import { type RecordedThread, writeProfiles } from '../../profile/write-profiles.ts';
import { UsageError } from '../args.ts';
import { plural } from '../banner.ts';
import { INSTALL_0X, missingThreads } from '../live-profile.ts';
import { moduleUrl } from '../module-url.ts';
import { Signals } from '../signals.ts';
import { assertWritable } from '../writable.ts';
import { inFlags } from './bench-args.ts';
import { type ProfileArgs, parseProfileArgs, profileHelp } from './profile-args.ts';

/** Seconds that the load may outlast the recording: it is ended when that is done. */
const MARGIN = 30;
/** Ms that the connections of the load get to leave. */
const DRAIN = 1000;

/** Runs `millrace profile`; resolves with the exit code. */
export async function profileCommand(argv: readonly string[]): Promise<number> {
  const args = parseProfileArgs(argv);
  if (args === null) {
    process.stdout.write(profileHelp());
    return 0;
  }
  const app = moduleUrl(args.module);
  const command = args.isRaw ? null : find0x(process.cwd());
  if (command === null && !args.isRaw) {
    throw new UsageError(
      '0x, which draws the flamegraphs, is not installed',
      `Install it (${INSTALL_0X}), or take the profiles alone with --raw.`,
    );
  }
  prepareFolder(args.output);
  const interrupted = new AbortController();
  const signals = new Signals();
  void signals.first.then(() => {
    interrupted.abort();
  });
  void signals.second.then(() => process.exit(1));
  const { signal } = interrupted;
  const run = await recordRun(app, args, signal).catch((error: unknown) => {
    // A load that was ended while it began has no result.
    if (!signal.aborted) throw error;
  });
  if (run === undefined || signal.aborted) {
    tell('interrupted: nothing is written');
    return 1;
  }
  const page = await write(run, args, command).catch((error: unknown) => {
    if (!(error instanceof FlamegraphError)) throw error;
    throw new UsageError(
      error.message,
      `The profiles are in ${resolve(args.output)}; the developer tools of Chromium open them too.`,
    );
  });
  process.stdout.write(`${page}\n`);
  if (args.opens) openPage(page);
  const missing = missingThreads(run.threads, run.shards);
  if (missing.length === 0) return 0;
  tell(`there is no profile of ${missing.join(', ')}: ended while it was recorded, or did not answer`);
  return 1;
}

/** Better now than when everything is recorded. */
function prepareFolder(folder: string): void {
  try {
    makeFolder(folder);
    assertWritable(join(folder, 'index.html'));
  } catch (error) {
    throw new UsageError(
      `--output: cannot write to ${folder}: ${(error as Error).message}`,
      'Name a folder that is there or can be made, and written to.',
    );
  }
}

interface Run {
  readonly threads: readonly RecordedThread[];
  readonly result: BenchResult;
  readonly shards: number;
}

/** Serves the app, and records it under load. */
async function recordRun(app: URL, args: ProfileArgs, signal: AbortSignal): Promise<Run> {
  const { serve } = await import('../../app/serve.ts');
  const { shards } = args;
  const server = await serve({
    app,
    host: '127.0.0.1',
    port: 0,
    ...(shards === undefined ? {} : { shards }),
  });
  try {
    const { connections = 100 } = args.load;
    tell(
      `${plural(server.shards, 'shard')}, ${plural(connections, 'connection')}: recording ${args.duration} s`,
    );
    return { ...(await recordUnderLoad(server, args, signal)), shards: server.shards };
  } finally {
    await server.close({ drain: DRAIN });
  }
}

/** The load runs longer than the recording on both sides: neither its start nor its end is in the profiles. */
async function recordUnderLoad(
  server: Server,
  { load, path, duration, interval }: ProfileArgs,
  signal: AbortSignal,
): Promise<Pick<Run, 'threads' | 'result'>> {
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  let recording: Promise<RecordedThread[]> | null = null;
  try {
    const result = await bench({
      ...load,
      url: `ws://127.0.0.1:${server.port}${path}`,
      duration: duration + MARGIN,
      signal: either,
      onProgress: ({ phase }) => {
        if (phase !== 'running' || recording !== null) return;
        recording = server.profile(duration, { interval, signal: either });
        void recording.finally(() => {
          done.abort();
        });
      },
    });
    return { result, threads: (await (recording as Promise<RecordedThread[]> | null)) ?? [] };
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'MILLRACE_INVALID_OPTION') throw error;
    throw new UsageError(inFlags(error.message), "See 'millrace profile --help'.");
  }
}

function write({ threads, result, shards }: Run, args: ProfileArgs, command: string | null): Promise<string> {
  const { connections, pipelining, size, scenario, messages, errors } = result;
  const rate = Math.round(messages.total / result.duration).toLocaleString('en');
  return writeProfiles(threads, {
    directory: resolve(args.output),
    command,
    title: `Profile of ${args.module}`,
    about: [
      `${plural(shards, 'shard')}; ${scenario}, ${plural(connections, 'connection')}, ${pipelining} in flight on each, ` +
        `${size} bytes: ${rate} messages a second${errors === 0 ? '' : `, ${plural(errors, 'error')}`}`,
      `${result.start.toISOString()}, ${args.duration} s, Node.js ${process.version}`,
    ],
    onFlamegraph: (thread) => {
      tell(`drawing ${thread}`);
    },
  });
}

function tell(text: string): void {
  process.stderr.write(`millrace: ${text}\n`);
}

/** What opens a page, where it is not xdg-open. */
const BROWSERS: { readonly [platform: string]: readonly [command: string, args: readonly string[]] } = {
  darwin: ['open', []],
  win32: ['cmd', ['/c', 'start', '']],
};

/** Opens a page in the user's browser. */
function openPage(page: string): void {
  const [command, args] = BROWSERS[process.platform] ?? ['xdg-open', []];
  const child = spawn(command, [...args, page], { stdio: 'ignore', detached: true });
  child.on('error', () => {
    tell(`cannot open a browser; the page is ${pathToFileURL(page).href}`);
  });
  child.unref();
}
