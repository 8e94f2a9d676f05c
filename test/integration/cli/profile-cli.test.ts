import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Exit, example, MillraceProcess } from '../../support/servers/millrace-process.ts';
import { until } from '../../support/tools/deadline.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-profile-cli-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function profile(...args: string[]): Promise<{ exit: Exit; run: MillraceProcess }> {
  const run = MillraceProcess.start(['profile', ...args]);
  return { exit: await run.exit(60_000), run };
}

describe('millrace profile', () => {
  test('writes a profile of each thread without 0x, when that is asked for', async () => {
    const output = join(folder, 'raw');
    const load = ['-d', '1', '-W', '0', '-c', '10', '--shards', '1'];
    const { exit, run } = await profile(example('echo.js'), ...load, '--raw', '-o', output);
    expect(exit).toEqual({ code: 0, signal: null });
    expect(run.stdout).toBe(`${join(output, 'index.html')}\n`);
    expect(readdirSync(output).sort()).toEqual([
      'acceptor.cpuprofile',
      'index.html',
      'main.cpuprofile',
      'shard-0.cpuprofile',
    ]);
    const page = readFileSync(join(output, 'index.html'), 'utf8');
    expect(page).toMatch(
      /1 shard; echo, 10 connections, 1 in flight on each, 64 bytes: [\d,]+ messages a second/,
    );
    expect(page).not.toContain('flamegraph');
  });

  test('drives other scenarios, on a path', async () => {
    const load = ['--path', '/chat', '--scenario', 'idle', '-d', '1', '-W', '0', '-c', '10', '--shards', '1'];
    const { exit } = await profile(example('chat.js'), ...load, '--raw', '-o', join(folder, 'idle'));
    expect(exit.code).toBe(0);
  });

  test('says why there is no load', async () => {
    const { exit, run } = await profile(
      example('chat.js'),
      '-d',
      '1',
      '--shards',
      '1',
      '--raw',
      '-o',
      folder,
    );
    expect(exit.code).toBe(1);
    expect(run.stderr).toMatch(/the server refused the handshake/);
  });

  test('says at once that it cannot write', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    // Folders that cannot be made, one that takes no files, and what is none.
    for (const output of [join(file, 'x'), '/proc/x', '/proc/x/y', '/proc', file]) {
      const { exit, run } = await profile(example('echo.js'), '--raw', '-o', output);
      expect(exit.code).toBe(1);
      expect(run.stderr).toContain(`--output: cannot write to ${output}`);
      expect(run.stderr).not.toMatch(/recording|    at /);
    }
  });

  test('fails when a thread has no profile, says which, and writes the others', async () => {
    const module = join(folder, 'dies.mjs');
    // No life of shard 1 lasts as long as the recording.
    writeFileSync(
      module,
      `export default (app, shard) => {
        app.ws('/*', { message: (ws, message, isBinary) => void ws.send(message, isBinary) });
        if (shard.index === 1) setTimeout(() => process.exit(1), 700);
      };`,
    );
    const output = join(folder, 'dies');
    const load = ['--scenario', 'idle', '-d', '2', '-W', '0', '-c', '4', '--shards', '2'];
    const { exit, run } = await profile(module, ...load, '--raw', '-o', output);
    expect(exit.code).toBe(1);
    expect(run.stderr).toContain('millrace: there is no profile of shard 1: ');
    expect(run.stdout).toBe(`${join(output, 'index.html')}\n`);
    expect(readdirSync(output)).toContain('shard-0.cpuprofile');
    expect(readdirSync(output)).not.toContain('shard-1.cpuprofile');
  });

  test('ends at a signal, without profiles', async () => {
    const output = join(folder, 'interrupted');
    const run = MillraceProcess.start([
      'profile',
      example('echo.js'),
      '--shards',
      '1',
      '--raw',
      '-o',
      output,
    ]);
    await until(() => run.stderr.includes('recording'), 'it records');
    run.kill('SIGINT');
    expect(await run.exit()).toEqual({ code: 1, signal: null });
    expect(run.stderr).toMatch(/interrupted: nothing is written/);
    expect(readdirSync(output)).toEqual([]);
  });
});
