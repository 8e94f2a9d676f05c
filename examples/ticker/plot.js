// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** The plot: a line for each symbol, over the last half minute. What it costs does not depend on the rate of updates. */

/** What the plot shows, and how finely, in ms: of the updates in one slot the last one counts. */
const WINDOW = 30_000;
const SLOT = 50;
const SLOTS = WINDOW / SLOT + 2;
/** A line with no update for so long is broken, in ms. */
const LONGEST_HOLD = 3000;
/** Smallest height of the plot, as a part of the opening price. */
const LEAST_SPAN = 0.005;
/** Between two pictures for people who want less motion, in ms. */
const CALM_INTERVAL = 1000;
/** In CSS pixels. */
const RIGHT = 58;
const TOP = 8;
const BOTTOM = 24;
const LABEL_HEIGHT = 15;
const GRID_HEIGHT = 56;

/** Changes of one symbol, one for each slot; NaN where there was no update. */
class Line {
  /** @param {number} hue */
  constructor(hue) {
    this.hue = hue;
    this.values = new Float64Array(SLOTS).fill(Number.NaN);
    /** The newest slot with an update; -1: none yet. */
    this.newest = -1;
    this.last = Number.NaN;
  }

  /** @param {number} slot @param {number} value */
  record(slot, value) {
    if (this.newest !== -1 && slot > this.newest) {
      for (let i = Math.max(this.newest + 1, slot - SLOTS); i < slot; i++)
        this.values[i % SLOTS] = Number.NaN;
    }
    this.values[slot % SLOTS] = value;
    this.newest = slot;
    this.last = value;
  }

  /** NaN when there was no update. @param {number} slot */
  at(slot) {
    return slot > this.newest || slot <= this.newest - SLOTS
      ? Number.NaN
      : (this.values[slot % SLOTS] ?? Number.NaN);
  }
}

