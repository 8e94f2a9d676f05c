// @ts-check
import { clientFrame, outcome, shown } from './tools.js';
import { FLAG_LIKE, forEach, TEXT_LIKE } from './values.js';

/** @typedef {import('./tools.js').Tools} Tools */

/** What the handler of a message makes of it, and the frames sent. @param {Tools} t @param {readonly Uint8Array[]} frames */
async function received(t, frames, behavior = {}) {
  /** @type {unknown[]} */
  const calls = [];
  const note =
    (/** @type {string} */ name) =>
    (/** @type {any} */ _, /** @type {unknown[]} */ ...args) => {
      calls.push([name, ...args.map(shown)]);
    };
  const socket = await t.open({
    message: note('message'),
    ping: note('ping'),
    pong: note('pong'),
    close: note('close'),
    ...behavior,
  });
  for (const frame of frames) socket.send(frame);
  socket.send(clientFrame(9, 'last'));
  await socket.wait(() => (socket.frames.some((frame) => frame === 'pong last') ? true : undefined));
  // The handler of that ping runs behind its pong.
  await new Promise((resolve) => setImmediate(resolve));
  return { calls, frames: socket.frames };
}

/** @type {import('./table.js').Probes} */
export const WEBSOCKET_PROBES = {
  'ws.send: text': (t) => t.inOpen((ws) => ws.send('abc')),
  'ws.send: no argument': (t) => t.inOpen((ws) => ws.send()),
  ...forEach('ws.send: message', TEXT_LIKE, (t, value) => t.inOpen((ws) => ws.send(value))),
  ...forEach('ws.send: isBinary', FLAG_LIKE, (t, value) => t.inOpen((ws) => ws.send('a', value))),
  ...forEach('ws.send: compress', FLAG_LIKE, (t, value) => t.inOpen((ws) => ws.send('a', false, value))),
  ...forEach(
    'ws.ping',
    { undefined: undefined, null: null, number: 5, text: 'abc', '125 bytes': 'x'.repeat(125) },
    (t, value) => t.inOpen((ws) => ws.ping(value)),
  ),
  'ws.ping: no argument': (t) => t.inOpen((ws) => ws.ping()),
  'ws.ping: 126 bytes': (t) => t.inOpen((ws) => ws.ping('x'.repeat(126))),
  'ws: fragments': (t) =>
    t.inOpen((ws) => [ws.sendFirstFragment('a', 0), ws.sendFragment('b'), ws.sendLastFragment('c')]),
  'ws: binary fragments': (t) => t.inOpen((ws) => [ws.sendFirstFragment('a', 1), ws.sendLastFragment('c')]),
  ...forEach('ws: a fragment', { undefined: undefined, number: 5 }, (t, value) =>
    t.inOpen((ws) => [outcome(() => ws.sendFirstFragment(value)), outcome(() => ws.sendLastFragment('c'))]),
  ),
  'ws: a fragment without a first': (t) => t.inOpen((ws) => ws.sendFragment('b')),
  'ws: send between fragments': (t) =>
    t.inOpen((ws) => [ws.sendFirstFragment('a'), outcome(() => ws.send('b')), ws.sendLastFragment('c')]),

  'ws.subscribe: returns': (t) =>
    t.inOpen((ws) => [
      ws.subscribe('a'),
      ws.subscribe('a'),
      ws.isSubscribed('a'),
      ws.isSubscribed('b'),
      ws.unsubscribe('a'),
      ws.unsubscribe('a'),
    ]),
  ...forEach(
    'ws.subscribe',
    { undefined: undefined, null: null, number: 5, empty: '', bytes: Buffer.from('t') },
    (t, value) => t.inOpen((ws) => [outcome(() => ws.subscribe(value)), ws.getTopics()]),
  ),
  ...forEach('ws.unsubscribe', { undefined: undefined, null: null, number: 5 }, (t, value) =>
    t.inOpen((ws) => ws.unsubscribe(value)),
  ),
  ...forEach('ws.isSubscribed', { undefined: undefined, number: 5 }, (t, value) =>
    t.inOpen((ws) => ws.isSubscribed(value)),
  ),
  'ws.getTopics: of none': (t) => t.inOpen((ws) => ws.getTopics()),
  'ws.getTopics: of two': (t) =>
    t.inOpen((ws) => (ws.subscribe('b'), ws.subscribe('a'), ws.getTopics().sort())),
  'ws.publish: not subscribed': (t) => t.inOpen((ws) => ws.publish('a', 'x')),
  'ws.publish: to itself alone': (t) => t.inOpen((ws) => [ws.subscribe('a'), ws.publish('a', 'x')]),
  'ws.publish: 17,000 bytes to itself alone': (t) =>
    t.inOpen((ws) => [ws.subscribe('a'), ws.publish('a', 'x'.repeat(17_000))]),
  'ws.publish: subscribed to another topic': (t) =>
    t.inOpen((ws) => [ws.subscribe('a'), ws.publish('b', 'x')]),
  'ws.publish: by one that has left its last topic': async (t) => {
    /** @type {any[]} */
    const sockets = [];
    const app = t.app().ws('/*', { open: (/** @type {any} */ ws) => sockets.push(ws) });
    const port = t.listen(app);
    const one = await t.socket(port);
    const two = await t.socket(port);
    await one.wait(() => (sockets.length === 2 ? true : undefined));
    const [first, second] = sockets;
    const results = [second.subscribe('a'), first.publish('a', 'x'), first.subscribe('b')];
    results.push(first.unsubscribe('b'), first.publish('a', 'left'), second.publish('a', 'alone'));
    return [results, await two.until(1)];
  },
  ...forEach('ws.publish: message', { undefined: undefined, null: null, number: 5 }, (t, value) =>
    t.inOpen((ws) => [ws.subscribe('a'), outcome(() => ws.publish('a', value))]),
  ),
  ...forEach(
    'ws.publish: without a subscription, message',
    { undefined: undefined, null: null },
    (t, value) => t.inOpen((ws) => ws.publish('a', value)),
  ),
  ...forEach('ws.publish: without a subscription, topic', { undefined: undefined, number: 5 }, (t, value) =>
    t.inOpen((ws) => ws.publish(value, 'x')),
  ),
  'ws.publish: one argument': (t) => t.inOpen((ws) => [ws.subscribe('a'), outcome(() => ws.publish('a'))]),
  'ws.publish: to another': async (t) => {
    /** @type {any[]} */
    const sockets = [];
    const app = t.app().ws('/*', {
      open: (/** @type {any} */ ws) => {
        ws.subscribe('a');
        sockets.push(ws);
      },
    });
    const port = t.listen(app);
    const [one, two] = [await t.socket(port), await t.socket(port)];
    const results = [
      sockets[0].publish('a', 'x'),
      sockets[0].publish('a', 'y', 1),
      app.publish('a', 'z'),
      app.numSubscribers('a'),
    ];
    await two.until(3);
    await one.until(1);
    return { results, one: one.frames, two: two.frames };
  },
  'publish: empty message': async (t) => {
    const app = t.app().ws('/*', { open: (/** @type {any} */ ws) => ws.subscribe('a') });
    const socket = await t.socket(t.listen(app));
    const results = [
      outcome(() => app.publish('a', '')),
      outcome(() => app.publish('a', undefined)),
      app.publish('a', 'last'),
    ];
    await socket.wait(() => (socket.frames.includes('text last') ? true : undefined));
    return { results, frames: socket.frames };
  },

  'ws.cork: returns': (t) => t.inOpen((ws) => ws.cork(() => ws.send('in')) === ws),
  ...forEach('ws.cork', { undefined: undefined, object: {} }, (t, value) =>
    t.inOpen((ws) => ws.cork(value) === ws),
  ),
  'ws.cork: gets': (t) =>
    t.inOpen((ws) => {
      /** @type {unknown[]} */
      let given = [];
      ws.cork((/** @type {unknown[]} */ ...args) => {
        given = args.map((arg) => (arg === ws ? 'ws' : shown(arg)));
      });
      return given;
    }),
  'ws.cork: throws': (t) =>
    t.inOpen((ws) =>
      ws.cork(() => {
        throw new Error('probe');
      }),
    ),
  'ws: getters': (t) =>
    t.inOpen((ws) => [
      ws.getBufferedAmount(),
      ws.getRemoteAddress().byteLength,
      ws.getRemoteAddressAsText(),
      ws.getUserData() === ws,
    ]),
  'ws: addresses of all sockets': async (t) => {
    /** @type {unknown[]} */
    const results = [];
    const app = t.app().ws('/*', {
      open: (/** @type {any} */ ws) => {
        results.push(ws.getRemoteAddress().byteLength, shown(ws.getRemoteAddressAsText()));
        ws.send('x');
      },
    });
    let port = -1;
    app.listen(0, (/** @type {any} */ token) => {
      port = t.uWS.us_socket_local_port(token);
    });
    await (await t.socket(port)).until(1);
    return results;
  },
  'ws: numSubscribers in subscription at the close': async (t) => {
    /** @type {number[][]} */
    const seen = [];
    const app = t.app();
    app.ws('/*', {
      open: (/** @type {any} */ ws) => ws.subscribe('a'),
      subscription: (
        /** @type {any} */ _ws,
        /** @type {ArrayBuffer} */ topic,
        /** @type {number} */ count,
        /** @type {number} */ before,
      ) => void seen.push([count, before, app.numSubscribers(topic)]),
    });
    const port = t.listen(app);
    const one = await t.socket(port);
    await t.socket(port);
    one.close();
    while (seen.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    return seen.slice(0, 3);
  },
  'ws: fields of its own': (t) =>
    t.inOpen((ws) => {
      ws.user = 1;
      return [ws.user, ws.getUserData().user];
    }),
  'ws: returns of end and close': async (t) => {
    /** @type {unknown[]} */
    const results = [];
    const socket = await t.open({ open: (/** @type {any} */ ws) => results.push(outcome(() => ws.close())) });
    await socket.wait(() => undefined);
    return results;
  },

  'ws: a text message': (t) => received(t, [clientFrame(1, 'abc')]),
  'ws: a binary message': (t) => received(t, [clientFrame(2, 'abc')]),
  'ws: an empty message': (t) => received(t, [clientFrame(1)]),
  'ws: a message in fragments': (t) =>
    received(t, [clientFrame(1, 'ab', false), clientFrame(9, 'p'), clientFrame(0, 'c')]),
  'ws: a pong nobody asked for': (t) => received(t, [clientFrame(10, 'x')]),
  'ws: an empty ping': (t) => received(t, [clientFrame(9)]),
  'ws: a message kept': async (t) => {
    /** @type {ArrayBuffer | undefined} */
    let kept;
    const socket = await t.open({
      message: (/** @type {any} */ ws, /** @type {ArrayBuffer} */ message) => {
        kept = message;
        ws.send('ok');
      },
    });
    socket.send(clientFrame(1, 'abc'));
    await socket.until(1);
    return kept?.byteLength ?? -1;
  },
  'ws: subscription events': async (t) => {
    /** @type {unknown[]} */
    const events = [];
    const socket = await t.open({
      open: (/** @type {any} */ ws) => {
        ws.subscribe('a');
        ws.subscribe('b');
        ws.subscribe('a');
        ws.unsubscribe('b');
        ws.unsubscribe('none');
        ws.end(4000);
      },
      subscription: (/** @type {any} */ _, /** @type {unknown[]} */ ...args) => events.push(args.map(shown)),
      close: () => events.push('close'),
    });
    await socket.end();
    return events;
  },

  ...forEach(
    'ws: a handler that',
    {
      throws: () => {
        throw new Error('probe');
      },
      rejects: async () => {
        await Promise.resolve();
        throw new Error('probe');
      },
    },
    async (t, message) => {
      const socket = await t.open({ message });
      socket.send(clientFrame(1));
      return socket.end();
    },
  ),
  'ws: nextTick and microtasks between two messages of one read': async (t) => {
    /** @type {string[]} */
    const order = [];
    const socket = await t.open({
      message: (/** @type {any} */ ws, /** @type {ArrayBuffer} */ message) => {
        const text = Buffer.from(message).toString();
        order.push(text);
        void Promise.resolve().then(() => order.push(`${text} then`));
        process.nextTick(() => order.push(`${text} tick`));
        if (text === 'b') ws.end(4000);
      },
      close: () => order.push('close'),
    });
    socket.send(Buffer.concat([clientFrame(1, 'a'), clientFrame(1, 'b')]));
    await socket.end();
    return order;
  },
};
