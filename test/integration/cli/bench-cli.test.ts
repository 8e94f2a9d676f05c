import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchResult } from 'millrace/bench';
import { afterAll, describe, expect, test } from 'vitest';
import { type Exit, MillraceProcess } from '../../support/servers/millrace-process.ts';
import { echo, startWs } from '../../support/servers/ws-server.ts';
import { sleep } from '../../support/tools/deadline.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function run(...args: string[]): Promise<Exit & { stdout: string; stderr: string }> {
  const command = MillraceProcess.start(['bench', ...args]);
  const exit = await command.exit();
  return { ...exit, stdout: command.stdout, stderr: command.stderr };
}

/** A server that closes one connection for good measure, and goes on. */
async function startFaulty(): Promise<string> {
  let isClosed = false;
  const { url } = await startWs((socket, data, isBinary, n) => {
    if (isClosed || n !== 5) return echo(socket, data, isBinary, n);
    isClosed = true;
    socket.close(4000);
  });
  return url;
}

describe('millrace bench', () => {
  test('prints tables and a summary, and says what it does on standard error', async () => {
    const { url } = await startWs();
    const { code, stdout, stderr } = await run(
      url,
      '-d',
      '1',
      '-c',
      '5',
      '-p',
      '2',
      '-l',
      '--title',
      'A title',
    );
    expect(code).toBe(0);
    expect(stderr).toBe(`Running 1 s of echo @ ${url}\n5 connections, 2 messages in flight on each\n`);
    expect(stdout).toMatch(/│ Stat +│ 2\.5% +│ 50% +│ 97\.5% +│ 99% +│ 99\.9% +│ Avg +│ Stdev +│ Max +│/);
    expect(stdout).toMatch(/│ Stat +│ 1% +│ 2\.5% +│ 50% +│ 97\.5% +│ Avg +│ Stdev +│ Min +│/);
    expect(stdout).toMatch(/│ Msg\/Sec +│/);
    expect(stdout).toMatch(/│ 99\.999% +│/);
    expect(stdout).toMatch(/[\d,]+ messages in 1(\.\d+)? s, [\d.]+ [kM]?B read/);
    expect(stdout).toContain('5 of 5 connections open at the end');
    expect(stdout).toContain('A title');
    expect(stdout).toMatch(/The client took [\d.]+ % of one core/);
    expect(stdout).not.toContain('\u001b');
  });

  test('prints JSON alone with -j', async () => {
    const { url } = await startWs();
    const { code, stdout, stderr } = await run(url, '-a', '500', '-c', '5', '-w', '2', '-j');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')).toHaveLength(2);
    const result = JSON.parse(stdout) as BenchResult;
    expect(result).toMatchObject({ url, connections: 5, workers: 2, errors: 0, mismatches: 0, timeouts: 0 });
    expect(result.messages.total).toBe(500);
    for (const spread of [result.latency, result.messages, result.throughput]) {
      for (const name of [
        'average',
        'mean',
        'stddev',
        'min',
        'max',
        'p0_001',
        'p50',
        'p97_5',
        'p99_999',
      ] as const) {
        expect(spread[name]).toBeGreaterThanOrEqual(0);
      }
    }
    expect(result.client.cpu).toBeGreaterThan(0);
    expect(Date.parse(String(result.finish))).toBeGreaterThanOrEqual(Date.parse(String(result.start)));
  });

  test('prints what was measured until Ctrl+C', async () => {
    const server = await startWs();
    const command = MillraceProcess.start(['bench', server.url, '-d', '60', '-c', '5']);
    while (server.received < 1000) await sleep(20);
    command.kill('SIGINT');
    const { code } = await command.exit();
    expect(code).toBe(0);
    expect(command.stdout).toContain('Interrupted: this is what was measured until then.');
    expect(command.stdout).toMatch(/│ Latency +│/);
    expect(command.stderr).not.toContain('Error');
  });

  test('ends at once at a second Ctrl+C, without a result', async () => {
    // It answers nothing, not even a Close frame: what is on its way is waited for.
    const server = await startWs((socket) => {
      socket.pause();
    });
    const command = MillraceProcess.start(['bench', server.url, '-d', '60', '-c', '1']);
    while (server.received === 0) await sleep(20);
    command.kill('SIGINT');
    await sleep(500);
    command.kill('SIGINT');
    expect(await command.exit()).toEqual({ code: 1, signal: null });
    expect(command.stdout).toBe('');
  });

  test('ends at a signal while it cannot connect yet', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    const command = MillraceProcess.start(['bench', `ws://127.0.0.1:${port}`]);
    await new Promise((resolve) => silent.once('connection', resolve));
    command.kill('SIGINT');
    expect((await command.exit()).code).toBe(1);
    expect(command.stderr).toContain('interrupted');
    silent.close();
  });

  test('exits with 2 when something went wrong', async () => {
    const { code, stdout } = await run(await startFaulty(), '-d', '1', '-c', '3', '-n');
    expect(code).toBe(2);
    expect(stdout).toContain('1 error (0 timeouts)\n  1 × the server closed the connection with 4000');
    expect(stdout).toContain('1 connection opened anew');
  });

  test('leaves no empty report, and an older one as it was, when there is no server', async () => {
    const [older, none] = [join(folder, 'older.html'), join(folder, 'none.html')];
    writeFileSync(older, 'an older report');
    for (const file of [older, none]) {
      expect((await run('ws://127.0.0.1:1', '--html', file)).code).toBe(1);
    }
    expect([readFileSync(older, 'utf8'), existsSync(none)]).toEqual(['an older report', false]);
  });

  // A file that can be opened, and takes nothing.
  test('prints the result even if the report cannot be written', async () => {
    const { url } = await startWs();
    const { code, stdout, stderr } = await run(url, '-a', '10', '-c', '1', '-j', '--html', '/dev/full');
    expect(code).toBe(1);
    expect((JSON.parse(stdout) as BenchResult).messages.total).toBe(10);
    expect(stderr).toContain('millrace: --html: cannot write /dev/full: ENOSPC');
    expect(stderr).not.toContain('    at ');
  });

  test.each([
    [['ws://127.0.0.1:1'], 'cannot open ws://127.0.0.1:1/: connection refused: is the server running'],
    [
      ['http://localhost'],
      "the URL must begin with ws:// or wss://; got 'http://localhost'; did you mean ws://localhost/?",
    ],
    [['ws://localhost', '-w', '5', '-c', '2'], '--workers must not exceed --connections'],
    [['ws://localhost', '-w', '5', '-a', '2'], '--amount must be at least 1 for each of the --workers (5)'],
    [['ws://localhost', '-H', 'Host=x'], 'headers must not contain Host'],
    [['ws://localhost', '--pid', '2147483647', '--scenario', 'idle'], 'there is no process 2147483647'],
    [[], 'name the server'],
  ])('%j is one line, without a stack, and exit code 1', async (args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr.split('\n')[0]).toContain(`millrace: `);
    expect(stderr.split('\n')[0]).toContain(message);
    expect(stderr).not.toContain('    at ');
    expect(stderr.split('\n').length).toBeLessThanOrEqual(3);
  });

  test('has a help', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    expect(stdout).toContain('Usage: millrace bench URL');
  });
});

test('what a hostile server says reaches neither the terminal nor the report as it is', async () => {
  const answer = 'HTTP/1.1 101 Good\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ';
  let count = 0;
  const server = createServer((socket) => {
    socket
      .on('error', () => {})
      .on('data', (bytes) => {
        const [, key = ''] = /Sec-WebSocket-Key: (\S+)/i.exec(bytes.toString('latin1')) ?? [];
        // The probe is answered well, the load is not.
        if (key === '' || count++ === 0) {
          const accept = createHash('sha1')
            .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
            .digest('base64');
          socket.end(key === '' ? '' : `${answer}${accept}\r\n\r\n\x88\x00`, 'latin1');
        } else {
          socket.end(
            'HTTP/1.1 503 \x1b]0;title\x07No\r\nContent-Type: text/plain\r\n\r\n\x1b[2J\x9bAll gone',
          );
        }
      });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const { stdout, stderr } = await run(`ws://127.0.0.1:${port}/`, '-d', '1', '-c', '2');
  server.close();
  expect(stdout).toContain('\\x1b]0;title\\x07No');
  // oxlint-disable-next-line no-control-regex -- what must not be there
  expect(stdout + stderr).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
});
