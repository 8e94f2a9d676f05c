import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { drawFlamegraph, FlamegraphError, find0x } from '../../../src/profile/flamegraph.ts';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'flamegraph-')));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('find0x', () => {
  const install = (): string => {
    const at = join(folder, 'node_modules', '0x');
    mkdirSync(at, { recursive: true });
    writeFileSync(join(at, 'package.json'), '{ "name": "0x", "version": "1.0.0" }');
    return join(at, 'cmd.js');
  };

  it('prefers that of the project to that of this package', () => {
    const own = find0x(folder);
    expect(own).toMatch(/node_modules\/0x\/cmd\.js$/);
    expect(existsSync(own!)).toBe(true);
    const command = install();
    // A package without its program is none.
    expect(find0x(folder)).toBe(own);
    writeFileSync(command, '');
    expect(find0x(folder)).toBe(command);
    expect(find0x(join(folder, 'src', 'deep'))).toBe(command);
  });
});

describe('drawFlamegraph', () => {
  /** Has a program in the place of 0x draw. */
  const draw = (program: string): Promise<void> => {
    const command = join(folder, 'draws.cjs');
    writeFileSync(command, program);
    return drawFlamegraph(command, join(folder, 'a b.cpuprofile'), join(folder, 'page.html'));
  };

  it('runs the program in the folder of the page, and not with the options of this process', async () => {
    const { NODE_OPTIONS: before } = process.env;
    process.env['NODE_OPTIONS'] = '--no-warnings';
    try {
      await draw(`const told = [process.argv.slice(2), process.cwd(), process.env.NODE_OPTIONS];
        require('node:fs').writeFileSync(process.argv.at(-1), JSON.stringify(told));`);
    } finally {
      if (before === undefined) delete process.env['NODE_OPTIONS'];
      else process.env['NODE_OPTIONS'] = before;
    }
    const page = join(folder, 'page.html');
    expect(JSON.parse(readFileSync(page, 'utf8'))).toEqual([
      ['--visualize-cpu-profile', join(folder, 'a b.cpuprofile'), '--output-html', page],
      folder,
      '',
    ]);
  });

  it.each([
    ['it fails', 'console.error("no such thing"); process.exitCode = 3;', '0x ended with 3:\nno such thing'],
    [
      'it is killed',
      'process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000);',
      '0x ended with SIGKILL:\n',
    ],
    ['it has drawn nothing', 'console.error("done");', '0x ended with 0:\ndone'],
  ])('says so when %s', async (_, program, message) => {
    const error = await draw(program).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(FlamegraphError);
    expect((error as Error).message).toBe(message);
  });

  it('rejects when nothing can be started there', async () => {
    await expect(drawFlamegraph('x', 'y', join(folder, 'none', 'page.html'))).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });
});
