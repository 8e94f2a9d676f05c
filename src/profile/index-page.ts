import type { ProfileSummary } from './profile-summary.ts';

export interface ProfiledThread {
  /** 'shard 0' */
  readonly thread: string;
  /** The file with its flamegraph, relative to the page; null when there is none. */
  readonly flamegraph: string | null;
  /** The file with its profile. */
  readonly profile: string;
  readonly summary: ProfileSummary;
}

const STYLE = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h2 { margin: 2rem 0 0.25rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #8884; padding: 0.15rem 0.5rem; text-align: left; }
td:last-child, th:last-child { text-align: right; font-variant-numeric: tabular-nums; }
code { font-size: 13px; overflow-wrap: anywhere; }
`;

/** The page that leads to the flamegraphs of all threads. `about` is what ran, a line each. */
export function indexPage(
  title: string,
  about: readonly string[],
  threads: readonly ProfiledThread[],
): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${about.map((line) => `<p>${escapeHtml(line)}</p>`).join('\n')}
${threads.map(section).join('\n')}
</body>
</html>
`;
}

function section({ thread, flamegraph, profile, summary }: ProfiledThread): string {
  const { seconds, samples, idle, garbage, hottest } = summary;
  const graph = flamegraph === null ? '' : `<a href="${escapeHtml(encodeURI(flamegraph))}">flamegraph</a>, `;
  const rows = hottest.map(
    ({ name, place, share }) =>
      `<tr><td><code>${escapeHtml(name)}</code></td><td><code>${escapeHtml(place)}</code></td><td>${percent(share)}</td></tr>`,
  );
  return `<section>
<h2>${escapeHtml(thread)}</h2>
<p>${graph}<a href="${escapeHtml(encodeURI(profile))}">profile</a>; ${samples} samples in ${seconds.toFixed(1)} s,
idle ${percent(idle)}, garbage collection ${percent(garbage)}</p>
<table>
<tr><th>function</th><th>where</th><th>own time</th></tr>
${rows.join('\n')}
</table>
</section>`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
