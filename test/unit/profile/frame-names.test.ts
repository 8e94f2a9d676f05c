import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FrameNames } from '../../../src/profile/frame-names.ts';

const SCRIPT = `export class Parser {
    /** Comment. */
    parse() {
        return this.#next();
    }

    #next() {}
}
/** Of nobody. */
export function alone() {
    inner();
}
class Second extends Parser {
    run() {}
}
const table = {
    entry() {},
};
`;

let folder = '';
let url = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-names-'));
  writeFileSync(join(folder, 'app.js'), SCRIPT);
  url = pathToFileURL(join(folder, 'app.js')).href;
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** The frame as 0x will show it. */
function shown(functionName: string, at: string, lineNumber = -1): string {
  const callFrame = { functionName, url: at, lineNumber, columnNumber: 0, scriptId: '1' };
  const profile: Profiler.Profile = { nodes: [{ id: 1, callFrame }], startTime: 0, endTime: 1 };
  const frame = new FrameNames(folder).rename(profile).nodes[0]!.callFrame;
  return `${frame.functionName}${frame.url === '' ? '' : ` ${frame.url}`}${frame.lineNumber > 0 ? `:${frame.lineNumber}` : ''}`;
}

const line = (text: string): number => SCRIPT.split('\n').findIndex((one) => one.includes(text));

describe('frames are named', () => {
  test('with the class of a method', () => {
    expect(shown('parse', url, line('parse()'))).toBe('Parser.parse ./app.js:3');
    expect(shown('#next', url, line('#next() {}'))).toBe('Parser.#next ./app.js:7');
    expect(shown('run', url, line('run()'))).toBe('Second.run ./app.js:14');
  });

  test('without one for functions, constructors and what is in other things', () => {
    expect(shown('alone', url, line('function alone'))).toBe('alone ./app.js:10');
    expect(shown('inner', url, line('inner();'))).toBe('inner ./app.js:11');
    expect(shown('entry', url, line('entry()'))).toBe('entry ./app.js:17');
    expect(shown('Parser', url, 0)).toBe('Parser ./app.js:1');
  });

  test('so that 0x tells the app, dependencies and Node.js apart', () => {
    const ofPackage = new URL('../../../src/protocol/frame-parser.js', import.meta.url).href;
    expect(shown('readStop', 'node:net', 9)).toBe('readStop internal/net.js:10');
    expect(shown('run', 'node:internal/timers', 9)).toBe('run internal/timers.js:10');
    expect(shown('get', pathToFileURL(join(folder, 'node_modules/x/y.mjs')).href, 1)).toBe(
      'get ./node_modules/x/y.mjs:2',
    );
    expect(shown('f', pathToFileURL('/elsewhere/z.js').href, 4)).toBe('f /elsewhere/z.js:5');
    expect(shown('f', ofPackage, 0)).toBe('f millrace/src/protocol/frame-parser.js:1');
    expect(shown('f', pathToFileURL(join(folder, 'chat.ts')).href, 0)).toBe('f ./chat.ts as .js:1');
  });

  test('so that 0x does not hide what is native or has no name', () => {
    expect(shown('writeBuffer', '')).toBe('writeBuffer, native.');
    expect(shown('(program)', '')).toBe('native code, kernel, libuv.');
    expect(shown('(garbage collector)', '')).toBe('garbage collector.');
    expect(shown('', url, line('function alone'))).toBe('anonymous ./app.js:10');
    expect(shown('(idle)', '')).toBe('(idle)');
    expect(shown('(root)', '')).toBe('(root)');
  });

  test('also when the script is gone', () => {
    expect(shown('f', pathToFileURL(join(folder, 'gone.js')).href, 7)).toBe('f ./gone.js:8');
  });
});
