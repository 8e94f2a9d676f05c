// @ts-check
import { outcome, shown } from './tools.js';
import { forEach, TEXT_LIKE } from './values.js';

/** @typedef {import('./tools.js').Tools} Tools */

/**
 * What a socket is upgraded with, and the answer to its handshake.
 *
 * @param {Tools} t @param {unknown} userData
 * @param {(ws: any) => unknown} look
 */
async function upgraded(t, userData, look) {
  let result;
  const socket = await t.open({
    upgrade: (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) =>
      res.upgrade(userData, req.getHeader('sec-websocket-key'), '', '', context),
    open: (/** @type {any} */ ws) => {
      result = outcome(() => look(ws));
      ws.send('last');
    },
  });
  await socket.until(1);
  return result ?? socket.head?.status ?? 'closed';
}

/** The head of the answer to a handshake. @param {Tools} t @param {object} behavior @param {string[]} lines */
async function answer(t, behavior, lines = []) {
  const socket = await t.open(behavior, '/', lines);
  if (socket.head === null) return socket.received.toString('latin1') || 'closed';
  // The order of header lines, and of what was agreed on in one of them, means nothing.
  const headers = socket.head.headers.map((line) => line.split('; ').sort().join('; '));
  return { status: socket.head.status, headers: headers.sort() };
}

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const symbol = Symbol('probe');

class Data {
  own = 1;
  get getter() {
    return 2;
  }
}

