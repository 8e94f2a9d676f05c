import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MillraceError } from '../errors.ts';
import { MAX_SOCKET_PATH } from './unix-listener.ts';

const FOLDER_PREFIX = 'millrace-';

/** Name of the socket in its folder. */
export const SOCKET_NAME = 'handoff';

/** In a folder with a longer path the socket's would be cut, and lie where others may write. */
const MAX_PARENT = MAX_SOCKET_PATH - `/${FOLDER_PREFIX}XXXXXX/${SOCKET_NAME}`.length;

/** Where there may be room when the folder that is meant for it cannot be used. */
const OTHERS = process.platform === 'win32' ? [] : ['/tmp', '/var/tmp', '/dev/shm'];

/** What was said of folders that cannot be used. */
const said = new Set<string>();

/**
 * Makes a folder that nobody but this user may look into, for a Unix socket: in the temporary folder, or where that cannot
 * be used (somebody may have removed it) in another one, which is printed to standard error once.
 *
 * @throws MillraceError MILLRACE_UNSUPPORTED_RUNTIME with a `cause` when there is none
 */
export function makeSocketFolder(parent: string = tmpdir(), others: readonly string[] = OTHERS): string {
  let cause: unknown;
  try {
    return makeIn(parent);
  } catch (error) {
    cause = error;
  }
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason = `could not make a folder in ${parent} (${code ?? message})`;
  const remedy = `Set TMPDIR to a folder that can be written to, with a path of at most ${MAX_PARENT} bytes`;
  for (const other of others) {
    try {
      const folder = makeIn(other);
      warn(`millrace: ${reason}; the sockets between threads lie in ${other} now. ${remedy}`);
      return folder;
    } catch {
      // The next one.
    }
  }
  throw new MillraceError(
    'MILLRACE_UNSUPPORTED_RUNTIME',
    `Sockets cannot be passed between threads here: ${reason}. ${remedy}`,
    { cause },
  );
}

function makeIn(parent: string): string {
  if (Buffer.byteLength(parent) > MAX_PARENT) throw new Error('its path is too long for a Unix socket');
  return mkdtempSync(join(parent, FOLDER_PREFIX));
}

function warn(text: string): void {
  if (said.has(text)) return;
  if (said.size < 16) said.add(text);
  console.error(text);
}
