import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client } from '../support/clients.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));

describe('npm i uWebSockets.js@file:… in an empty folder', () => {
  const running: ChildProcess[] = [];
  let folder = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-install-'));
    await writeFile(join(folder, 'package.json'), '{ "private": true }');
    const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
    const { stdout } = await run('npm', pack, { cwd: root });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    const install = ['install', '--no-audit', '--no-fund', `uWebSockets.js@file:${join(folder, filename)}`];
    await run('npm', install, { cwd: folder });
  });
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** Starts a program in the folder; it says where it listens. */
  async function start(program: string): Promise<{ port: number; child: ChildProcess; lines: string[] }> {
    const path = join(folder, program);
    await copyFile(new URL(`programs/${program}`, import.meta.url), path);
    const child = spawn(process.execPath, [path], { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
    running.push(child);
    let errors = '';
    child.stderr.on('data', (data: Buffer) => {
      errors += data.toString();
    });
    const lines: string[] = [];
    const port = await new Promise<number>((resolve, reject) => {
      createInterface(child.stdout).on('line', (line) => {
        lines.push(line);
        if (line.startsWith('port ')) resolve(Number(line.slice(5)));
      });
      child.once('exit', (code) => {
        reject(new Error(`${program} ended with ${code}: ${errors}`));
      });
    });
    return { port, child, lines };
  }

  it('runs an echo server', async () => {
    const { port, lines } = await start('echo.cjs');
    const url = `ws://127.0.0.1:${port}/rooms/one`;
    const [a, b] = [await Client.connect(url), await Client.connect(url, { perMessageDeflate: true })];
    expect(await a.ask('hello')).toBe('hello');
    expect(await b.ask('x'.repeat(100_000))).toBe('x'.repeat(100_000));
    expect(await a.ask(new Uint8Array([1, 2]))).toEqual(new Uint8Array([1, 2]));
    expect(await a.ask('tell')).toBe('tell');
    expect(await b.next()).toBe('told');
    await a.close(4000);
    await expect.poll(() => lines).toContain('closed 4000');
    await b.close();
  });

  it('runs an HTTP server', async () => {
    const { port, child } = await start('http.mjs');
    const get = (path: string, init?: RequestInit): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}${path}`, init);
    expect(await (await get('/users/7?q=a%20b')).text()).toBe('get 7 a b');
    const headers = { 'content-type': 'text/x' };
    const created = await get('/upper', { method: 'POST', body: 'abc'.repeat(50_000), headers });
    expect([created.status, created.headers.get('content-type')]).toEqual([201, 'text/x']);
    expect(await created.text()).toBe('ABC'.repeat(50_000));
    expect((await (await get('/large')).text()).length).toBe(1_000_000);
    expect(await (await get('/later')).text()).toBe('in pieces');
    const missing = await get('/none', { method: 'DELETE' });
    expect([missing.status, await missing.text()]).toEqual([404, 'no /none']);
    const exit = new Promise((resolve) => child.once('exit', resolve));
    child.stdin?.end();
    expect(await exit).toBe(0);
  });

  it('runs a program with worker threads', async () => {
    const { port } = await start('workers.cjs');
    const threads = new Set<string>();
    for (let i = 0; i < 8; i++) {
      const response = await fetch(`http://127.0.0.1:${port}/thread`, { headers: { connection: 'close' } });
      threads.add(await response.text());
    }
    expect(threads.size).toBe(2);
    const clients = await Promise.all(
      Array.from({ length: 6 }, () => Client.connect(`ws://127.0.0.1:${port}/`)),
    );
    clients[0]!.send('to all');
    for (const client of clients) expect(await client.next()).toBe('to all');
    for (const client of clients) await client.close();
  });
});
