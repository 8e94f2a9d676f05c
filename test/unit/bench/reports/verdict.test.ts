import { describe, expect, test } from 'vitest';
import { type Figures, judge, outcomeOf } from '../../../../bench/lib/reports/verdict.js';

const run = (messagesPerSecond: number, more: Partial<Figures> = {}): Figures => ({
  messagesPerSecond,
  messagesPerServerSecond: messagesPerSecond,
  serverMicroseconds: 1e6 / messagesPerSecond,
  serverShare: 1,
  clientShare: 0.5,
  strangerShare: 0,
  ...more,
});
const target = { peer: 'ws', metric: 'messagesPerSecond', must: 1.5, aim: 2 } as const;
const verdictOn = (ours: Figures[], theirs: Figures[]) => outcomeOf(judge(target, ours, theirs));

describe('the verdict on a ratio', () => {
  test('is met, met with the aim, or missed', () => {
    expect(verdictOn([run(160)], [run(100)])).toBe('met');
    expect(verdictOn([run(200)], [run(100)])).toBe('met, aim reached');
    expect(verdictOn([run(149)], [run(100)])).toBe('MISSED');
  });

  test('is of the median of the neighbours, not of the medians', () => {
    expect(verdictOn([run(160), run(80), run(40)], [run(100), run(50), run(25)])).toBe('met');
  });

  test('leaves repetitions out that other programs disturbed', () => {
    const disturbed = { strangerShare: 0.5 };
    const calm = [run(160), run(160)];
    const ws = [run(100), run(100), run(100)];
    expect(verdictOn([...calm, run(50, disturbed)], ws)).toBe('met');
    expect(verdictOn([...calm, run(160)], [run(110), run(110), run(10, disturbed)])).toBe('MISSED');
  });

  test('is not given when all of them were disturbed, or all but one', () => {
    const disturbed = { strangerShare: 0.5 };
    const twice = [run(100), run(100)];
    expect(verdictOn([run(300), run(300, disturbed)], twice)).toBe('not judged: the machine was disturbed');
    expect(verdictOn([run(300, disturbed)], [run(100)])).toBe('not judged: the machine was disturbed');
  });

  test('is not given when the client was the limit of the one that should have been faster', () => {
    const bound = { clientShare: 0.98, serverShare: 0.96 };
    expect(verdictOn([run(149, bound)], [run(100)])).toBe('not judged: the client was the limit');
    expect(verdictOn([run(160)], [run(100, bound)])).toBe('not judged: the client was the limit');
    expect(verdictOn([run(160, bound)], [run(100)])).toBe('met');
    expect(verdictOn([run(149)], [run(100, bound)])).toBe('MISSED');
    // Both ends are at their limit: a faster client would find no faster server.
    const full = { clientShare: 0.98, serverShare: 0.98 };
    expect(verdictOn([run(149, full)], [run(100)])).toBe('MISSED');
    expect(verdictOn([run(160)], [run(100, full)])).toBe('met');
  });
});

describe('the verdict on a value', () => {
  const latency = { metric: 'latency99', must: 2 } as const;
  const lost = { metric: 'lost', must: 0 } as const;

  test('is met below a limit where less is better', () => {
    expect(outcomeOf(judge(latency, [run(1, { latency99: 1.9 })], []))).toBe('met');
    expect(outcomeOf(judge(latency, [run(1, { latency99: 2.1 })], []))).toBe('MISSED');
  });

  test('is met on a disturbed machine, but never missed on one', () => {
    const strangers = { strangerShare: 0.5 };
    expect(outcomeOf(judge(latency, [run(1, { latency99: 1, ...strangers })], []))).toBe('met');
    expect(outcomeOf(judge(latency, [run(1, { latency99: 3, ...strangers })], []))).toMatch('not judged');
  });

  test('is missed when a single repetition lost a message', () => {
    expect(outcomeOf(judge(lost, [run(1, { lost: 0 }), run(1, { lost: 0 }), run(1, { lost: 1 })], []))).toBe(
      'MISSED',
    );
    expect(outcomeOf(judge(lost, [run(1, { lost: 0 })], []))).toBe('met');
  });

  test('is not given when there is no figure', () => {
    expect(outcomeOf(judge(latency, [run(1)], []))).toBe('not judged: no figure');
  });
});
