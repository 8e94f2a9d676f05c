// @ts-check
import { clientFrame, closePayload, outcome, shown } from './tools.js';
import { forEach, numbersLike } from './values.js';

/** @typedef {import('./tools.js').Tools} Tools */

/**
 * What `call` in the handler of a message comes to, what the `close` handler was told, and what went over the wire.
 *
 * @param {Tools} t @param {(ws: any) => unknown} call
 */
async function ended(t, call) {
  /** @type {unknown[]} */
  const closes = [];
  let result;
  const socket = await t.open({
    message: (/** @type {any} */ ws) => {
      result = outcome(() => call(ws));
      if (result === 'throws') outcome(() => ws.end(4999));
    },
    close: (/** @type {any} */ _, /** @type {number} */ code, /** @type {ArrayBuffer} */ message) =>
      closes.push([code, shown(message)]),
  });
  socket.send(clientFrame(1));
  return { frames: await socket.end(), result: result ?? 'nothing', closes };
}

/**
 * What the `close` handler is told, and what goes over the wire, when a client sends this.
 *
 * @param {Tools} t @param {Uint8Array} bytes
 */
async function closedBy(t, bytes, behavior = {}) {
  /** @type {unknown[]} */
  const closes = [];
  let resolve = () => {};
  const closed = new Promise((done) => {
    resolve = () => done(undefined);
  });
  const socket = await t.open({
    ...behavior,
    close: (/** @type {any} */ _, /** @type {number} */ code, /** @type {ArrayBuffer} */ message) => {
      closes.push([code, shown(message)]);
      resolve();
    },
  });
  socket.send(bytes);
  await closed;
  await socket.wait(() => undefined);
  return { frames: socket.frames, closes };
}

const CALLS = {
  send: (/** @type {any} */ ws) => ws.send('x'),
  ping: (/** @type {any} */ ws) => ws.ping(),
  end: (/** @type {any} */ ws) => ws.end(),
  close: (/** @type {any} */ ws) => ws.close(),
  subscribe: (/** @type {any} */ ws) => ws.subscribe('a'),
  unsubscribe: (/** @type {any} */ ws) => ws.unsubscribe('a'),
  isSubscribed: (/** @type {any} */ ws) => ws.isSubscribed('a'),
  getTopics: (/** @type {any} */ ws) => ws.getTopics(),
  publish: (/** @type {any} */ ws) => ws.publish('a', 'x'),
  cork: (/** @type {any} */ ws) => ws.cork(() => {}) === ws,
  getBufferedAmount: (/** @type {any} */ ws) => ws.getBufferedAmount(),
  getRemoteAddress: (/** @type {any} */ ws) => ws.getRemoteAddress().byteLength,
  getRemoteAddressAsText: (/** @type {any} */ ws) => ws.getRemoteAddressAsText(),
  getUserData: (/** @type {any} */ ws) => [ws.getUserData() === ws, ws.getUserData().name],
  sendFirstFragment: (/** @type {any} */ ws) => ws.sendFirstFragment('x'),
};

/** @param {Tools} t @param {(ws: any) => unknown} call @param {'in' | 'after'} when @param {(ws: any) => void} end */
async function around(t, call, when, end) {
  let result;
  /** @type {any} */
  let held;
  const socket = await t.open({
    upgrade: (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) =>
      res.upgrade({ name: 'n' }, req.getHeader('sec-websocket-key'), '', '', context),
    message: (/** @type {any} */ ws) => {
      held = ws;
      end(ws);
    },
    close: (/** @type {any} */ ws) => {
      if (when === 'in') result = outcome(() => call(ws));
    },
  });
  socket.send(clientFrame(1));
  await socket.end();
  if (when === 'after') result = outcome(() => call(held));
  return result;
}