export class Plot {
  /** The symbol that stands out; '' for none. */
  highlighted = '';
  isPaused = false;
  /** @type {Map<string, Line>} */
  #lines = new Map();
  #canvas;
  #context;
  #colors = { panel: '', soft: '', grid: '', stroke: '', font: '' };
  #width = 0;
  #height = 0;
  /** What the plot's lower and upper edge stand for; NaN before the first picture. */
  #low = Number.NaN;
  #high = Number.NaN;
  #drawnAt = 0;
  #calm = matchMedia('(prefers-reduced-motion: reduce)');

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    const context = canvas.getContext('2d');
    if (context === null) throw new Error('There is no 2D canvas');
    this.#canvas = canvas;
    this.#context = context;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#resize());
    const frame = () => {
      const now = performance.now();
      if (!this.isPaused && now - this.#drawnAt >= (this.#calm.matches ? CALM_INTERVAL : 0)) this.#draw(now);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  /** @param {string} symbol @param {number} hue */
  add(symbol, hue) {
    this.#lines.set(symbol, new Line(hue));
  }

  /** @param {string} symbol */
  remove(symbol) {
    this.#lines.delete(symbol);
  }

  /** @param {string} symbol @param {number} change as a part of the opening price */
  record(symbol, change) {
    if (!this.isPaused) this.#lines.get(symbol)?.record(Math.floor(performance.now() / SLOT), change);
  }

  /** The size or the colours changed. */
  #resize() {
    const { clientWidth, clientHeight } = this.#canvas;
    const style = getComputedStyle(this.#canvas);
    const read = (/** @type {string} */ name) => style.getPropertyValue(name);
    this.#colors = {
      panel: read('--panel'),
      soft: read('--soft'),
      grid: read('--line'),
      stroke: read('--stroke'),
      font: `12px ${style.fontFamily}`,
    };
    this.#width = clientWidth;
    this.#height = clientHeight;
    this.#canvas.width = Math.round(clientWidth * devicePixelRatio);
    this.#canvas.height = Math.round(clientHeight * devicePixelRatio);
    this.#draw(this.isPaused ? this.#drawnAt : performance.now());
  }

  /** @param {number} now */
  #draw(now) {
    this.#drawnAt = now;
    this.#fit(now);
    const context = this.#context;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, this.#width, this.#height);
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    const { values, digits } = this.#grid();
    this.#drawGrid(values);
    for (const [symbol, line] of this.#lines)
      if (symbol !== this.highlighted) this.#drawLine(symbol, line, now);
    const highlighted = this.#lines.get(this.highlighted);
    if (highlighted !== undefined) this.#drawLine(this.highlighted, highlighted, now);
    this.#drawScale(values, digits, now);
    this.#drawLabels();
  }

  /** Moves the edges towards what there is to see. @param {number} now */
  #fit(now) {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    const last = Math.floor(now / SLOT);
    for (const line of this.#lines.values()) {
      for (let slot = last - SLOTS + 1; slot <= last; slot++) {
        const value = line.at(slot);
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    if (low > high) return;
    const margin = Math.max((high - low) * 0.08, (LEAST_SPAN - (high - low)) / 2);
    const ease = this.#calm.matches || Number.isNaN(this.#low) ? 1 : 0.12;
    this.#low = ease === 1 ? low - margin : this.#low + (low - margin - this.#low) * ease;
    this.#high = ease === 1 ? high + margin : this.#high + (high + margin - this.#high) * ease;
  }

  /** @param {number} value */
  #y(value) {
    const height = this.#height - TOP - BOTTOM;
    return TOP + height * (1 - (value - this.#low) / (this.#high - this.#low));
  }

  /** @param {number} time @param {number} now */
  #x(time, now) {
    return (this.#width - RIGHT) * Math.min(1, 1 - (now - time) / WINDOW);
  }

  /** Where the lines of the grid are, and how many digits it takes to write that. */
  #grid() {
    const rows = (this.#height - TOP - BOTTOM) / GRID_HEIGHT;
    const step = roundStep((this.#high - this.#low) / rows);
    const values = [];
    for (let i = Math.ceil(this.#low / step); i * step <= this.#high; i++) values.push(i * step);
    return { values, digits: Math.max(0, Math.ceil(-Math.log10(step * 100) - 1e-9)) };
  }

  /** @param {number[]} values */
  #drawGrid(values) {
    const context = this.#context;
    context.lineWidth = 1;
    context.strokeStyle = this.#colors.grid;
    for (const value of values) {
      const y = Math.round(this.#y(value)) + 0.5;
      context.globalAlpha = value === 0 ? 1 : 0.6;
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(this.#width - RIGHT, y);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** @param {number[]} values @param {number} digits @param {number} now */
  #drawScale(values, digits, now) {
    const context = this.#context;
    context.font = this.#colors.font;
    context.fillStyle = this.#colors.soft;
    // A rim keeps them readable on the lines.
    context.lineWidth = 4;
    context.strokeStyle = this.#colors.panel;
    for (const value of values) {
      const text = percent(value, digits);
      const y = Math.round(this.#y(value)) - 8;
      context.strokeText(text, 2, y);
      context.fillText(text, 2, y);
    }
    context.textAlign = 'center';
    for (const seconds of [20, 10]) {
      context.fillText(`−${seconds} s`, this.#x(now - seconds * 1000, now), this.#height - 9);
    }
    context.textAlign = 'left';
  }

  /** @param {string} symbol @param {Line} line @param {number} now */
  #drawLine(symbol, line, now) {
    const context = this.#context;
    this.#useStyle(symbol, line);
    context.beginPath();
    let previous = Number.NEGATIVE_INFINITY;
    let y = 0;
    for (let slot = line.newest - SLOTS + 1; slot <= line.newest; slot++) {
      const value = line.at(slot);
      if (Number.isNaN(value)) continue;
      const time = (slot + 1) * SLOT;
      const x = Math.max(0, this.#x(time, now));
      y = this.#y(value);
      if (time - previous > LONGEST_HOLD) context.moveTo(x, y);
      else context.lineTo(x, y);
      previous = time;
    }
    // A price holds until the next one.
    if (now - previous < LONGEST_HOLD) context.lineTo(this.#width - RIGHT, y);
    context.stroke();
    context.globalAlpha = 1;
  }

  /** The symbols at the ends of their lines, kept apart. */
  #drawLabels() {
    const context = this.#context;
    context.font = `600 ${this.#colors.font}`;
    const x = this.#width - RIGHT + 8;
    const lines = Array.from(this.#lines).filter(([, line]) => line.newest !== -1);
    lines.sort(([, a], [, b]) => b.last - a.last);
    const places = lines.map(([, line]) => this.#y(line.last));
    spread(places, LABEL_HEIGHT, TOP, this.#height - BOTTOM);
    for (const [i, [symbol, line]] of lines.entries()) {
      this.#useStyle(symbol, line);
      context.fillText(symbol, x, places[i] ?? 0);
      context.globalAlpha = 1;
    }
  }

  /** @param {string} symbol @param {Line} line */
  #useStyle(symbol, line) {
    const context = this.#context;
    const stands = this.#lines.has(this.highlighted);
    context.strokeStyle = context.fillStyle = `oklch(${this.#colors.stroke} ${line.hue})`;
    context.lineWidth = symbol === this.highlighted ? 2.75 : 1.75;
    context.globalAlpha = stands && symbol !== this.highlighted ? 0.3 : 1;
  }
}

/** 1, 2 or 5 times a power of ten. @param {number} least */
function roundStep(least) {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
}

/** Moves ascending places so that they lie `apart` from each other. @param {number[]} places @param {number} apart @param {number} low @param {number} high */
function spread(places, apart, low, high) {
  let least = low;
  for (const [i, place] of places.entries()) {
    places[i] = Math.max(place, least);
    least = (places[i] ?? 0) + apart;
  }
  let most = high;
  for (let i = places.length - 1; i >= 0; i--) {
    places[i] = Math.min(places[i] ?? 0, most);
    most = (places[i] ?? 0) - apart;
  }
}

/** With a sign. @param {number} part @param {number} digits */
export function percent(part, digits) {
  const text = Math.abs(part * 100).toFixed(digits);
  const sign = Number(text) === 0 ? '' : part < 0 ? '−' : '+';
  return `${sign}${text}%`;
}
