import type { Axis } from './axis.ts';
import { escapeHtml } from './escape.ts';

export type Point = readonly [x: number, y: number];

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Chart {
  readonly id: string;
  readonly title: string;
  /** What is to be seen in it, in a sentence. */
  readonly about: string;
  readonly x: Axis;
  readonly y: Axis;
  /** At most three. */
  readonly series: readonly Series[];
  /** Fill the room under the first series. */
  readonly isFilled: boolean;
  /** Texts for the values that are pointed at. */
  readonly describeX: (x: number) => string;
  readonly describeY: (y: number) => string;
}

/** Units of the drawing: small, so that its letters can be read where the drawing is as wide as a phone. */
const SIZE = { width: 420, height: 230, left: 60, right: 12, top: 10, bottom: 26 } as const;
const PLOT_WIDTH = SIZE.width - SIZE.left - SIZE.right;
const PLOT_HEIGHT = SIZE.height - SIZE.top - SIZE.bottom;

/** What the script of the page needs to show values: places and texts. */
export interface ChartData {
  readonly id: string;
  readonly points: readonly { readonly x: number; readonly text: string }[];
}

export function chartData({ id, x, series, describeX, describeY }: Chart): ChartData {
  const [first] = series;
  const points = (first?.points ?? []).map(([at], i) => {
    const values = series.map(({ name, points }) => `${name} ${describeY(points[i]?.[1] ?? 0)}`);
    return { x: round(placeX(x, at)), text: `${describeX(at)}: ${values.join(', ')}` };
  });
  return { id, points };
}

/** A figure with an SVG in it. */
export function drawChart(chart: Chart): string {
  const { id, title, about, x, y, series, isFilled } = chart;
  const legend = series
    .map(({ name }, i) => `<span class="key"><i class="s${i}"></i>${escapeHtml(name)}</span>`)
    .join(' ');
  const area = isFilled && series[0] !== undefined ? areaOf(series[0], x, y) : '';
  const lines = series
    .map(({ points }, i) => `<path class="line s${i}" d="${pathOf(points, x, y)}"/>`)
    .join('');
  return `<figure id="${id}" class="chart">
<figcaption><h2>${escapeHtml(title)}</h2><p>${legend}</p></figcaption>
<svg viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${escapeHtml(`${title}. ${about}`)}">
${gridOf(x, y)}${area}${lines}<line class="cursor" y1="${SIZE.top}" y2="${SIZE.top + PLOT_HEIGHT}" hidden/>
</svg>
<p class="readout" aria-hidden="true">${escapeHtml(about)}</p>
</figure>`;
}

/** The path through points. One alone becomes a dash, so that it can be seen. */
export function pathOf(points: readonly Point[], x: Axis, y: Axis): string {
  const [first] = points;
  if (first === undefined) return '';
  const places = points.map(([atX, atY]) => `${round(placeX(x, atX))} ${round(placeY(y, atY))}`);
  return points.length === 1 ? `M${places[0]}h6` : `M${places.join('L')}`;
}

function areaOf({ points }: Series, x: Axis, y: Axis): string {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return '';
  const bottom = SIZE.top + PLOT_HEIGHT;
  const end = `L${round(placeX(x, last[0]))} ${bottom}L${round(placeX(x, first[0]))} ${bottom}Z`;
  return `<path class="area" d="${pathOf(points, x, y)}${end}"/>`;
}

function gridOf(x: Axis, y: Axis): string {
  const bottom = SIZE.top + PLOT_HEIGHT;
  const rows = y.ticks.map(({ at, label }) => {
    const place = round(bottom - at * PLOT_HEIGHT);
    return (
      `<line class="grid" x1="${SIZE.left}" x2="${SIZE.width - SIZE.right}" y1="${place}" y2="${place}"/>` +
      `<text x="${SIZE.left - 6}" y="${place + 4}" text-anchor="end">${escapeHtml(label)}</text>`
    );
  });
  const columns = x.ticks.map(({ at, label }) => {
    const place = round(SIZE.left + at * PLOT_WIDTH);
    // The last label must not stick out of the drawing.
    const anchor = at > 0.95 ? 'end' : at < 0.02 ? 'start' : 'middle';
    return `<text x="${place}" y="${bottom + 18}" text-anchor="${anchor}">${escapeHtml(label)}</text>`;
  });
  return [...rows, ...columns].join('');
}

function placeX(axis: Axis, value: number): number {
  return SIZE.left + Math.min(1, Math.max(0, axis.place(value))) * PLOT_WIDTH;
}

function placeY(axis: Axis, value: number): number {
  return SIZE.top + (1 - Math.min(1, Math.max(0, axis.place(value)))) * PLOT_HEIGHT;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