/** @type {import('./table.js').Probes} */
export const CLOSING_PROBES = {
  ...forEach(
    'ws.end: code',
    {
      ...numbersLike(4001),
      0: 0,
      1000: 1000,
      1005: 1005,
      1006: 1006,
      1009: 1009,
      1012: 1012,
      2999: 2999,
      999: 999,
      5000: 5000,
      70000: 70_000,
      negative: -1,
    },
    (t, value) => ended(t, (ws) => ws.end(value)),
  ),
  'ws.end: no argument': (t) => ended(t, (ws) => ws.end()),
  'ws.end: code and reason': (t) => ended(t, (ws) => ws.end(4001, 'because')),
  ...forEach(
    'ws.end: reason',
    {
      undefined: undefined,
      null: null,
      number: 5,
      '124 bytes': 'x'.repeat(124),
      'UTF-8 cut at 123': `${'x'.repeat(122)}é`,
      bytes: Buffer.from('by'),
    },
    (t, value) => ended(t, (ws) => ws.end(4001, value)),
  ),
  'ws.end: reason without a code': (t) => ended(t, (ws) => ws.end(0, 'because')),
  'ws.end: twice': (t) => ended(t, (ws) => [outcome(() => ws.end(4001)), outcome(() => ws.end(4002))]),
  'ws.close: in a handler': (t) => ended(t, (ws) => ws.close()),
  'ws.close: behind end': (t) => ended(t, (ws) => [outcome(() => ws.end(4001)), outcome(() => ws.close())]),
  'ws.end: send before it': (t) => ended(t, (ws) => [ws.send('a'), ws.end(4001)]),
  'ws.end: the close handler runs at once': async (t) => {
    /** @type {string[]} */
    const order = [];
    const socket = await t.open({
      message: (/** @type {any} */ ws) => {
        ws.end(4000);
        order.push('end returned');
      },
      close: () => order.push('close'),
    });
    socket.send(clientFrame(1));
    await socket.end();
    return order;
  },

  'closing: by code and reason': (t) => closedBy(t, clientFrame(8, closePayload(4001, 'bye'))),
  'closing: by code': (t) => closedBy(t, clientFrame(8, closePayload(1000))),
  'closing: going away': (t) => closedBy(t, clientFrame(8, closePayload(1001, 'tab'))),
  'closing: without a code': (t) => closedBy(t, clientFrame(8)),
  'closing: with a long reason': (t) => closedBy(t, clientFrame(8, closePayload(3000, 'r'.repeat(123)))),
  'closing: with UTF-8': (t) => closedBy(t, clientFrame(8, closePayload(4001, 'é€'))),
  'closing: with half a code': (t) => closedBy(t, clientFrame(8, Buffer.from([3]))),
  'closing: with code 1005': (t) => closedBy(t, clientFrame(8, closePayload(1005))),
  'closing: with code 999': (t) => closedBy(t, clientFrame(8, closePayload(999))),
  'closing: with bad UTF-8': (t) => closedBy(t, clientFrame(8, closePayload(4000, Buffer.from([0xff])))),
  'closing: too big a message': (t) =>
    closedBy(t, clientFrame(2, new Uint8Array(11)), { maxPayloadLength: 10 }),
  'closing: bad UTF-8': (t) => closedBy(t, clientFrame(1, Buffer.from([0xff]))),
  'closing: a reserved opcode': (t) => closedBy(t, clientFrame(3)),
  'closing: a reserved bit': (t) => closedBy(t, clientFrame(0x41)),
  'closing: a continuation of nothing': (t) => closedBy(t, clientFrame(0, 'x')),
  'closing: a long ping': (t) => closedBy(t, clientFrame(9, 'x'.repeat(126))),
  'closing: FIN': async (t) => {
    /** @type {unknown[]} */
    const closes = [];
    let resolve = () => {};
    const closed = new Promise((done) => {
      resolve = () => done(undefined);
    });
    const socket = await t.open({
      close: (/** @type {any} */ _, /** @type {number} */ code, /** @type {ArrayBuffer} */ message) => {
        closes.push([code, shown(message)]);
        resolve();
      },
    });
    socket.socket.end();
    await closed;
    return closes;
  },
  'closing: a message and a Close at once': async (t) => {
    /** @type {unknown[]} */
    const calls = [];
    const socket = await t.open({
      message: (/** @type {any} */ ws) => calls.push(['message', ws.send('answer')]),
      close: (/** @type {any} */ _, /** @type {number} */ code) => calls.push(['close', code]),
    });
    socket.send(Buffer.concat([clientFrame(1, 'x'), clientFrame(8, closePayload(1000))]));
    await socket.wait(() => undefined);
    return { calls, frames: socket.frames };
  },

  ...forEach('in close by end', CALLS, (t, call) => around(t, call, 'in', (ws) => ws.end(4000))),
  ...forEach('in close by close', CALLS, (t, call) => around(t, call, 'in', (ws) => ws.close())),
  ...forEach('after close', CALLS, (t, call) => around(t, call, 'after', (ws) => ws.end(4000))),
  'after close: constructor': (t) =>
    around(
      t,
      (ws) => ws.constructor.name,
      'after',
      (ws) => ws.end(4000),
    ),
  'after close: fields': (t) =>
    around(
      t,
      (ws) => [ws.name, Object.keys(ws)],
      'after',
      (ws) => ws.end(4000),
    ),
  'after close: getUserData in a timer': async (t) => {
    let result;
    const done = new Promise((resolve) => {
      void t.open({
        open: (/** @type {any} */ ws) => {
          ws.name = 'n';
          ws.close();
        },
        close: (/** @type {any} */ ws) => {
          setTimeout(() => {
            result = outcome(() => ws.getUserData().name);
            resolve(undefined);
          }, 1);
        },
      });
    });
    await done;
    return result;
  },
};
