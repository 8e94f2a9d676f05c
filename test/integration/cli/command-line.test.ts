import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { example } from '../../support/servers/millrace-process.ts';
import { within } from '../../support/tools/deadline.ts';

/** Programs that call serve() and bench() under options of node that their threads inherit. */

const PACKAGE = new URL('../../../dist/src/index.js', import.meta.url).href;
const BENCH = new URL('../../../dist/src/load/index.js', import.meta.url).href;
const FIXTURES = new URL('../fixtures/', import.meta.url);
const fixture = (name: string): string => fileURLToPath(new URL(name, FIXTURES));
const HELLO = fileURLToPath(new URL('../../threads/fixtures/loads.js', import.meta.url));

/** Serves, asks the server for a page, closes it. */
const PROGRAM = `
  const { serve } = await import('${PACKAGE}');
  try {
    const server = await serve({
      app: '${HELLO}', host: '127.0.0.1', port: 0, shards: 1,
      loadTimeout: Number(process.env.LOAD_TIMEOUT ?? 60), onCrash: () => console.log('crash'),
    });
    const { status } = await fetch('http://127.0.0.1:' + server.port);
    await server.close({ drain: 0 });
    console.log('served', status);
  } catch (error) {
    console.log(error.code, error.message);
  }
`;

/** Runs node; resolves with what it prints, up to `last`, and ends it. */
function run(args: readonly string[], env: NodeJS.ProcessEnv = {}, last = /^(served|MILLRACE).*\n/m) {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  const printed = new Promise<string>((resolve) => {
    const onOutput = (bytes: Buffer): void => {
      output += bytes.toString();
      if (last.test(output)) resolve(output);
    };
    child.stdout.on('data', onOutput);
    child.stderr.on('data', onOutput);
    child.on('close', () => {
      resolve(output);
    });
  });
  return within(printed, 'what the program prints', 40_000);
}

const WITH_TEXT: readonly (readonly string[])[] = [
  ['--input-type=module', '-e', PROGRAM],
  ['--input-type', 'module', '--no-warnings', '--max-old-space-size=300', '-e', PROGRAM],
  ['--eval', `(async () => {${PROGRAM}})()`],
  ['--print', `(async () => {${PROGRAM}})(), 1`],
  ['--inspect=0', '--input-type=module', '--eval', PROGRAM],
  ['--import', fixture('preload.js'), '--input-type=module', '-e', PROGRAM],
];

it.each(WITH_TEXT.map((args) => [args.filter((word) => !word.includes(PROGRAM)).join(' '), args] as const))(
  'serve() works under %s',
  async (_name, args) => {
    const output = await run(args);
    expect(output).toMatch(/^served 200$/m);
    expect(output).not.toContain('crash');
    // In the main thread, the acceptor and a shard.
    if (args.includes('--import')) expect(output.match(/preloaded/g)).toHaveLength(3);
  },
);

it.each([['--test'], ['--watch'], ['--import', fixture('preload.js')], ['--inspect=0']])(
  'serve() works in a file under %s',
  async (...options) => {
    const output = await run([...options, fixture('serves-once.js')], { PROGRAM }, /served \d+/);
    expect(output).toMatch(/served 200/);
  },
);

it('serve() works when NODE_OPTIONS says how text is to be read', async () => {
  const output = await run(['-e', PROGRAM], { NODE_OPTIONS: '--no-warnings --input-type=module' });
  expect(output).toMatch(/^served 200$/m);
});

it('bench() works under --input-type', async () => {
  const program = `
    const { serve } = await import('${PACKAGE}');
    const { bench } = await import('${BENCH}');
    const server = await serve({ app: '${example('echo.js')}', host: '127.0.0.1', port: 0, shards: 1 });
    const result = await bench({ url: 'ws://127.0.0.1:' + server.port, connections: 2, duration: 1, warmup: 0 });
    console.log('served', result.messages.total > 0);
    process.exit();
  `;
  expect(await run(['--input-type=module', '-e', program])).toMatch(/^served true$/m);
});

it.each([
  ['acceptor throws', "The acceptor's thread cannot be started: not in this thread"],
  ['acceptor hangs', "The acceptor's thread cannot be started: it does not start within 1 s ('loadTimeout')"],
])('serve() rejects when what is preloaded in the %s', async (manner, message) => {
  const output = await run(
    ['--import', fixture('fails-in-thread.js'), '--input-type=module', '-e', PROGRAM],
    {
      FAILS: manner,
      ...(manner.endsWith('hangs') ? { LOAD_TIMEOUT: '1' } : {}),
    },
  );
  expect(output).toContain(`MILLRACE_ACCEPTOR_CRASHED ${message}`);
  expect(output).not.toMatch(/crash$/m);
});

it('serve() rejects when what is preloaded in a shard throws', async () => {
  const output = await run(
    ['--import', fixture('fails-in-thread.js'), '--input-type=module', '-e', PROGRAM],
    { FAILS: 'shard throws' },
  );
  expect(output).toMatch(/^MILLRACE_SHARD_CRASHED .*not in this thread$/m);
});
