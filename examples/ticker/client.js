// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** The page of the ticker: its connection, and the figures around the plot. */

import { Plot, percent } from './plot.js';

/** @import { ClientMessage, Notice, Update } from '../ticker.js' */

/** Symbols a page begins with. */
const FIRST_SYMBOLS = 5;
/** Hues of the lines, far apart for those chosen one after another. */
const HUES = [225, 40, 150, 310, 85, 260, 5, 190];
/** Wait before connecting anew, in ms: doubled from try to try, and a random part of it, lest all come at once. */
const FIRST_WAIT = 1000;
const LAST_WAIT = 15_000;
/** A connection that lived this long was a good one, in ms: the waits start from the first again. */
const GOOD_LIFE = 5000;
/** Choices are gathered for so long, in ms: the server takes 20 messages a second. */
const CHOICE_DELAY = 100;
const TABLE_INTERVAL = 250;
const METER_SECONDS = 60;
/** Latencies kept for the figures of a second: the newest. */
const MAX_LATENCIES = 4096;
/** Latencies mean something where the page and the publisher go by one clock. */
const HAS_SERVERS_CLOCK = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);

/**
 * @template {Element} E
 * @param {string} id
 * @param {{ new (): E }} type
 * @returns {E}
 */
function element(id, type) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`The page has no such #${id}`);
}

const status = element('status', HTMLElement);
const symbolBoxes = element('symbols', HTMLElement);
const problem = element('problem', HTMLElement);
const plot = new Plot(element('plot', HTMLCanvasElement));

/**
 * A symbol the server sends. `next` is the number of the next update; 0: any.
 *
 * @typedef {{ opening: number, hue: number, next: number, price: number, updates: number, gaps: number,
 *   row: HTMLTableRowElement }} Quote
 */

/** @type {Map<string, Quote>} */
const quotes = new Map();
/** Prices at the opening of all symbols there are. @type {Map<string, number>} */
let openings = new Map();
/** The symbols this page wants. @type {Set<string>} */
let wanted = new Set();
let mostSymbols = 0;
let gaps = 0;
let dropped = 0;

// The connection.

/** @type {WebSocket | null} */
let socket = null;
let failures = 0;

