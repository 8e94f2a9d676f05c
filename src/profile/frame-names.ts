import { readFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this package, as it is compiled: dist/ and its parent. */
const DIST = new URL('../../', import.meta.url).href;

/** What V8 writes in place of a function, and what it means here. 0x hides names in parentheses. */
const META: Readonly<Record<string, string>> = {
  '(program)': 'native code, kernel, libuv.',
  '(garbage collector)': 'garbage collector.',
};

/**
 * Makes the frames of a profile readable: methods with their class (`FrameParser.parse` instead of `parse`), short
 * paths, and names for what is not JavaScript. 0x tells frames of the app, of dependencies and of Node.js apart by
 * how a name ends, and hides what it takes for V8's own; the names made here are the ones it shows.
 */
export class FrameNames {
  readonly #folder: string;
  /** The lines of a script; empty where it cannot be read. */
  readonly #scripts = new Map<string, readonly string[]>();

  /** @param folder that paths are shown relative to */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A copy of the profile with such names. */
  rename(profile: Profiler.Profile): Profiler.Profile {
    const nodes = profile.nodes.map((node) => ({ ...node, callFrame: this.#frame(node.callFrame) }));
    return { ...profile, nodes };
  }

  #frame(frame: Profiler.Profile['nodes'][number]['callFrame']): typeof frame {
    const { functionName, url, lineNumber } = frame;
    if (url === '') {
      const meta = META[functionName];
      const isNative = meta === undefined && functionName !== '' && !functionName.startsWith('(');
      return { ...frame, functionName: meta ?? (isNative ? `${functionName}, native.` : functionName) };
    }
    // Not '(anonymous)': 0x takes what is in parentheses for V8's own.
    const name = functionName === '' ? 'anonymous' : functionName;
    const owner = this.classAt(url, lineNumber);
    const isMember = owner !== '' && functionName !== '' && functionName !== owner && !name.includes('.');
    return {
      ...frame,
      functionName: isMember ? `${owner}.${name}` : name,
      url: this.shortUrl(url),
      // 0x shows the number as it is; V8 counts from 0.
      lineNumber: lineNumber + 1,
    };
  }

  /** 'millrace/src/protocol/frame-parser.js', './chat.js', 'node:net' */
  shortUrl(url: string): string {
    if (url.startsWith(DIST)) return `millrace/${url.slice(DIST.length)}`;
    if (!url.startsWith('file:'))
      return url.startsWith('node:') ? `internal/${url.replace(/^node:(internal\/)?/, '')}.js` : url;
    const path = relative(this.#folder, fileURLToPath(url));
    const short = path.startsWith('..') ? fileURLToPath(url) : `./${path}`;
    return /\.m?js$/.test(short) ? short : `${short} as .js`;
  }

  /** The class whose body holds a line, by the layout that compilers and formatters give it; '' for none. */
  classAt(url: string, line: number): string {
    if (!url.startsWith('file:')) return '';
    const lines = this.#linesOf(url);
    if (!/^\s/.test(lines[line] ?? '')) return '';
    for (let i = line - 1; i >= 0; i--) {
      const text = lines[i]!;
      if (text === '' || /^[\s/*]/.test(text)) continue;
      return /^(?:export )?(?:default )?(?:abstract )?class ([\w$]+)/.exec(text)?.[1] ?? '';
    }
    return '';
  }

  #linesOf(url: string): readonly string[] {
    let lines = this.#scripts.get(url);
    if (lines === undefined) {
      lines = readLines(url);
      this.#scripts.set(url, lines);
    }
    return lines;
  }
}

function readLines(url: string): string[] {
  try {
    return readFileSync(new URL(url), 'utf8').split('\n');
  } catch {
    return [];
  }
}
