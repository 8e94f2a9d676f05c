import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { makeSocketFolder } from '../../../src/net/socket-folder.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

test('a folder for a socket is nobody else’s to look into', () => {
  const folder = makeSocketFolder(tmpdir(), []);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  rmSync(folder, { recursive: true });
});

test('it lies in the first folder that can be used, and that is printed once', () => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => {});
  const other = mkdtempSync(join(tmpdir(), 'millrace-other-'));
  for (let i = 0; i < 3; i++) {
    expect(dirname(makeSocketFolder('/nonexistent/a', ['/nonexistent/b', other, tmpdir()]))).toBe(other);
  }
  expect(said.mock.calls).toEqual([
    [expect.stringMatching(/could not make a folder in \/nonexistent\/a \(ENOENT\); .* lie in .*-other-/)],
  ]);
  rmSync(other, { recursive: true });
});

test('where there is none the error says what to set', () => {
  expect(() => makeSocketFolder('/nonexistent/a', ['/nonexistent/b'])).toThrow(
    expect.objectContaining({
      code: 'MILLRACE_UNSUPPORTED_RUNTIME',
      message:
        'Sockets cannot be passed between threads here: could not make a folder in /nonexistent/a (ENOENT). ' +
        'Set TMPDIR to a folder that can be written to, with a path of at most 83 bytes',
      cause: expect.any(Error),
    }),
  );
});
