import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { handshakeText } from '../../support/clients/raw-client.ts';
import { type Exit, example, MAIN, MillraceProcess } from '../../support/servers/millrace-process.ts';
import { sleep, until } from '../../support/tools/deadline.ts';

const ECHO = example('echo.js');
const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string;
  bin: Record<string, string>;
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Writes an app module and returns its path. */
function appModule(name: string, source: string): string {
  const path = join(folder, name);
  writeFileSync(path, source);
  return path;
}

/** Runs a command to its end. */
async function run(...args: string[]): Promise<Exit & { stdout: string; stderr: string }> {
  const command = MillraceProcess.start(args);
  const exit = await command.exit();
  return { ...exit, stdout: command.stdout, stderr: command.stderr };
}

/** Whether there is such a process. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A WebSocket that never answers a Close frame. */
async function connectSilent(port: number): Promise<void> {
  const socket = connect({ port, host: 'localhost', allowHalfOpen: true });
  onTestFinished(() => {
    socket.destroy();
  });
  socket.on('error', () => undefined);
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  socket.write(handshakeText('/'));
  // An empty text and its echo: the 101 comes from the acceptor, and the socket may be on its way to the shard yet.
  socket.write(Buffer.from('818000000000', 'hex'));
  await until(() => received.endsWith('\x81\x00'), 'the echo of the silent client');
}

describe('millrace serve', () => {
  test('says where it serves, with what, and echoes on every shard', async () => {
    const server = await MillraceProcess.serve([
      ECHO,
      '--port',
      '0',
      '--shards',
      '2',
      '--handshake-timeout',
      '7',
    ]);
    expect(server.url).toMatch(/^http:\/\/localhost:\d+\/$/);
    expect(server.stdout).toContain('2 threads, balance least-connections, handoff ');
    expect(server.stdout).toContain('handshake within 7 s');
    expect(server.stdout).toContain(`pid ${server.child.pid}`);
    const clients = await Promise.all(Array.from({ length: 8 }, () => Client.connect(server.ws())));
    const answers = await Promise.all(clients.map((client, i) => client.ask(`hello ${i}`)));
    expect(answers).toEqual(clients.map((_client, i) => `hello ${i}`));
    expect(await (await fetch(server.url)).text()).toContain('echo server');
    await Promise.all(clients.map((client) => client.close()));
  });

  test('listens where it is told to', async () => {
    const server = await MillraceProcess.serve([ECHO, '--port=0', '--host=127.0.0.1', '--shards=1']);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect((await fetch(server.url)).status).toBe(200);
  });

  test('keeps the limits it is given', async () => {
    const server = await MillraceProcess.serve([
      ECHO,
      '--port',
      '0',
      '--shards',
      '1',
      '--max-connections',
      '1',
    ]);
    expect(server.stdout).toContain('1 connection,');
    const client = await Client.connect(server.ws());
    await expect(Client.connect(server.ws())).rejects.toThrow('503');
    await client.close();
  });

  test('lets the app module print', async () => {
    const module = appModule(
      'prints.mjs',
      'export default (_app, { index }) => console.log(`shard ${index} is up`)',
    );
    const server = await MillraceProcess.serve([module, '--port', '0', '--shards', '2']);
    await until(
      () => /shard 0 is up/.test(server.stdout) && /shard 1 is up/.test(server.stdout),
      'both print',
    );
  });

  test('writes no escape sequences where there is no terminal', async () => {
    const server = await MillraceProcess.serve([ECHO, '--port', '0', '--shards', '1']);
    expect(server.stdout).not.toContain('\u001b');
  });

  test('outlives the reader of its output', async () => {
    const server = await MillraceProcess.serve([ECHO, '--port', '0', '--shards', '1']);
    const { url } = server;
    server.child.stdout!.destroy();
    server.kill('SIGTERM');
    expect(await server.exit()).toEqual({ code: 0, signal: null });
    await expect(fetch(url)).rejects.toThrow();
  });
});

