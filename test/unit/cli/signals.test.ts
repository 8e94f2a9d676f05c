import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { until } from '../../support/tools/deadline.ts';

/** The built module, in processes of their own: it takes over the signals of the whole process. */
const url = new URL('../../../dist/src/cli/signals.js', import.meta.url).href;

const PROGRAM = `
  const { Signals } = await import(${JSON.stringify(url)});
  const signals = new Signals();
  signals.first.then((name) => console.log('first ' + name));
  signals.second.then((name) => console.log('second ' + name));
  signals.onHangUp(() => console.log('hang-up'));
  process.stdin.on('end', () => process.exit(0)).resume();
  console.log('ready');`;

let child: ChildProcess;
afterEach(() => child.kill('SIGKILL'));

/** Starts the program. Returns what it has said so far. */
async function start(): Promise<() => string[]> {
  child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout!.setEncoding('utf8').on('data', (part: string) => (text += part));
  await until(() => text === 'ready\n', 'the program is ready');
  text = '';
  return () => text.split('\n').slice(0, -1);
}

/** Ends the program, and waits until all that it said is here. */
async function end(): Promise<void> {
  const closed = once(child, 'close');
  child.stdin!.end();
  expect(await closed).toEqual([0, null]);
}

it.each(['SIGINT', 'SIGTERM'] as const)('%s asks to end, and again when it comes later', async (name) => {
  const said = await start();
  child.kill(name);
  await until(() => said().length > 0, 'it is taken over');
  expect(said()).toEqual([`first ${name}`]);
  // Those that come at once are taken for the same, so it is sent until one is late enough.
  await until(() => {
    child.kill('SIGTERM');
    return said().length > 1;
  }, 'the second is told');
  await end();
  expect(said()).toEqual([`first ${name}`, 'second SIGTERM']);
});

it('a hang-up is passed on as often as it comes where there was no terminal, and does not end the process', async () => {
  const said = await start();
  for (const count of [1, 2]) {
    child.kill('SIGHUP');
    await until(() => said().length === count, 'it is told');
  }
  await end();
  expect(said()).toEqual(['hang-up', 'hang-up']);
});
