#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { nearest } from '../options/nearest-name.ts';
import { type Flags, parseFlags, seeHelp, UsageError } from './args.ts';
import { explain } from './explain.ts';
import { MAIN_HELP } from './help.ts';

/** Loaded when asked for, so that what a command does not need costs it nothing. */
const COMMANDS: Readonly<Record<string, () => Promise<(argv: readonly string[]) => Promise<number>>>> = {
  serve: async () => (await import('./commands/serve.ts')).serveCommand,
  bench: async () => (await import('./commands/bench.ts')).benchCommand,
  profile: async () => (await import('./commands/profile.ts')).profileCommand,
};

const FLAGS: Flags = {
  help: { short: 'h', help: '' },
  version: { short: 'v', help: '' },
};

const OLDEST_NODE = [20, 19] as const;

/** How long open handles may keep the process once a command is done, in ms. */
const EXIT_DELAY = 500;

async function main([first, ...rest]: readonly string[]): Promise<number> {
  checkNode(process.versions.node);
  if (first === undefined) {
    process.stderr.write(MAIN_HELP);
    return 1;
  }
  if (first.startsWith('-')) return runFlags([first, ...rest]);
  if (Object.hasOwn(COMMANDS, first)) return (await COMMANDS[first]!())(rest);
  throw unknownCommand(first);
}

/** Flags without a command. */
function runFlags(argv: readonly string[]): number {
  const command = argv.find((word) => Object.hasOwn(COMMANDS, word));
  if (command !== undefined && !/^(-h|-v|--help|--version)$/.test(argv[0]!)) {
    throw new UsageError(
      `flags come after the command: millrace ${command} … ${argv[0]!}`,
      seeHelp('millrace'),
    );
  }
  const { values } = parseFlags('millrace', FLAGS, argv);
  process.stdout.write(values.has('version') ? `${version()}\n` : MAIN_HELP);
  return 0;
}

function unknownCommand(name: string): UsageError {
  const message = `there is no command '${name}'`;
  if (/[./\\]/.test(name)) return new UsageError(message, `To serve an app module: millrace serve ${name}`);
  const near = nearest(name, Object.keys(COMMANDS));
  return new UsageError(
    near === undefined ? message : `${message}; did you mean '${near}'?`,
    seeHelp('millrace'),
  );
}

function checkNode(running: string): void {
  const [major = 0, minor = 0] = running.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new UsageError(`this is Node.js ${running}`, `millrace needs ${OLDEST_NODE.join('.')} or later.`);
}

/** A reader of our output that leaves, such as `head` or a terminal that is closed, must not end a server. */
function surviveClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  });
}

function version(): string {
  const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

surviveClosedPipe(process.stdout);
surviveClosedPipe(process.stderr);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(`${explain(error)}\n`);
}
// What the threads printed last is still on its way; nothing else is waited for.
setTimeout(() => {
  process.exit();
}, EXIT_DELAY).unref();