describe('a signal', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s drains: clients get 1001, and the exit code is 0',
    async (signal) => {
      const server = await MillraceProcess.serve([ECHO, '--port', '0', '--shards', '2']);
      const clients = await Promise.all(Array.from({ length: 6 }, () => Client.connect(server.ws())));
      await Promise.all(clients.map((client) => client.ask('here')));
      server.kill(signal);
      for (const client of clients) expect((await client.closed()).code).toBe(1001);
      expect(await server.exit()).toEqual({ code: 0, signal: null });
      expect(server.stdout).toContain(`${signal}: draining 6 connections, for at most 10 s`);
      expect(server.stdout).toMatch(/Drained in \d+\.\d s\n$/);
      expect(server.stderr).toBe('');
    },
  );

  test('gives a client that does not leave no more than the time of --drain', async () => {
    const server = await MillraceProcess.serve([ECHO, '--port', '0', '--shards', '1', '--drain', '200']);
    await connectSilent(server.port);
    server.kill('SIGTERM');
    expect(await server.exit()).toEqual({ code: 0, signal: null });
    expect(server.stdout).toContain('draining 1 connection, for at most 0.2 s');
  });

  test('a second one ends at once, with exit code 1, and says so', async () => {
    const server = await MillraceProcess.serve([ECHO, '--port', '0', '--shards', '1', '--drain', '3600000']);
    await connectSilent(server.port);
    server.kill('SIGINT');
    await until(() => server.stdout.includes('draining'), 'the drain begins');
    await sleep(400);
    server.kill('SIGTERM');
    expect(await server.exit()).toEqual({ code: 1, signal: null });
    expect(server.stderr).toBe('millrace: SIGTERM again: ends at once, 1 connection cut off\n');
  });

  test('that arrives twice at once, as under npm start, counts once', async () => {
    const server = await MillraceProcess.serve([ECHO, '--port', '0', '--shards', '1', '--drain', '500']);
    await connectSilent(server.port);
    server.kill('SIGINT');
    await until(() => server.stdout.includes('draining'), 'the drain begins');
    server.kill('SIGINT');
    expect(await server.exit()).toEqual({ code: 0, signal: null });
  });

  test('SIGHUP without a certificate ends nobody, and says that there is nothing to read', async () => {
    const server = await MillraceProcess.serve([ECHO, '--port', '0', '--shards', '1']);
    const client = await Client.connect(server.ws());
    server.kill('SIGHUP');
    await until(() => server.stderr.includes('SIGHUP: without --cert there is nothing'), 'it is said');
    expect(await client.ask('still here')).toBe('still here');
    server.kill('SIGTERM');
    expect((await client.closed()).code).toBe(1001);
    expect(await server.exit()).toEqual({ code: 0, signal: null });
  });

  test('SIGHUP because the terminal is gone drains', async () => {
    const flags = ['--port', '0', '--host', '127.0.0.1', '--shards', '1'];
    const command = [process.execPath, MAIN, 'serve', ECHO, ...flags].join(' ');
    const terminal = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
    onTestFinished(() => void terminal.kill('SIGKILL'));
    let output = '';
    terminal.stdout.on('data', (text: Buffer) => {
      output += text.toString();
    });
    await until(() => output.includes('ends at once.'), 'the server serves');
    const [, port, pid] = /port (\d+), pid (\d+)/.exec(output)!;
    onTestFinished(() => {
      if (isAlive(Number(pid))) process.kill(Number(pid), 'SIGKILL');
    });
    const client = await Client.connect(`ws://127.0.0.1:${port}`);
    terminal.kill('SIGKILL');
    expect((await client.closed()).code).toBe(1001);
    await until(() => !isAlive(Number(pid)), 'the server has ended');
  });

  test('ends a server whose app module has not started yet', async () => {
    const module = appModule(
      'slow.mjs',
      "console.log('loading');\nawait new Promise((r) => setTimeout(r, 60_000));",
    );
    const server = MillraceProcess.start(['serve', module, '--port', '0', '--shards', '1']);
    await until(() => server.stdout.includes('loading'), 'the module loads');
    server.kill('SIGTERM');
    expect(await server.exit()).toEqual({ code: 0, signal: null });
    expect(server.stderr).toContain('SIGTERM while starting');
  });
});

