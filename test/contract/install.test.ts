import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client } from '../support/clients/clients.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));

/** A folder that the packed package is installed into, and the programs that run in it. */
class Installation {
  readonly folder: string;
  readonly #running: ChildProcess[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(manifest: object, packages: readonly string[] = []): Promise<Installation> {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-install-'));
    await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, ...manifest }));
    const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
    const { stdout } = await run('npm', pack, { cwd: root });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', ...packages];
    await run('npm', [...install, `uWebSockets.js@file:${join(folder, filename)}`], { cwd: folder });
    return new Installation(folder);
  }

  /** Starts a program in the folder; it says where it listens. */
  async start(program: string): Promise<{ port: number; child: ChildProcess; lines: string[] }> {
    const path = join(this.folder, program);
    await copyFile(new URL(`programs/${program}`, import.meta.url), path);
    const child = spawn(process.execPath, [path], { cwd: this.folder, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#running.push(child);
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

  stop(): void {
    for (const child of this.#running.splice(0)) child.kill('SIGKILL');
  }

  async remove(): Promise<void> {
    this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

describe('npm i uWebSockets.js@file:… in an empty folder', () => {
  let installation: Installation;
  const start = (program: string) => installation.start(program);
  beforeAll(async () => {
    installation = await Installation.make({});
  });
  afterEach(() => {
    installation.stop();
  });
  afterAll(() => installation.remove());

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

// The original is not on npm: they name it by the address of its repository, which npm would fetch with git.
describe('packages that depend on uWebSockets.js, with "overrides" as the documentation gives them', () => {
  let installation: Installation;

  beforeAll(async () => {
    const guide = await readFile(join(root, 'docs/migrate-from-uwebsockets.md'), 'utf8');
    const overrides = /^ *("overrides": \{.*\})$/m.exec(guide)![1]!;
    const manifest = JSON.parse(`{ ${overrides} }`) as object;
    const { dependencies } = JSON.parse(await readFile(new URL('package.json', import.meta.url), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const names = ['@geut/fastify-uws', 'fastify', 'hyper-express', 'ultimate-express'];
    installation = await Installation.make(
      manifest,
      names.map((name) => `${name}@${dependencies[name]}`),
    );
  });
  afterAll(() => installation.remove());

  it('get this package, and no other', async () => {
    const { stdout } = await run('npm', ['ls', '--json', '--all', 'uWebSockets.js'], {
      cwd: installation.folder,
    });
    const resolved = [...stdout.matchAll(/"uWebSockets\.js": \{\s*"version": "([^"]*)"/g)];
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(resolved.map((match) => match[1])).toEqual([version, version, version, version]);
    const installed = join(installation.folder, 'node_modules/uWebSockets.js/package.json');
    expect(JSON.parse(await readFile(installed, 'utf8'))).toMatchObject({ name: 'millrace' });
  });

  it.each(['with-ultimate-express.cjs', 'with-hyper-express.cjs', 'with-fastify-uws.mjs'])(
    'run: %s',
    async (program) => {
      const { port } = await installation.start(program);
      const url = `http://127.0.0.1:${port}`;
      expect(await (await fetch(`${url}/hello/Ada`)).text()).toBe('Hello Ada');
      const headers = { 'content-type': 'application/json' };
      const value = { list: [1, 2, 3], text: 'Grüße' };
      const echo = await fetch(`${url}/echo`, { method: 'POST', body: JSON.stringify(value), headers });
      expect(await echo.json()).toEqual(value);
    },
  );
});
