import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../src/cli/args.ts';
import { explain, usersStack } from '../../../src/cli/explain.ts';
import { MillraceError } from '../../../src/errors.ts';

const OURS = new URL('../../../src/app/shard-thread.ts', import.meta.url);

const STACK = `TypeError: boom
    at inner (file:///home/me/app.js:3:9)
    at ${fileURLToPath(OURS)}:7:1
    at async runShard (${OURS.href}:27:9)
    at async onMessage (/x/node_modules/piscina/dist/worker.js:180:22)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
    at emit (node:events:524:28)
    at async outer (file:///home/me/lib.js:1:2)`;

function withCause(code: ConstructorParameters<typeof MillraceError>[0], stack: string): MillraceError {
  const cause = new Error('boom');
  cause.stack = stack;
  return new MillraceError(code, 'Cannot use the app module file:///home/me/app.js: boom', { cause });
}

describe('usersStack', () => {
  test('keeps the frames of the user alone', () => {
    expect(usersStack(STACK)).toBe(`TypeError: boom
    at inner (file:///home/me/app.js:3:9)
    at async outer (file:///home/me/lib.js:1:2)`);
  });

  test('is empty when no frame is the user’s', () => {
    expect(usersStack(`Error: x\n    at async runShard (${OURS.href}:27:9)`)).toBe('');
    expect(usersStack('')).toBe('');
  });

  test('keeps the place of an import that cannot be linked', () => {
    const place = `file:///home/me/app.js:1\nimport { no } from 'node:fs';\n         ^^\nSyntaxError: no export 'no'`;
    expect(
      usersStack(`${place}\n    at ModuleJob._instantiate (node:internal/modules/esm/module_job:1:2)`),
    ).toBe(place);
  });
});

describe('explain', () => {
  test('gives a mistake in the command line a line and its remedy another', () => {
    expect(explain(new UsageError('there is no flag --x', "See 'millrace --help'."))).toBe(
      "millrace: there is no flag --x\nSee 'millrace --help'.",
    );
  });

  test('gives an error of the package one line, without a stack', () => {
    expect(explain(new MillraceError('MILLRACE_LISTEN_FAILED', 'Cannot listen on :: port 80'))).toBe(
      'millrace: Cannot listen on :: port 80',
    );
  });

  test('shows what an app module threw once, with the user’s frames', () => {
    expect(explain(withCause('MILLRACE_BAD_MODULE', STACK))).toBe(
      'millrace: Cannot use the app module file:///home/me/app.js\n\n' +
        'TypeError: boom\n    at inner (file:///home/me/app.js:3:9)\n    at async outer (file:///home/me/lib.js:1:2)',
    );
    expect(explain(withCause('MILLRACE_SHARD_CRASHED', STACK))).toContain('\n\nTypeError: boom\n');
  });

  test('shows the message alone when no frame is the user’s', () => {
    expect(explain(withCause('MILLRACE_BAD_MODULE', 'Error: boom\n    at node:internal/x:1:2'))).toBe(
      'millrace: Cannot use the app module file:///home/me/app.js: boom',
    );
  });

  test('hides nothing of a fault that is not the user’s', () => {
    const error = new Error('oh');
    expect(explain(error)).toBe(`millrace: unexpected error\n${error.stack}`);
    expect(explain('a string')).toBe('millrace: unexpected error\na string');
  });
});

test('nothing that a message or a stack quotes is obeyed by a terminal', () => {
  const text = '\x1b[2J\x1b]0;title\x07\u202e\r\x9b';
  const cause = new Error(text);
  cause.stack = `Error: ${text}\n    at ${text} (file:///home/me/app.js:1:1)`;
  for (const error of [
    new UsageError(`no ${text}`, 'remedy'),
    new MillraceError('MILLRACE_BENCH_FAILED', `the server says ${text}`),
    new MillraceError('MILLRACE_BAD_MODULE', `Cannot use the app module: ${text}`, { cause }),
    cause,
    text,
  ]) {
    const shown = explain(error);
    expect(shown).toContain('\\x1b[2J');
    for (const line of shown.split('\n')) expect(line).toMatch(/^[^\p{Cc}\p{Bidi_Control}]*$/u);
  }
});
