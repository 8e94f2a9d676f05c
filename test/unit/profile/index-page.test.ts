import { expect, it } from 'vitest';
import { indexPage, type ProfiledThread } from '../../../src/profile/index-page.ts';

const THREAD: ProfiledThread = {
  thread: 'shard <0>',
  flamegraph: 'shard "0" é.html',
  profile: 'shard-0.cpuprofile',
  summary: {
    seconds: 2.06,
    samples: 1234,
    idle: 0.3333,
    garbage: 0,
    hottest: [
      { name: '<anonymous> & "co"', place: './a<b>.js:1', share: 0.5 },
      { name: 'second', place: '', share: 0.00049 },
    ],
  },
};

it('shows what was measured, and nothing that was given is taken for HTML', () => {
  const page = indexPage('<title> & "more"', ['node <1>', 'line & two'], [THREAD]);
  expect(page).toContain('<title>&lt;title&gt; &amp; &quot;more&quot;</title>');
  expect(page).toContain(
    '<h1>&lt;title&gt; &amp; &quot;more&quot;</h1>\n<p>node &lt;1&gt;</p>\n<p>line &amp; two</p>',
  );
  expect(page).toContain('<h2>shard &lt;0&gt;</h2>');
  expect(page).toContain(
    '<a href="shard%20%220%22%20%C3%A9.html">flamegraph</a>, <a href="shard-0.cpuprofile">profile</a>',
  );
  expect(page).toContain('1234 samples in 2.1 s,\nidle 33.3 %, garbage collection 0.0 %');
  expect(page).toContain(
    '<tr><td><code>&lt;anonymous&gt; &amp; &quot;co&quot;</code></td><td><code>./a&lt;b&gt;.js:1</code></td><td>50.0 %</td></tr>',
  );
  expect(page).toContain('<td>0.0 %</td>');
  expect(page.match(/<tr><td>/g)).toHaveLength(2);
});

it('leads to no flamegraph where there is none, and has a section for each thread in order', () => {
  const page = indexPage(
    't',
    [],
    [
      { ...THREAD, flamegraph: null },
      { ...THREAD, thread: 'main' },
    ],
  );
  expect(page.match(/<h2>.*<\/h2>/g)).toEqual(['<h2>shard &lt;0&gt;</h2>', '<h2>main</h2>']);
  expect(page.match(/>flamegraph</g)).toHaveLength(1);
  expect(page.match(/>profile</g)).toHaveLength(2);
});
