import { writeFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { join } from 'node:path';
import { drawFlamegraph } from './flamegraph.ts';
import { FrameNames } from './frame-names.ts';
import { indexPage, type ProfiledThread } from './index-page.ts';
import { makeFolder } from './make-folder.ts';
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
 * @throws FlamegraphError when all but the flamegraphs is written
 */
export async function writeProfiles(
  threads: readonly RecordedThread[],
  { directory, command, title, about, onFlamegraph }: WriteOptions,
): Promise<string> {
  makeFolder(directory);
  const names = new FrameNames(process.cwd());
  const written = threads.map(({ thread, profile }): ProfiledThread => {
    const name = thread.replaceAll(' ', '-');
    const readable = names.rename(profile);
    writeFileSync(join(directory, `${name}.cpuprofile`), JSON.stringify(readable));
    return {
      thread,
      flamegraph: command === null ? null : `${name}.html`,
      profile: `${name}.cpuprofile`,
      summary: summarize(readable),
    };
  });
  const page = join(directory, 'index.html');
  writeFileSync(page, indexPage(title, about, written));
  for (const { thread, flamegraph, profile } of written) {
    if (command === null || flamegraph === null) continue;
    onFlamegraph?.(thread);
    await drawFlamegraph(command, join(directory, profile), join(directory, flamegraph));
  }
  return page;
}
