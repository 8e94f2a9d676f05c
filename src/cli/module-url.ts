import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { UsageError } from './args.ts';

const EXTENSIONS = ['.js', '.mjs', '.ts'];

/**
 * The app module a user has named by a path or a file: URL.
 *
 * @throws UsageError when there is no such file
 */
export function moduleUrl(module: string): URL {
  const path = module.startsWith('file:') ? fileURLToPath(module) : resolve(module);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    const extension = EXTENSIONS.find((end) => existsSync(path + end));
    const remedy =
      extension === undefined
        ? `Paths are taken from ${process.cwd()}.`
        : `Did you mean ${module}${extension}?`;
    throw new UsageError(`there is no file ${path}`, remedy);
  }
  if (stats.isDirectory()) {
    throw new UsageError(`${path} is a directory`, 'Name the app module in it, such as its app.js.');
  }
  return pathToFileURL(path);
}
