// @ts-check
import { clientFrame, outcome } from './tools.js';
import { FLAG_LIKE, forEach, numbersLike } from './values.js';

/** @typedef {import('./tools.js').Tools} Tools */

/** Whether a route can be made of a behavior, and a socket of it opened. @param {Tools} t @param {object} behavior */
async function opens(t, behavior) {
  const app = t.app();
  const result = outcome(() => app.ws('/*', behavior) === app);
  if (result !== true) return result;
  const socket = await t.socket(t.listen(app));
  return socket.head?.status ?? 'closed';
}

/** How long a message may be. @param {Tools} t @param {object} behavior @param {readonly number[]} sizes */
async function taken(t, behavior, sizes) {
  const app = t.app();
  const made = outcome(
    () =>
      app.ws('/*', {
        ...behavior,
        message: (/** @type {any} */ ws, /** @type {ArrayBuffer} */ m) => ws.send(String(m.byteLength)),
      }) === app,
  );
  if (made !== true) return made;
  const port = t.listen(app);
  const results = [];
  for (const size of sizes) {
    const socket = await t.socket(port);
    socket.send(clientFrame(2, new Uint8Array(size)));
    const [first = 'closed'] = await socket.until(1);
    results.push(first.startsWith('text') ? first : 'refused');
  }
  return results;
}

/** @type {import('./table.js').Probes} */
export const BEHAVIOR_PROBES = {
  ...forEach('ws: behavior', { undefined: undefined, null: null, number: 5, empty: {} }, (t, value) =>
    opens(t, /** @type {any} */ (value)),
  ),
  ...forEach(
    'ws: idleTimeout',
    { ...numbersLike(16), 0: 0, 7: 7, 8: 8, 960: 960, 961: 961, negative: -1 },
    (t, value) => opens(t, { idleTimeout: value }),
  ),
  ...forEach(
    'ws: maxLifetime',
    { ...numbersLike(2), 239: 239, 240: 240, 241: 241, negative: -1 },
    (t, value) => opens(t, { maxLifetime: value }),
  ),
  ...forEach(
    'ws: maxPayloadLength',
    {
      ...numbersLike(10),
      0: 0,
      10: 10,
      'above 2 ** 32': 2 ** 33,
      Infinity: Number.POSITIVE_INFINITY,
      negative: -1,
    },
    (t, value) => taken(t, { maxPayloadLength: value }, [10, 11]),
  ),
  ...forEach(
    'ws: maxBackpressure',
    { ...numbersLike(100_000), 0: 0, 'above 2 ** 32': 2 ** 33, negative: -1 },
    (t, value) => opens(t, { maxBackpressure: value }),
  ),
  ...forEach('ws: closeOnBackpressureLimit', { ...FLAG_LIKE, true: true }, (t, value) =>
    opens(t, { closeOnBackpressureLimit: value }),
  ),
  ...forEach('ws: sendPingsAutomatically', { ...FLAG_LIKE, false: false }, (t, value) =>
    opens(t, { sendPingsAutomatically: value }),
  ),
  ...forEach(
    'ws: compression',
    { ...numbersLike(1), 0: 0, 'no such constant': 999, both: 1 | 256 },
    (t, value) => opens(t, { compression: value }),
  ),
  'ws: unknown keys': (t) =>
    opens(t, { path: '/x', options: {}, verifyClient: null, perMessageDeflate: true }),
  'ws: a key that is nearly one': (t) => opens(t, { idleTimeOut: 16 }),
  ...forEach('ws: handlers', { null: null, undefined: undefined }, (t, value) =>
    opens(t, {
      open: value,
      message: value,
      close: value,
      upgrade: value,
      drain: value,
      ping: value,
      pong: value,
      dropped: value,
      subscription: value,
    }),
  ),
  ...forEach('ws: a handler', { number: 5, text: 'x', object: {} }, (t, value) =>
    opens(t, { message: value }),
  ),
  'ws: default maxPayloadLength': (t) => taken(t, {}, [16 * 1024, 16 * 1024 + 1]),
};
