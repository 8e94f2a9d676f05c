// @ts-check
/**
 * Ticker: one thread publishes prices, readers on all shards get those they ask for, and a page plots them.
 *
 *     npx millrace serve examples/ticker.js --port 9001 --shards 2
 *
 * TICKER_RATE is how often each price changes, in updates a second: 1 to 5000, default 50.
 *
 * Messages are JSON texts: an update is encoded and framed once for all its readers, so a binary form would save
 * little, and a text can be read in every browser's developer tools. Updates, which come all the time, are short lists.
 */
import { readFileSync } from 'node:fs';

/**
 * What a reader sends: all the symbols it wants from now on.
 *
 * @typedef {{ subscribe: string[] }} ClientMessage
 */

/**
 * A price. `number` counts the updates of its symbol without a gap: 1, 2, 3 …, and from 1 again when the publisher was
 * started anew. `time` is when it was published, in ms since 1970.
 *
 * @typedef {[symbol: string, number: number, price: number, time: number]} Update
 */

/**
 * What else a reader gets: where it is, with all symbols and the prices they began with; the symbols it gets from now
 * on, of at most `most`; how many updates were dropped because it reads too slowly; why its message was not taken.
 *
 * @typedef {{ type: 'welcome', shard: number, shards: number, rate: number, most: number, symbols: [string, number][] }
 *   | { type: 'subscribed', symbols: string[] }
 *   | { type: 'dropped', count: number }
 *   | { type: 'refused', reason: string }} Notice
 */

/**
 * One connection. `missed` counts updates dropped since it was last told, `messages` what it sent in this `second`.
 *
 * @typedef {{ symbols: Set<string>, missed: number, second: number, messages: number }} Reader
 * @typedef {import('millrace').WebSocket<Reader> & Reader} Socket
 */

const SYMBOLS =
  'MILL RACE WEIR GATE POND REED SILT FLOW GEAR BELT COGS HULL RYES OATS BRAN MALT HOPS SACK CART QUAY';
/** The price each symbol begins with, and stays near. @type {Map<string, number>} */
const OPENING = new Map(SYMBOLS.split(' ').map((symbol, i) => [symbol, 80 + ((i * 37) % 100) * 3]));
const RATE = Number(process.env['TICKER_RATE'] ?? 50);
/** Between two turns of the publisher, in ms. What is published in one turn is one write to each reader. */
const TURN = 20;
/** What a publisher that was held up makes up for, in ms. */
const MAX_BEHIND = 200;
/** Symbols and messages a second of one connection, bytes of a message, bytes that may wait for a slow reader. */
const LIMITS = { symbols: 8, perSecond: 20, payload: 512, backpressure: 64 * 1024 };

const FILES = /** @type {const} */ ([
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/client.js', 'client.js', 'text/javascript; charset=utf-8'],
  ['/plot.js', 'plot.js', 'text/javascript; charset=utf-8'],
  ['/style.css', 'style.css', 'text/css; charset=utf-8'],
]);
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** @type {import('millrace').AppModule} */
export default (app, { index, count }) => {
  if (!(RATE >= 1 && RATE <= 5000)) throw new RangeError('TICKER_RATE must be 1 to 5000 updates a second');
  for (const [path, file, type] of FILES) {
    const body = readFileSync(new URL(`ticker/${file}`, import.meta.url));
    app.get(path, (res) => {
      res.writeHeader('Content-Type', type).writeHeader('Cache-Control', 'no-cache');
      res.writeHeader('X-Content-Type-Options', 'nosniff').writeHeader('Referrer-Policy', 'no-referrer');
      res.writeHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY).end(body);
    });
  }

  /** @type {import('millrace').WebSocketBehavior<Reader>} */
  const behavior = {
    maxPayloadLength: LIMITS.payload,
    origins: 'same-origin',
    // A reader that is too slow loses updates, and the server no memory: this much waits for it, not more.
    maxBackpressure: LIMITS.backpressure,
    dropped: (ws) => {
      ws.missed++;
    },
    drain: (ws) => {
      if (ws.missed === 0 || ws.getBufferedAmount() > LIMITS.backpressure / 2) return;
      send(ws, { type: 'dropped', count: ws.missed });
      ws.missed = 0;
    },
    open: (ws) => {
      Object.assign(ws, { symbols: new Set(), missed: 0, second: 0, messages: 0 });
      const [rate, most, symbols] = [RATE, LIMITS.symbols, [...OPENING]];
      send(ws, { type: 'welcome', shard: index, shards: count, rate, most, symbols });
    },
    message: (ws, data, isBinary) => {
      if (isTooFast(ws)) ws.end(1008, 'too many messages');
      else subscribe(ws, isBinary ? null : parse(data));
    },
  };
  app.ws('/ticker', behavior);
  if (index === 0) startPublisher(app);
};

