import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Answers } from '../../../src/bus/answers.ts';
import { AnswerStatus, writeReply } from '../../../src/bus/ask-record.ts';
import { type AskPort, Asks, MAX_ASK_BYTES, MAX_ASKS } from '../../../src/bus/asks.ts';
import { SendStatus } from '../../../src/bus/send-status.ts';
import { Counter, THREAD_SLOTS } from '../../../src/metrics/counter.ts';

const KIND = 7;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytes = (value: string): Uint8Array => Buffer.from(value);

/** Thread 0 asks, thread 1 answers; the test carries the records. */
class Pair implements AskPort {
  /** Of the thread that answers; 0: it is not there. */
  peer = 3;
  status: SendStatus = SendStatus.WRITTEN;
  readonly sent: { to: number; bytes: Uint8Array }[] = [];
  readonly replies: Uint8Array[] = [];
  readonly #counters = new Float64Array(THREAD_SLOTS);
  readonly asks = new Asks(this, this.#counters);
  readonly answers = new Answers((to, record, instance) => {
    expect([to, instance]).toEqual([0, 8]);
    this.replies.push(record);
    return this.status === SendStatus.WRITTEN;
  }, this.#counters);

  instanceAt(): number {
    return this.peer;
  }

  sendRequest(to: number, record: Uint8Array, instance: number): SendStatus {
    if (instance !== this.peer) throw new Error(`it is addressed to ${instance}`);
    if (this.status === SendStatus.WRITTEN) this.sent.push({ to, bytes: record });
    return this.status;
  }

  /** What was counted so far, but for what was not. */
  get counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const [name, counter] of Object.entries(Counter)) {
      if (this.#counters[counter]! > 0) counts[name] = this.#counters[counter]!;
    }
    return counts;
  }

  /** Carries what was sent so far, and the replies. */
  carry(): void {
    for (const { bytes: record } of this.sent.splice(0)) this.answers.onRequest(record, 0, 8);
    this.carryBack();
  }

  carryBack(): void {
    for (const reply of this.replies.splice(0)) this.asks.onReply(1, reply);
  }
}

let pair: Pair;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  pair = new Pair();
});
afterEach(() => {
  vi.useRealTimers();
});

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'answered',
    (error: { code: unknown }) => error.code,
  );

