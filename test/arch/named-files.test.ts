import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** Every file that documents and comments name exists: a name that a file had once leads a reader nowhere. */

const root = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['src', 'workers', 'test', 'bench', 'examples', 'docs'];
const files = [...readdirSync(root), ...FOLDERS.flatMap((folder) => filesBelow(folder))];

/** Names that look like files of this repository, and are none. */
const OTHERS: ReadonlySet<string> = new Set([
  'Node.js',
  'uWebSockets.js',
  // Of examples.
  'report.html',
  'millrace/src/protocol/frame-parser.js',
]);

const FILE = /(?<![\w./:@-])(?:\.{1,2}\/)*((?:[\w-]+\/)*[\w.-]+\.(?:c?[jt]s|m[jt]s|md|json|html))(?![\w-])/g;

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules') return [];
    const path = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

/** The files that a text names, and that are not there. A name without folders may be a file in any of them. */
function missing(text: string): string[] {
  const names = Array.from(text.matchAll(FILE), ([, name]) => name!);
  return names.filter(
    (name) => !OTHERS.has(name) && !files.some((file) => file === name || file.endsWith(`/${name}`)),
  );
}

/** The comments of a program, without its code. */
function commentsOf(code: string): string {
  const comments = Array.from(code.matchAll(/^\s*(?:\/\*|\*|\/\/)(.*)$|\s\/\/ (.*)$/gm), ([text]) => text);
  return comments.join('\n');
}

describe('named files exist', () => {
  const documents = files.filter((file) => /^(docs\/)?[\w-]+\.md$/.test(file) && file !== 'CHANGELOG.md');

  it.each(documents)('in %s', (document) => {
    expect(missing(readFileSync(join(root, document), 'utf8'))).toEqual([]);
  });

  it.each(['src', 'workers'])('in comments of %s', (folder) => {
    const named = filesBelow(folder).map((file) => [
      file,
      missing(commentsOf(readFileSync(join(root, file), 'utf8'))),
    ]);
    expect(named.filter(([, names]) => names!.length > 0)).toEqual([]);
  });

  it('would be noticed: a file that is gone, a folder that it has left, a comment', () => {
    expect(documents).toContain('docs/architecture.md');
    expect(missing('see `src/app/app.ts`, app/app.ts and app.ts, ../docs/tls.md')).toEqual([]);
    expect(missing('see `src/app/gone.ts`, bus/app.ts (gone.ts)')).toEqual([
      'src/app/gone.ts',
      'bus/app.ts',
      'gone.ts',
    ]);
    expect(missing(commentsOf("import 'gone.ts';\n/** As gone.md says. */\nx(); // gone.js"))).toEqual([
      'gone.md',
      'gone.js',
    ]);
  });
});
