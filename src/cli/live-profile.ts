import { join } from 'node:path';
import type { Server } from '../app/server.ts';
import { errorLine } from '../error-report.ts';
import { find0x } from '../profile/flamegraph.ts';
import { writeProfiles } from '../profile/write-profiles.ts';

/** Seconds that a signal records. */
const LIVE_SECONDS = 10;

/** What to do when there is no 0x. */
export const INSTALL_0X = 'npm install --save-dev 0x';

/** Profiles a server that runs, each time the process gets SIGUSR2. Not on Windows, which has no such signal. */
export function profileOnSignal(server: Server): void {
  if (process.platform === 'win32') return;
  let isRecording = false;
  process.on('SIGUSR2', () => {
    if (isRecording) {
      process.stderr.write('millrace: a profile is being recorded already\n');
      return;
    }
    isRecording = true;
    void profileLive(server)
      .catch((error: unknown) => {
        process.stderr.write(`millrace: no profile: ${errorLine(error)}\n`);
      })
      .finally(() => {
        isRecording = false;
      });
  });
}

async function profileLive(server: Server): Promise<void> {
  process.stderr.write(`millrace: SIGUSR2: recording a CPU profile of each thread for ${LIVE_SECONDS} s\n`);
  const startedAt = new Date();
  const threads = await server.profile(LIVE_SECONDS);
  const command = find0x(process.cwd());
  const page = await writeProfiles(threads, {
    directory: join(process.cwd(), `millrace-profile-${stamp(startedAt)}`),
    command,
    title: 'Profile of a running server',
    about: [
      `Process ${process.pid}, ${startedAt.toISOString()}, ${LIVE_SECONDS} s, Node.js ${process.version}`,
    ],
  });
  const missing = missingThreads(threads, server.shards);
  if (missing.length > 0) {
    process.stderr.write(
      `millrace: no profile of ${missing.join(', ')}: ended meanwhile, or did not answer\n`,
    );
  }
  const hint = command === null ? ` (flamegraphs need 0x: ${INSTALL_0X})` : '';
  process.stderr.write(`millrace: profile written: ${page}${hint}\n`);
}

/** The threads of a server that should have a profile and have none. */
export function missingThreads(recorded: readonly { readonly thread: string }[], shards: number): string[] {
  const all = ['main', 'acceptor', ...Array.from({ length: shards }, (_, index) => `shard ${index}`)];
  return all.filter((name) => recorded.every(({ thread }) => thread !== name));
}

/** 20261121-121530, in UTC. */
function stamp(date: Date): string {
  return date.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
}