/** @type {import('./table.js').Probes} */
export const UPGRADE_PROBES = {
  'upgrade: user data': (t) =>
    upgraded(t, { a: 1, b: { c: 2 } }, (ws) => [ws.a, ws.b, Object.keys(ws), ws.getUserData() === ws]),
  'upgrade: symbols in user data': (t) => upgraded(t, { [symbol]: 1 }, (ws) => ws[symbol]),
  'upgrade: a class for user data': (t) =>
    upgraded(t, new Data(), (ws) => [ws.own, ws.getter, ws.getUserData().own]),
  ...forEach(
    'upgrade: user data',
    { undefined: undefined, null: null, number: 5, array: ['x'], 'a function': () => {} },
    (t, value) => upgraded(t, value, (ws) => Object.keys(ws)),
  ),
  'upgrade: user data that hides a method': (t) =>
    upgraded(t, { send: 1 }, (ws) => typeof ws.send).catch(() => 'failed'),
  'upgrade: no handler': (t) => answer(t, {}),
  'upgrade: no handler, protocols': (t) => answer(t, {}, ['Sec-WebSocket-Protocol: a, b']),
  'upgrade: no handler, extensions': (t) => answer(t, {}, ['Sec-WebSocket-Extensions: permessage-deflate']),
  'upgrade: no handler, compression': (t) =>
    answer(t, { compression: t.uWS.SHARED_COMPRESSOR }, [
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
    ]),
  'upgrade: dedicated compression': (t) =>
    answer(t, { compression: t.uWS.DEDICATED_COMPRESSOR_4KB | t.uWS.DEDICATED_DECOMPRESSOR }, [
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
    ]),
  'upgrade: another version': async (t) => {
    const app = t
      .app()
      .ws('/*', {})
      .any('/*', (/** @type {any} */ res) => res.end('http'));
    return t.http(t.listen(app), 'GET /', [
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${KEY}`,
      'Sec-WebSocket-Version: 8',
    ]);
  },
  'upgrade: a short key': async (t) => {
    const app = t
      .app()
      .ws('/*', {})
      .any('/*', (/** @type {any} */ res) => res.end('http'));
    return t.http(t.listen(app), 'GET /', [
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Key: abc',
      'Sec-WebSocket-Version: 13',
    ]);
  },
  'upgrade: no Upgrade header': async (t) => {
    const app = t
      .app()
      .ws('/*', {})
      .any('/*', (/** @type {any} */ res) => res.end('http'));
    return t.http(t.listen(app), 'GET /', [`Sec-WebSocket-Key: ${KEY}`, 'Sec-WebSocket-Version: 13']);
  },
  'upgrade: refused': (t) =>
    answer(t, {
      upgrade: (/** @type {any} */ res) => res.writeStatus('401 Unauthorized').writeHeader('x-a', 'b').end(),
    }),
  'upgrade: header lines and a protocol': (t) =>
    answer(t, {
      upgrade: (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) =>
        res
          .writeStatus('101 Switching Protocols')
          .writeHeader('x-a', 'b')
          .upgrade({}, req.getHeader('sec-websocket-key'), 'chat', '', context),
    }),
  'upgrade: later': (t) =>
    answer(t, {
      upgrade: (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) => {
        const key = req.getHeader('sec-websocket-key');
        res.onAborted(() => {});
        setImmediate(() => res.cork(() => res.upgrade({}, key, '', '', context)));
      },
    }),
  'upgrade: key: empty': async (t) => {
    const { status } = /** @type {{ status: string }} */ (
      await answer(t, {
        upgrade: (/** @type {any} */ res, /** @type {any} */ _, /** @type {any} */ context) => {
          if (outcome(() => res.upgrade({}, '', '', '', context)) === 'throws') res.end('threw');
        },
      })
    );
    return status;
  },
  ...forEach('upgrade: key', { undefined: undefined, null: null, bytes: Buffer.from(KEY) }, (t, value) =>
    answer(t, {
      upgrade: (/** @type {any} */ res, /** @type {any} */ _, /** @type {any} */ context) => {
        if (outcome(() => res.upgrade({}, value, '', '', context)) === 'throws') res.end('threw');
      },
    }),
  ),
  ...forEach(
    'upgrade: protocol',
    { undefined: undefined, null: null, number: 5, 'two names': 'a, b', bytes: TEXT_LIKE.Buffer },
    (t, value) =>
      answer(t, {
        upgrade: (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) => {
          if (
            outcome(() => res.upgrade({}, req.getHeader('sec-websocket-key'), value, '', context)) ===
            'throws'
          )
            res.end('threw');
        },
      }),
  ),
  ...forEach('upgrade: context', { undefined: undefined, null: null, object: {} }, (t, value) =>
    answer(t, {
      upgrade: (/** @type {any} */ res, /** @type {any} */ req) => {
        if (outcome(() => res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', value)) === 'throws')
          res.end('threw');
      },
    }),
  ),
  'upgrade: three arguments': (t) =>
    answer(t, {
      upgrade: (/** @type {any} */ res, /** @type {any} */ req) => {
        if (outcome(() => res.upgrade({}, req.getHeader('sec-websocket-key'), '')) === 'throws')
          res.end('threw');
      },
    }),
  'upgrade: of a request without a handshake': async (t) => {
    let result;
    const response = await t.get((res, req) => {
      result = outcome(() => res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', {}));
      outcome(() => res.end('http'));
    });
    return [result, response];
  },
  'upgrade: returns, and the response behind it': async (t) => {
    /** @type {unknown[]} */
    let results = [];
    await answer(t, {
      upgrade: (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) => {
        const key = req.getHeader('sec-websocket-key');
        results = [
          shown(res.upgrade({}, key, '', '', context)),
          outcome(() => res.end('x')),
          outcome(() => req.getUrl()),
        ];
      },
    });
    return results;
  },
  'upgrade: the request in open': async (t) => {
    /** @type {any} */
    let request;
    let result;
    const socket = await t.open(
      {
        upgrade: (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) => {
          request = req;
          res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context);
        },
        open: (/** @type {any} */ ws) => {
          result = outcome(() => request.getUrl());
          ws.send('last');
        },
      },
      '/path',
    );
    await socket.until(1);
    return result;
  },
  'upgrade: setYield in the handler': async (t) => {
    const app = t
      .app()
      .ws('/*', { upgrade: (/** @type {any} */ _, /** @type {any} */ req) => req.setYield(true) })
      .any('/*', (/** @type {any} */ res) => res.end('http'));
    return t.http(t.listen(app), 'GET /', [
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${KEY}`,
      'Sec-WebSocket-Version: 13',
    ]);
  },
  'upgrade: order of open and the 101': async (t) => {
    /** @type {string[]} */
    const order = [];
    const socket = await t.open({
      upgrade: (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) => {
        res.upgrade({}, req.getHeader('sec-websocket-key'), '', '', context);
        order.push('upgrade returned');
      },
      open: () => {
        order.push('open');
      },
    });
    return [order, socket.head?.status ?? 'closed'];
  },

  'upgrade: Connection and Upgrade of its own': (t) =>
    answer(t, {
      upgrade: (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) =>
        res
          .writeHeader('Connection', 'Upgrade')
          .writeHeader('Upgrade', 'websocket')
          .upgrade({}, req.getHeader('sec-websocket-key'), '', '', context),
    }),
  'upgrade: the request given to open': async (t) => {
    let result;
    await t.open({
      open: (/** @type {any} */ _, /** @type {any} */ request) => {
        result = typeof request;
      },
    });
    return result ?? 'not called';
  },
  'upgrade: x-webkit-deflate-frame': (t) =>
    answer(t, { compression: t.uWS.SHARED_COMPRESSOR }, ['Sec-WebSocket-Extensions: x-webkit-deflate-frame']),
  'upgrade: a dedicated compressor of 8 KB': (t) =>
    answer(t, { compression: t.uWS.DEDICATED_COMPRESSOR_8KB | t.uWS.SHARED_DECOMPRESSOR }, [
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
    ]),
  'upgrade: an async handler that rejects': (t) =>
    answer(t, {
      upgrade: async (/** @type {any} */ res) => {
        res.onAborted(() => {});
        await Promise.resolve();
        throw new Error('probe');
      },
    }),
};
