import { mkdirSync, writeFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { join } from 'node:path';
import { drawFlamegraph } from './flamegraph.ts';
import { FrameNames } from './frame-names.ts';
import { indexPage, type ProfiledThread } from './index-page.ts';
import { summarize } from './profile-summary.ts';

export interface RecordedThread {
  readonly thread: string;
  readonly profile: Profiler.Profile;
}

export interface WriteOptions {
  /** The folder to write into; it is made. */
  readonly directory: string;
  /** The program of 0x; null: profiles without flamegraphs. */
  readonly command: string | null;
  readonly title: string;
  /** What ran, a line each. */
  readonly about: readonly string[];
  /** Called before each flamegraph. */
  readonly onFlamegraph?: (thread: string) => void;
}

/**
 * Writes the profile and the flamegraph of each thread, and a page that leads to them.
 *
 * @returns the path of that page
 */
export async function writeProfiles(
  threads: readonly RecordedThread[],
  { directory, command, title, about, onFlamegraph }: WriteOptions,
): Promise<string> {
  mkdirSync(directory, { recursive: true });
  const names = new FrameNames(process.cwd());
  const written: ProfiledThread[] = [];
  for (const { thread, profile } of threads) {
    const name = thread.replaceAll(' ', '-');
    const readable = names.rename(profile);
    const file = join(directory, `${name}.cpuprofile`);
    writeFileSync(file, JSON.stringify(readable));
    if (command !== null) {
      onFlamegraph?.(thread);
      await drawFlamegraph(command, file, join(directory, `${name}.html`));
    }
    written.push({
      thread,
      flamegraph: command === null ? null : `${name}.html`,
      profile: `${name}.cpuprofile`,
      summary: summarize(readable),
    });
  }
  const page = join(directory, 'index.html');
  writeFileSync(page, indexPage(title, about, written));
  return page;
}