describe('ask', () => {
  it('is answered with what the handler returns, or its promise resolves with', async () => {
    pair.answers.handle(KIND, (request, from) => bytes(`${text(request)} of ${from}`));
    pair.answers.handle(KIND + 1, async (request) => {
      await Promise.resolve();
      return bytes(`later ${text(request)}`);
    });
    const first = pair.asks.ask(1, KIND, bytes('one'));
    const second = pair.asks.ask(1, KIND + 1, bytes('two'));
    expect(pair.asks.pending).toBe(2);
    pair.carry();
    expect(text(await first)).toBe('one of 0');
    expect(pair.asks.pending).toBe(1);
    await pair.answers.idle();
    pair.carryBack();
    expect(text(await second)).toBe('later two');
    expect(pair.asks.pending).toBe(0);
    expect(pair.counts).toEqual({ ASKS: 2, ANSWERS: 2 });
  });

  it('gives handler and caller bytes of their own', async () => {
    const kept: Uint8Array[] = [];
    pair.answers.handle(KIND, (request) => {
      kept.push(request);
      return request;
    });
    const answer = pair.asks.ask(1, KIND, bytes('stays'));
    const { bytes: record } = pair.sent[0]!;
    pair.answers.onRequest(record, 0, 8);
    record.fill(0);
    const reply = pair.replies[0]!;
    pair.asks.onReply(1, reply);
    reply.fill(0);
    expect(text(kept[0]!)).toBe('stays');
    expect(text(await answer)).toBe('stays');
  });

  it('fails with what the handler threw or rejected with, printable and cut', async () => {
    pair.answers.handle(KIND, () => {
      throw new Error(`no \u001b[31m${'x'.repeat(5000)}`);
    });
    pair.answers.handle(KIND + 1, () => Promise.reject(new Error('not now')));
    pair.answers.handle(KIND + 2, () => 'text' as unknown as Uint8Array);
    const thrown = pair.asks.ask(1, KIND, bytes(''));
    const rejected = pair.asks.ask(1, KIND + 1, bytes(''));
    const wrong = pair.asks.ask(1, KIND + 2, bytes(''));
    const settled = Promise.allSettled([thrown, rejected, wrong]);
    pair.carry();
    await pair.answers.idle();
    pair.carryBack();
    const [first, second, third] = (await settled).map((result) => (result as PromiseRejectedResult).reason);
    expect(first).toMatchObject({ code: 'MILLRACE_ASK_FAILED' });
    expect(first.message).toContain('no \\x1b[31mxxx');
    expect(first.message.length).toBeLessThan(400);
    expect(second.message).toBe('thread 1 failed at the request: not now');
    expect(third.message).toBe('thread 1 failed at the request: the handler gave no Uint8Array');
    expect(pair.counts).toEqual({ ASKS: 3, ASKS_FAILED: 3, ANSWERS: 3, ANSWERS_FAILED: 3 });
  });

  it('fails at its deadline, not before, and the answer that comes then is dropped and counted', async () => {
    pair.answers.handle(KIND, (request) => request);
    const short = codeOf(pair.asks.ask(1, KIND, bytes('a'), { timeout: 100 }));
    const long = codeOf(pair.asks.ask(1, KIND, bytes('b'), { timeout: 60_000 }));
    vi.advanceTimersByTime(99);
    expect(pair.asks.pending).toBe(2);
    vi.advanceTimersByTime(21);
    expect(pair.asks.pending).toBe(1);
    expect(await short).toBe('MILLRACE_ASK_TIMEOUT');
    // Several rounds of the wheel.
    vi.advanceTimersByTime(59_000 - 121);
    expect(pair.asks.pending).toBe(1);
    pair.carry();
    expect(await long).toBe('answered');
    expect(pair.counts).toEqual({ ASKS: 2, ASKS_FAILED: 1, ASK_TIMEOUTS: 1, LATE_ANSWERS: 1, ANSWERS: 2 });
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(20);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('fails when the thread is gone, was never there, or does not keep up', async () => {
    const asked = codeOf(pair.asks.ask(1, KIND, bytes('')));
    pair.asks.peerGone(2, 3);
    // The reply of the instance before comes late.
    pair.asks.peerGone(1, 2);
    expect(pair.asks.pending).toBe(1);
    pair.asks.peerGone(1, 3);
    expect(await asked).toBe('MILLRACE_PEER_GONE');
    pair.peer = 0;
    expect(await codeOf(pair.asks.ask(1, KIND, bytes('')))).toBe('MILLRACE_PEER_GONE');
    pair.peer = 4;
    for (const [status, code] of [
      [SendStatus.DROPPED, 'MILLRACE_ASK_REFUSED'],
      [SendStatus.TOO_BIG, 'MILLRACE_ASK_REFUSED'],
      [SendStatus.GONE, 'MILLRACE_PEER_GONE'],
    ] as const) {
      pair.status = status;
      expect(await codeOf(pair.asks.ask(1, KIND, bytes('')))).toBe(code);
    }
    expect(pair.asks.pending).toBe(0);
    expect(pair.counts).toEqual({ ASKS: 5, ASKS_FAILED: 5 });
  });

  it('is refused when nobody answers its kind', async () => {
    const asked = codeOf(pair.asks.ask(1, KIND, bytes('')));
    pair.carry();
    expect(await asked).toBe('MILLRACE_ASK_REFUSED');
    expect(pair.counts).toEqual({ ASKS: 1, ASKS_FAILED: 1, ANSWERS: 1, ANSWERS_REFUSED: 1 });
  });

  it('is refused when too many wait, or too many bytes of them', async () => {
    const large = codeOf(pair.asks.ask(1, KIND, new Uint8Array(MAX_ASK_BYTES - 1000)));
    expect(await codeOf(pair.asks.ask(1, KIND, new Uint8Array(1000)))).toBe('MILLRACE_ASK_REFUSED');
    pair.asks.peerGone(1, 3);
    expect(await large).toBe('MILLRACE_PEER_GONE');
    const many = Array.from({ length: MAX_ASKS }, () => codeOf(pair.asks.ask(1, KIND, bytes(''))));
    expect(await codeOf(pair.asks.ask(1, KIND, bytes('')))).toBe('MILLRACE_ASK_REFUSED');
    pair.asks.peerGone(1, 3);
    expect(new Set(await Promise.all(many))).toEqual(new Set(['MILLRACE_PEER_GONE']));
  });

  it('takes no answer of another thread, to another request, or that is none', async () => {
    const asked = pair.asks.ask(1, KIND, bytes('who'));
    const id = pair.sent[0]!.bytes;
    const number = new DataView(id.buffer, id.byteOffset).getUint32(0, true);
    const { DONE } = AnswerStatus;
    pair.asks.onReply(2, writeReply(number, DONE, bytes('another thread')));
    pair.asks.onReply(1, writeReply(number + 1, DONE, bytes('nobody')));
    pair.asks.onReply(1, bytes('none'));
    expect(pair.counts).toMatchObject({ LATE_ANSWERS: 3 });
    pair.asks.onReply(1, writeReply(number, DONE, bytes('the one')));
    pair.asks.onReply(1, writeReply(number, DONE, bytes('again')));
    expect(text(await asked)).toBe('the one');
    expect(pair.counts).toMatchObject({ LATE_ANSWERS: 4 });
  });

  it('rejects a timeout that is none', async () => {
    for (const timeout of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 3_600_001]) {
      expect(await codeOf(pair.asks.ask(1, KIND, bytes(''), { timeout }))).toBe('MILLRACE_INVALID_ARGUMENT');
    }
  });

  it('is refused until its thread may ask, and is none of those that the thread before has made', async () => {
    pair.asks.refuse('not yet');
    await expect(pair.asks.ask(1, KIND, bytes(''))).rejects.toMatchObject({
      code: 'MILLRACE_ASK_REFUSED',
      message: 'The request was not sent: not yet',
    });
    pair.asks.open();
    pair.asks.continueFrom(2 ** 32 - 1);
    const asked = pair.asks.ask(1, KIND, bytes(''));
    expect(pair.asks.lastId).toBe(0);
    const idle = pair.asks.idle();
    pair.asks.onReply(1, writeReply(0, AnswerStatus.DONE, bytes('')));
    await Promise.all([asked, idle]);
  });

  it('fails when its thread ends, and later ones are refused', async () => {
    const asked = codeOf(pair.asks.ask(1, KIND, bytes('')));
    pair.asks.close('this thread ends');
    expect(await asked).toBe('MILLRACE_PEER_GONE');
    expect(await codeOf(pair.asks.ask(1, KIND, bytes('')))).toBe('MILLRACE_ASK_REFUSED');
  });
});

describe('answers that are given up', () => {
  it('are told to those who asked, and what the handler gives later goes nowhere', async () => {
    let done = (_answer: Uint8Array): void => {};
    pair.answers.handle(KIND, () => new Promise((resolve) => (done = resolve)));
    const asked = pair.asks.ask(1, KIND, bytes(''));
    const failed = expect(asked).rejects.toMatchObject({
      code: 'MILLRACE_PEER_GONE',
      message: 'The request has no answer: thread 1 was replaced before it was done',
    });
    pair.carry();
    expect(pair.answers.underWay).toBe(1);
    const idle = pair.answers.idle();
    pair.answers.abandon();
    await idle;
    pair.carryBack();
    await failed;
    done(bytes('too late'));
    await Promise.resolve();
    expect(pair.replies).toEqual([]);
  });

  it('a reply for which there is no room is counted', () => {
    pair.answers.handle(KIND, (request) => request);
    const asked = codeOf(pair.asks.ask(1, KIND, bytes('')));
    pair.status = SendStatus.DROPPED;
    pair.carry();
    expect(pair.counts).toEqual({ ASKS: 1, ANSWERS: 1, ANSWERS_DROPPED: 1 });
    return asked;
  });
});
