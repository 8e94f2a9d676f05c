import type { Server } from '../../app/server.ts';
import { banner, plural } from '../banner.ts';
import { explain, locateSyntaxError } from '../explain.ts';
import { profileOnSignal } from '../live-profile.ts';
import { moduleUrl } from '../module-url.ts';
import { Signals } from '../signals.ts';
import { styleOf } from '../terminal.ts';
import { parseServeArgs, type ServeArgs, serveHelp } from './serve-args.ts';

/** How long an app module may take to start before the wait is told, in ms. */
const SLOW_START = 5000;

/** Runs `millrace serve`; resolves with the exit code when a signal has ended the server. */
export async function serveCommand(argv: readonly string[]): Promise<number> {
  const args = parseServeArgs(argv);
  if (args === null) {
    process.stdout.write(serveHelp());
    return 0;
  }
  const app = moduleUrl(args.module);
  const signals = new Signals();
  try {
    const server = await Promise.race([start(app, args), signals.first]);
    if (typeof server === 'string') return exitNow(`${server} while starting: ends at once`, 0);
    return await run(server, args, signals);
  } catch (error) {
    const place = locateSyntaxError(error, app);
    if (place === '') throw error;
    process.stderr.write(`millrace: Cannot use the app module ${app.href}\n\n${place}\n`);
    return 1;
  }
}

async function start(app: URL, { options, module }: ServeArgs): Promise<Server> {
  const { serve } = await import('../../app/serve.ts');
  const slow = setTimeout(() => {
    process.stderr.write(`millrace: still waiting for ${module} to start\n`);
  }, SLOW_START);
  try {
    return await serve({ ...options, app });
  } finally {
    clearTimeout(slow);
  }
}

/** From the first connection to the last. */
async function run(server: Server, args: ServeArgs, signals: Signals): Promise<number> {
  // Before the banner, which says that it serves: a signal that nobody handles would end it.
  signals.onHangUp(() => void reloadTls(server));
  profileOnSignal(server);
  process.stdout.write(banner(server, args, styleOf(process.stdout)));
  const signal = await signals.first;
  const startedAt = performance.now();
  const left = (): string => plural(server.stats().total.sockets, 'connection');
  process.stdout.write(`${signal}: draining ${left()}, for at most ${args.close.drain / 1000} s\n`);
  void signals.second.then((second) => exitNow(`${second} again: ends at once, ${left()} cut off`, 1));
  await server.close(args.close);
  process.stdout.write(`Drained in ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
  return 0;
}

async function reloadTls(server: Server): Promise<void> {
  if (!server.isTls) {
    process.stderr.write('millrace: SIGHUP: without --cert there is nothing to read again; SIGTERM drains\n');
    return;
  }
  try {
    await server.reloadTls();
    process.stdout.write('SIGHUP: new connections get the certificate as it is now\n');
  } catch (error) {
    process.stderr.write(`SIGHUP: the certificate stays as it was\n${explain(error)}\n`);
  }
}

/** Ends the process, threads and all. */
function exitNow(message: string, code: number): never {
  process.stderr.write(`millrace: ${message}\n`);
  process.exit(code);
}