describe('a server that cannot start exits with 1 and says why', () => {
  test('when the port is in use, in one line', async () => {
    const first = await MillraceProcess.serve([ECHO, '--port', '0', '--shards', '1']);
    const { code, stdout, stderr } = await run('serve', ECHO, '--port', String(first.port), '--shards', '1');
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(
      /^millrace: Cannot listen on :: port \d+ \(EADDRINUSE\): .*choose another port.*\n$/,
    );
  });

  test('when this machine has no such address', async () => {
    const { code, stderr } = await run('serve', ECHO, '--host', '192.0.2.1');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: Cannot listen on 192\.0\.2\.1 port 9001 .*\n$/);
  });

  test('when there is no such file', async () => {
    const { code, stderr } = await run('serve', join(folder, 'missing.js'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: there is no file .*missing\.js\n.*\n$/);
  });

  test('when the module has no function to call', async () => {
    for (const [name, source, found] of [
      ['empty.mjs', 'export const app = 1;', 'none'],
      ['number.mjs', 'export default 5;', 'a number'],
    ] as const) {
      const { code, stderr } = await run('serve', appModule(name, source), '--port', '0');
      expect(code).toBe(1);
      expect(stderr).toMatch(/^millrace: Cannot use the app module .*default export must be a function.*\n$/);
      expect(stderr).toContain(found);
    }
  });

  test.each([
    ['throws when it is loaded', "function inner() { throw new TypeError('boom'); }\ninner();", 'inner'],
    ['throws when it is called', "export default function start() { throw new TypeError('boom'); }", 'start'],
    ['rejects', "export default async function start() { await 0; throw new TypeError('boom'); }", 'start'],
  ])('when the module %s: the user’s error, with the user’s frames', async (_what, source, frame) => {
    const module = appModule('throws.mjs', source);
    const { code, stderr } = await run('serve', module, '--port', '0');
    const { href } = pathToFileURL(module);
    expect(code).toBe(1);
    const [first, empty, ...stack] = stderr.trimEnd().split('\n');
    expect(first).toBe(`millrace: Cannot use the app module ${href}`);
    expect(empty).toBe('');
    expect(stack[0]).toBe('TypeError: boom');
    expect(stack[1]).toMatch(new RegExp(`^ {4}at (async )?${frame} \\(${href}:1:\\d+\\)$`));
    expect(stack.slice(1).every((line) => line.includes(href))).toBe(true);
  });

  test('when an option in the module is wrong: what it takes, and where it stands', async () => {
    const module = appModule(
      'option.mjs',
      "export default (app) => {\n  app.ws('/*', { idleTimeout: 3 });\n};\n",
    );
    const { code, stderr } = await run('serve', module, '--port', '0');
    expect(code).toBe(1);
    expect(stderr).toContain("ws('/*'): 'idleTimeout' must be an integer from 8 to 960");
    expect(stderr).toContain('option.mjs:2:7');
    expect(stderr).not.toContain('behavior.js');
  });

  test('when the module, or one that it imports, is no JavaScript: the line', async () => {
    const broken = appModule('broken.mjs', 'export const a = 1;\nconst b = ;\n');
    const importing = appModule('importing.mjs', "console.log('must not run');\nimport './broken.mjs';\n");
    for (const module of [broken, importing]) {
      const { code, stdout, stderr } = await run('serve', module, '--port', '0');
      expect(code).toBe(1);
      expect(stdout).toBe('');
      expect(stderr).toContain('broken.mjs:2\nconst b = ;\n          ^');
      expect(stderr).toMatch(/SyntaxError: .*\n$/);
      expect(stderr).not.toContain('    at ');
    }
  });

  test('when the module ends its thread', async () => {
    const { code, stderr } = await run('serve', appModule('exits.mjs', 'process.exit(3);'), '--port', '0');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: Shard \d+ ended while it started: .*3\n$/);
  });
});

describe('a wrong command line exits with 1 and two lines on standard error', () => {
  test.each([
    [
      ['serve', ECHO, '--prot', '80'],
      'there is no flag --prot; did you mean --port?',
      "See 'millrace serve --help'.",
    ],
    [
      ['serve', ECHO, '--port', 'http'],
      '--port must be an integer from 1 to 65535',
      "See 'millrace serve --help'.",
    ],
    [['serve'], 'name the app module', "See 'millrace serve --help'."],
    [['sevre', ECHO], "there is no command 'sevre'; did you mean 'serve'?", "See 'millrace --help'."],
    [['./app.js'], "there is no command './app.js'", 'To serve an app module: millrace serve ./app.js'],
    [['--port', '80', 'serve', ECHO], 'flags come after the command', "See 'millrace --help'."],
    [['--verbose'], 'there is no flag --verbose', "See 'millrace --help'."],
  ])('%j', async (args, message, remedy) => {
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    const lines = stderr.split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain(`millrace: ${message}`);
    expect(lines[1]).toBe(remedy);
  });

  test('no command at all prints the help', async () => {
    const { code, stdout, stderr } = await run();
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('Usage: millrace COMMAND');
  });
});

describe('what is asked of the command itself', () => {
  test.each(['--help', '-h'])('%s prints how it is used', async (flag) => {
    const { code, stdout, stderr } = await run(flag);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Usage: millrace COMMAND');
    expect(stdout).toContain('Exit codes');
  });

  test.each(['--help', '-h'])('serve %s prints its flags', async (flag) => {
    const { code, stdout, stderr } = await run('serve', flag);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Usage: millrace serve MODULE');
    expect(stdout).toContain('--max-connections-per-address N');
  });

  test.each(['--version', '-v'])('%s prints the version of the package', async (flag) => {
    expect(await run(flag)).toEqual({ code: 0, signal: null, stdout: `${manifest.version}\n`, stderr: '' });
  });

  test('the package’s bin can be run by a shell', () => {
    const text = readFileSync(new URL(`../../../${manifest.bin['millrace']}`, import.meta.url), 'utf8');
    expect(text.startsWith('#!/usr/bin/env node\n')).toBe(true);
  });
});