function connect() {
  const url = new URL('ticker', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.hash = '';
  const connection = new WebSocket(url);
  const startedAt = performance.now();
  socket = connection;
  showStatus('connecting', failures === 0 ? 'Connecting…' : 'Reconnecting…');
  connection.addEventListener('message', ({ data }) => {
    messages++;
    const message = /** @type {Update | Notice} */ (JSON.parse(data));
    if (Array.isArray(message)) update(message);
    else receive(message);
  });
  connection.addEventListener('close', () => {
    socket = null;
    if (performance.now() - startedAt > GOOD_LIFE) failures = 0;
    reconnectLater();
  });
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let retry;

function reconnectLater() {
  const longest = Math.min(FIRST_WAIT * 2 ** failures, LAST_WAIT);
  const wait = longest * (0.25 + 0.75 * Math.random());
  failures++;
  showStatus('offline', `Offline, next try in ${Math.ceil(wait / 1000)} s`);
  clearTimeout(retry);
  retry = setTimeout(connect, wait);
}

addEventListener('online', () => {
  if (socket !== null) return;
  clearTimeout(retry);
  connect();
});

/** @param {Notice} notice */
function receive(notice) {
  switch (notice.type) {
    case 'welcome':
      welcomed(notice);
      break;
    case 'subscribed':
      problem.textContent = '';
      subscribed(notice.symbols);
      break;
    case 'dropped':
      dropped += notice.count;
      break;
    case 'refused':
      problem.textContent = notice.reason;
      wanted = new Set(quotes.keys());
      showChoice();
      break;
  }
}

/** @param {Extract<Notice, { type: 'welcome' }>} welcome */
function welcomed({ shard, shards, most, symbols }) {
  showStatus('online', `Shard ${shard} of ${shards}`);
  showShard(shard, shards);
  openings = new Map(symbols);
  mostSymbols = most;
  for (const quote of quotes.values()) quote.next = 0;
  if (symbolBoxes.childElementCount === 0) {
    symbolBoxes.append(...Array.from(openings.keys(), symbolBox));
    wanted = symbolsOfHash() ?? new Set(Array.from(openings.keys()).slice(0, FIRST_SYMBOLS));
  }
  showChoice();
  choose();
}

/** In the messages' hot path. @param {Update} message */
function update([symbol, number, price, time]) {
  const quote = quotes.get(symbol);
  if (quote === undefined) return;
  if (quote.next !== 0 && number !== quote.next && number !== 1) {
    const missing = Math.max(1, number - quote.next);
    quote.gaps += missing;
    gaps += missing;
  }
  quote.next = number + 1;
  quote.price = price;
  quote.updates++;
  latencies[latencyCount++ % MAX_LATENCIES] = performance.timeOrigin + performance.now() - time;
  plot.record(symbol, price / quote.opening - 1);
}

// The choice of symbols.

/** @type {ReturnType<typeof setTimeout> | undefined} */
let choosing;

function chooseSoon() {
  showChoice();
  const hash = Array.from(wanted).join(',');
  history.replaceState(null, '', `#${hash}`);
  clearTimeout(choosing);
  choosing = setTimeout(choose, CHOICE_DELAY);
}

function choose() {
  /** @type {ClientMessage} */
  const message = { subscribe: Array.from(wanted) };
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

/** From here on, these are what the server sends. @param {string[]} symbols */
function subscribed(symbols) {
  for (const [symbol, quote] of quotes) {
    if (symbols.includes(symbol)) continue;
    quote.row.remove();
    quotes.delete(symbol);
    plot.remove(symbol);
  }
  for (const symbol of symbols) if (!quotes.has(symbol)) addQuote(symbol);
  showChoice();
}

/** @param {string} symbol */
function addQuote(symbol) {
  const used = new Set(Array.from(quotes.values(), ({ hue }) => hue));
  const hue = HUES.find((hue) => !used.has(hue)) ?? 0;
  const opening = openings.get(symbol) ?? 1;
  const row = document.createElement('tr');
  row.dataset['symbol'] = symbol;
  row.style.setProperty('--hue', String(hue));
  const head = document.createElement('th');
  head.scope = 'row';
  head.textContent = symbol;
  row.append(head, ...Array.from({ length: 4 }, () => document.createElement('td')));
  element('values', HTMLTableSectionElement).append(row);
  quotes.set(symbol, { opening, hue, next: 0, price: opening, updates: 0, gaps: 0, row });
  plot.add(symbol, hue);
}

/** @param {string} symbol */
function symbolBox(symbol) {
  const label = document.createElement('label');
  const box = document.createElement('input');
  box.type = 'checkbox';
  box.value = symbol;
  label.dataset['symbol'] = symbol;
  label.append(box, symbol);
  box.addEventListener('change', () => {
    if (box.checked) wanted.add(symbol);
    else wanted.delete(symbol);
    chooseSoon();
  });
  return label;
}

function showChoice() {
  for (const box of symbolBoxes.querySelectorAll('input')) {
    const quote = quotes.get(box.value);
    box.checked = wanted.has(box.value);
    box.disabled = !box.checked && wanted.size >= mostSymbols;
    box.parentElement?.style.setProperty('--hue', String(quote?.hue ?? 0));
    box.parentElement?.classList.toggle('plotted', quote !== undefined);
  }
  element('choice-hint', HTMLElement).textContent = `${wanted.size} of at most ${mostSymbols}`;
  element('empty', HTMLElement).hidden = wanted.size > 0;
}

/** Null when the address names no symbol there is. */
function symbolsOfHash() {
  const named = location.hash
    .slice(1)
    .split(',')
    .filter((symbol) => openings.has(symbol));
  return named.length === 0 ? null : new Set(named.slice(0, mostSymbols));
}

addEventListener('hashchange', () => {
  wanted = symbolsOfHash() ?? wanted;
  chooseSoon();
});

/** A line stands out while the pointer or the focus is on what belongs to it. @param {Event} event */
function highlight({ target }) {
  const owner = target instanceof Element ? target.closest('[data-symbol]') : null;
  plot.highlighted = owner instanceof HTMLElement ? (owner.dataset['symbol'] ?? '') : '';
}
document.addEventListener('pointerover', highlight);
document.addEventListener('focusin', highlight);

const pause = element('pause', HTMLButtonElement);
pause.addEventListener('click', () => {
  plot.isPaused = !plot.isPaused;
  pause.setAttribute('aria-pressed', String(plot.isPaused));
});

// The figures.

/** Messages in the second under way, and those of each of the last seconds, the newest last. */
let messages = 0;
let secondBegan = performance.now();
const perSecond = new Array(METER_SECONDS + 1).fill(0);
const latencies = new Float64Array(MAX_LATENCIES);
let latencyCount = 0;

setInterval(() => {
  const now = performance.now();
  const rate = messages / ((now - secondBegan) / 1000);
  secondBegan = now;
  messages = 0;
  perSecond.shift();
  perSecond.push(rate);
  element('rate', HTMLElement).textContent = Math.round(rate).toLocaleString('en');
  const highest = Math.max(4, ...perSecond);
  const points = perSecond.map((count, second) => `${second},${(19 - (count / highest) * 18).toFixed(2)}`);
  const line = `M${points.join('L')}`;
  element('meter-line', SVGPathElement).setAttribute('d', line);
  element('meter-area', SVGPathElement).setAttribute('d', `${line}V20H0Z`);
  showLatency();
}, 1000);

function showLatency() {
  const sorted = latencies.slice(0, Math.min(latencyCount, MAX_LATENCIES)).sort();
  latencyCount = 0;
  const quantile = (/** @type {number} */ part) => sorted[Math.floor(part * sorted.length)] ?? Number.NaN;
  const isKnown = HAS_SERVERS_CLOCK && sorted.length > 0;
  element('latency', HTMLElement).textContent = isKnown ? duration(quantile(0.5)) : '–';
  element('latency-high', HTMLElement).textContent = isKnown ? duration(quantile(0.99)) : '–';
}

/** @param {number} ms */
function duration(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.max(0, ms).toFixed(ms < 10 ? 1 : 0)} ms`;
}

if (!HAS_SERVERS_CLOCK)
  element('latency-note', HTMLElement).textContent = 'known where server and page share a clock';

setInterval(() => {
  showCount('gaps', gaps);
  showCount('dropped', dropped);
  if (plot.isPaused) return;
  for (const quote of quotes.values()) {
    if (quote.updates === 0) continue;
    const change = quote.price / quote.opening - 1;
    const cells = [
      quote.price.toFixed(2),
      percent(change, 2),
      quote.updates.toLocaleString('en'),
      String(quote.gaps),
    ];
    for (const [i, text] of cells.entries()) {
      const cell = quote.row.cells[i + 1];
      if (cell !== undefined && cell.textContent !== text) cell.textContent = text;
    }
    quote.row.dataset['trend'] = change < 0 ? 'down' : 'up';
  }
}, TABLE_INTERVAL);

/** @param {'gaps' | 'dropped'} id @param {number} count */
function showCount(id, count) {
  const place = element(id, HTMLElement);
  place.textContent = count.toLocaleString('en');
  place.classList.toggle('bad', count > 0);
}

/** @param {'connecting' | 'online' | 'offline'} state @param {string} text */
function showStatus(state, text) {
  status.dataset['state'] = state;
  status.textContent = text;
}

/** @param {number} shard @param {number} count */
function showShard(shard, count) {
  const blocks = Array.from({ length: count }, (_, index) => {
    const block = document.createElement('span');
    block.style.setProperty('--hue', String(Math.round(200 + index * 137.5) % 360));
    if (index === shard) block.className = 'mine';
    return block;
  });
  element('shards', HTMLElement).replaceChildren(...blocks);
  element('where', HTMLElement).textContent =
    `You are on shard ${shard} of ${count}. ${shard === 0 ? 'So is the publisher.' : 'The publisher is on shard 0.'}`;
}

connect();
