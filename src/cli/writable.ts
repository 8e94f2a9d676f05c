import { closeSync, existsSync, openSync, unlinkSync } from 'node:fs';

/**
 * Throws what writing the file will throw later, as far as that can be known. A file that is there stays as it is, and
 * none is left where there was none.
 */
export function assertWritable(path: string): void {
  const isNew = !existsSync(path);
  closeSync(openSync(path, 'a'));
  if (isNew) unlinkSync(path);
}
