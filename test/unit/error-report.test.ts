import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { errorLine, errorText, flushReports, reportError } from '../../src/error-report.ts';

const NOTHING_HARMFUL = /^[^\p{Cc}\p{Bidi_Control}]*$/u;

describe('an error as text', () => {
  it('begins with the name and the message, and goes on with frames', () => {
    const text = errorText(new TypeError('not this'));
    expect(text).toMatch(/^TypeError: not this\n {4}at .*error-report\.test\.ts/);
  });

  it('holds nothing of a message that a terminal would obey, and no line that the message made', () => {
    const error = new Error('\x1b[2J one\n    at trusted (file:///trusted.js:1:1)\n\u202e');
    const [first = '', second = '', ...rest] = errorText(error).split('\n');
    expect(first).toBe('Error: \\x1b[2J one\\n    at trusted (file:///trusted.js:1:1)\\n\\u202e');
    expect(second).toContain('error-report.test.ts');
    for (const line of [first, second, ...rest]) expect(line).toMatch(NOTHING_HARMFUL);
  });

  it('is limited, whatever the error', () => {
    const error = new Error('x'.repeat(1_000_000), { cause: new Error('y'.repeat(1_000_000)) });
    error.name = 'z'.repeat(1_000_000);
    error.stack = `Error: ${error.message}\n${`    at ${'f'.repeat(1000)}\n`.repeat(1000)}`;
    expect(errorText(error).length).toBeLessThan(8000);
    expect(errorText('x'.repeat(1_000_000)).length).toBeLessThan(400);
    expect(errorText(Array.from({ length: 1_000_000 }, () => 'x')).length).toBeLessThan(400);
  });

  it('tells causes, and the first of several errors', () => {
    const text = errorText(new AggregateError([new Error('first'), new Error('second')], 'both'));
    expect(text).toMatch(/^AggregateError: both\n/);
    expect(text).toContain('\n  [1 of 2 errors] Error: first\n');
    expect(errorText(new Error('outer', { cause: 'inner\x1b' }))).toContain("\n  [cause] 'inner\\x1B'");
    const circular = new Error('circular');
    circular.cause = circular;
    expect(errorText(circular).length).toBeLessThan(8000);
  });

  it('has the code of a system error', () => {
    expect(errorLine(Object.assign(new Error('failed'), { code: 'EFAULT' }))).toBe('Error: failed (EFAULT)');
    expect(errorLine(Object.assign(new Error('EFAULT: failed'), { code: 'EFAULT' }))).toBe(
      'Error: EFAULT: failed',
    );
  });

  it('is there for whatever can be thrown', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const hostile = new Error('hostile');
    Object.defineProperty(hostile, 'message', {
      get: () => {
        throw new Error('no');
      },
    });
    for (const thrown of [
      undefined,
      null,
      5,
      Symbol('\x1b'),
      {},
      () => 1,
      proxy,
      hostile,
      Object.create(null),
    ]) {
      expect(errorText(thrown)).toMatch(NOTHING_HARMFUL);
      expect(errorLine(thrown)).toMatch(NOTHING_HARMFUL);
    }
  });
});

describe('reports', () => {
  let lines: string[] = [];
  beforeEach(() => {
    flushReports();
    vi.useFakeTimers();
    const said: string[] = [];
    lines = said;
    vi.spyOn(console, 'error').mockImplementation((line) => {
      said.push(String(line));
    });
  });
  afterEach(() => {
    flushReports();
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  const parse = (body: string): void => {
    try {
      JSON.parse(body);
    } catch (error) {
      reportError('a handler', error);
    }
  };

  it('of one place are printed once in 10 seconds, and counted', () => {
    for (let i = 0; i < 10_000; i++) parse(`{bad ${i}`);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^millrace: a handler threw: SyntaxError: /);
    vi.advanceTimersByTime(10_000);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(
      /^millrace: a handler threw SyntaxError at .*error-report.*: 9999 more like it$/,
    );
    parse('{');
    expect(lines[2]).toMatch(/^millrace: a handler threw: SyntaxError: /);
    vi.advanceTimersByTime(10_000);
    expect(lines).toHaveLength(3);
  });

  it('of different places are each printed, but for too many', () => {
    for (let i = 0; i < 50; i++) reportError(`handler ${i}`, new Error('x'));
    expect(lines).toHaveLength(20);
    vi.advanceTimersByTime(10_000);
    expect(lines.slice(20)).toEqual(['millrace: 30 more errors, of other places']);
  });

  it('tell nothing apart by what a peer chose', () => {
    for (let i = 0; i < 100; i++) {
      reportError('a handler', new Error(`\n    at place${i} (file:///x.js:${i}:1)`));
    }
    expect(lines).toHaveLength(1);
  });

  it('keep no process alive', () => {
    reportError('a handler', new Error('x'));
    expect(vi.getTimerCount()).toBe(1);
    flushReports();
    expect(vi.getTimerCount()).toBe(0);
  });
});