/** Its updates reach the readers of all shards. @param {import('millrace').TemplatedApp} app */
function startPublisher(app) {
  const prices = new Map(OPENING);
  let number = 0;
  let due = 0;
  let before = performance.now();
  setInterval(() => {
    const now = performance.now();
    due += (Math.min(now - before, MAX_BEHIND) / 1000) * RATE;
    before = now;
    for (; due >= 1; due--) {
      number++;
      for (const [symbol, opening] of OPENING) {
        const price = walk(prices.get(symbol) ?? opening, opening);
        const time = performance.timeOrigin + performance.now();
        prices.set(symbol, price);
        app.publish(topicOf(symbol), `["${symbol}",${number},${price.toFixed(2)},${time.toFixed(2)}]`);
      }
    }
  }, TURN);
}

/** A step of a random walk that tends back to where it began. @param {number} price @param {number} opening */
function walk(price, opening) {
  const noise = Math.random() + Math.random() + Math.random() - 1.5;
  return price + (0.02 * (opening - price)) / RATE + (0.008 * price * noise) / Math.sqrt(RATE);
}

/** @param {Socket} ws @param {string[] | null} symbols */
function subscribe(ws, symbols) {
  const wanted = new Set(symbols);
  const unknown = symbols?.find((symbol) => !OPENING.has(symbol));
  if (symbols === null) return refuse(ws, 'Send {"subscribe":["MILL"]}, with the symbols you want.');
  if (unknown !== undefined) return refuse(ws, `There is no symbol ${JSON.stringify(unknown)}.`);
  if (wanted.size > LIMITS.symbols) return refuse(ws, `At most ${LIMITS.symbols} symbols at a time.`);
  for (const symbol of ws.symbols) if (!wanted.has(symbol)) ws.unsubscribe(topicOf(symbol));
  for (const symbol of wanted) ws.subscribe(topicOf(symbol));
  ws.symbols = wanted;
  send(ws, { type: 'subscribed', symbols: [...wanted] });
}

/** The symbols that are asked for, or null when it is no such message. @param {ArrayBuffer} data */
function parse(data) {
  try {
    /** @type {unknown} */
    const symbols = JSON.parse(Buffer.from(data).toString())?.subscribe;
    return Array.isArray(symbols) && symbols.every((symbol) => typeof symbol === 'string') ? symbols : null;
  } catch {
    return null;
  }
}

/** @param {Socket} ws */
function isTooFast(ws) {
  const second = Math.floor(performance.now() / 1000);
  ws.messages = ws.second === second ? ws.messages + 1 : 1;
  ws.second = second;
  return ws.messages > LIMITS.perSecond;
}

/** @param {string} symbol */
function topicOf(symbol) {
  return `price/${symbol}`;
}

/** @param {Socket} ws @param {Notice} notice */
function send(ws, notice) {
  ws.send(JSON.stringify(notice));
}

/** @param {Socket} ws @param {string} reason */
function refuse(ws, reason) {
  send(ws, { type: 'refused', reason });
}
