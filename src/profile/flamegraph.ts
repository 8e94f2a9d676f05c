import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setPriority } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** 0x could not draw a flamegraph; the message has what it said. */
export class FlamegraphError extends Error {
  override readonly name = 'FlamegraphError';
}

/** Ms that one flamegraph may take. */
const TIMEOUT = 120_000;
/** Rendering must not take processor time from a server that serves on. */
const LOW_PRIORITY = 10;

/**
 * The program of 0x, which draws flamegraphs: of the project that is worked in, else of this package; null when it is
 * not installed.
 */
export function find0x(folder: string): string | null {
  for (const from of [pathToFileURL(join(folder, 'package.json')).href, import.meta.url]) {
    try {
      const command = join(dirname(createRequire(from).resolve('0x/package.json')), 'cmd.js');
      if (existsSync(command)) return command;
    } catch {
      // Not there.
    }
  }
  return null;
}

/**
 * Draws the flamegraph of a `.cpuprofile` file as one HTML page that needs nothing else.
 *
 * @param command what find0x has found
 */
export function drawFlamegraph(command: string, profile: string, page: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const args = [command, '--visualize-cpu-profile', profile, '--output-html', page];
    const child = spawn(process.execPath, args, {
      cwd: dirname(page),
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: TIMEOUT,
      // A NODE_OPTIONS that profiles or inspects is not meant for it.
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.once('spawn', () => {
      lowerPriority(child.pid);
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0 && existsSync(page)) resolve();
      else reject(new FlamegraphError(`0x ended with ${signal ?? code}:\n${output.trim()}`));
    });
  });
}

function lowerPriority(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, LOW_PRIORITY);
  } catch {
    // It has ended already, or the system does not let us.
  }
}
