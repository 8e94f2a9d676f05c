import type { Profiler } from 'node:inspector';
import { describe, expect, test } from 'vitest';
import { indexPage } from '../../../src/profile/index-page.ts';
import { summarize } from '../../../src/profile/profile-summary.ts';

function node(id: number, functionName: string, url: string, hitCount: number): Profiler.ProfileNode {
  return { id, hitCount, callFrame: { functionName, url, lineNumber: 5, columnNumber: 0, scriptId: '1' } };
}

const PROFILE: Profiler.Profile = {
  startTime: 1_000_000,
  endTime: 3_500_000,
  nodes: [
    node(1, '(root)', '', 0),
    node(2, '(idle)', '', 60),
    node(3, 'garbage collector.', '', 10),
    node(4, 'send', './a.js', 12),
    node(5, 'send', './a.js', 8),
    node(6, 'send', './b.js', 9),
    node(7, '<b>&"', './c.js', 1),
  ],
};

describe('the summary of a profile', () => {
  const summary = summarize(PROFILE);

  test('says how long it is and what was idle', () => {
    expect(summary).toMatchObject({ seconds: 2.5, samples: 100, idle: 0.6, garbage: 0.1 });
  });

  test('adds up the functions of one place, the hottest first, in shares of the busy time', () => {
    expect(summary.hottest).toEqual([
      { name: 'send', place: './a.js:5', share: 0.5 },
      { name: 'garbage collector.', place: '', share: 0.25 },
      { name: 'send', place: './b.js:5', share: 0.225 },
      { name: '<b>&"', place: './c.js:5', share: 0.025 },
    ]);
  });

  test('of nothing divides by nothing', () => {
    expect(summarize({ nodes: [], startTime: 0, endTime: 0 })).toEqual({
      seconds: 0,
      samples: 0,
      idle: 0,
      garbage: 0,
      hottest: [],
    });
  });

  test('is put into a page that takes names for text', () => {
    const page = indexPage(
      '<title>',
      ['a & b'],
      [
        { thread: 'shard 0', flamegraph: 'shard-0.html', profile: 'shard-0.cpuprofile', summary },
        { thread: 'main', flamegraph: null, profile: 'main.cpuprofile', summary },
      ],
    );
    expect(page).toContain('<h1>&lt;title&gt;</h1>');
    expect(page).toContain('<p>a &amp; b</p>');
    expect(page).toContain('<code>&lt;b&gt;&amp;&quot;</code>');
    expect(page.match(/>flamegraph</g)).toHaveLength(1);
    expect(page.match(/idle 60\.0 %/g)).toHaveLength(2);
  });
});
