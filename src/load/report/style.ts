/** The style of the report: light and dark, one column on a phone. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --back: #f6f7f9; --card: #ffffff; --text: #17202b; --dim: #55606e; --edge: #d9dee5;
  --s0: #1d5fd1; --s1: #b4540a; --s2: #a1225f; --bad: #a4161a; --bad-back: #fdeceb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #11151b; --card: #1a2029; --text: #e8ecf1; --dim: #a3aebb; --edge: #333c48;
    --s0: #7db0ff; --s1: #f0a458; --s2: #f08cc0; --bad: #ff9a94; --bad-back: #3a1d1e;
  }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; }
h1 { margin: 0; font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { margin: 0; font-size: 1.05rem; }
header p { margin: .25rem 0 1rem; color: var(--dim); overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 0 0 1rem; }
.tiles div, .chart, .problem, details { background: var(--card); border: 1px solid var(--edge); border-radius: .5rem; }
.tiles div { padding: .6rem .8rem; }
.tiles dt { color: var(--dim); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.problem { padding: .6rem .9rem; margin: 0 0 1rem; border-color: var(--bad); background: var(--bad-back); color: var(--bad); }
.problem ul { margin: .25rem 0 0; padding-left: 1.2rem; }
.problem li { overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
.chart { margin: 0; padding: .8rem .8rem .5rem; min-width: 0; }
figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
figcaption p, .readout { margin: 0; color: var(--dim); font-size: .85rem; }
.readout { min-height: 1.5em; font-variant-numeric: tabular-nums; }
.key { margin-left: .5rem; white-space: nowrap; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .3em; border-radius: 2px; background: currentColor; }
svg { display: block; width: 100%; height: auto; touch-action: pan-y; }
svg text { font-size: 11px; fill: var(--dim); }
@media (max-width: 32rem) { svg text { font-size: 15px; } }
.grid { stroke: var(--edge); stroke-width: 1; }
.cursor { stroke: var(--dim); stroke-width: 1; stroke-dasharray: 3 3; }
.cursor[hidden] { display: none; }
.line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.area { fill: var(--s0); opacity: .15; }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); }
.line.s1 { stroke-dasharray: 6 3; } .line.s2 { stroke-dasharray: 2 4; }
details { margin: 1rem 0 0; padding: .6rem .9rem; }
summary { cursor: pointer; font-weight: 600; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; margin-top: .5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--edge); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
footer { margin-top: 1rem; color: var(--dim); font-size: .85rem; }
`;
