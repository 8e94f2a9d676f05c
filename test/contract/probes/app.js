// @ts-check
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outcome, shown } from './tools.js';
import { forEach, numbersLike } from './values.js';

/** A port that nobody listens on. @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/**
 * What `listen` comes to with these arguments before its callback: its result, and whether the port is that one.
 *
 * @param {import('./tools.js').Tools} t @param {readonly unknown[]} args @param {number} port
 */
async function listening(t, args, port) {
  const app = t.app();
  let token;
  let isSync = false;
  let resolve = () => {};
  const called = new Promise((done) => {
    resolve = () => done(undefined);
  });
  const result = outcome(() => {
    const returned = app.listen(...args, (/** @type {unknown} */ given) => {
      token = given;
      isSync = true;
      resolve();
    });
    return returned === app ? 'app' : returned;
  });
  if (!isSync && result !== 'throws') await called;
  const bound = token ? t.uWS.us_socket_local_port(token) : 0;
  const where = token ? (bound === port ? 'that port' : bound > 0 ? 'any port' : bound) : shown(token);
  return [result, where];
}

/** @type {import('./table.js').Probes} */
export const APP_PROBES = {
  ...forEach('listen: port alone', numbersLike(0), async (t, value) => {
    const port = await freePort();
    const given =
      value === '0' ? String(port) : value === ' 0 ' ? ` ${port} ` : value === 0.7 ? port + 0.7 : value;
    return listening(t, [given], port);
  }),
  ...forEach('listen: port behind a host', numbersLike(0), async (t, value) => {
    const port = await freePort();
    const given =
      value === '0' ? String(port) : value === ' 0 ' ? ` ${port} ` : value === 0.7 ? port + 0.7 : value;
    return listening(t, ['127.0.0.1', given], port);
  }),
  ...forEach('listen: port', { negative: -1, 'too large': 70_000, zero: 0 }, (t, value) =>
    listening(t, ['127.0.0.1', value], value),
  ),
  ...forEach(
    'listen: options',
    { 0: 0, 1: 1, text: '1', null: null, undefined: undefined, true: true, 'other bits': 6 },
    async (t, value) => {
      const port = await freePort();
      return listening(t, [port, value], port);
    },
  ),
  'listen: host, port and options': async (t) => {
    const port = await freePort();
    return listening(t, ['127.0.0.1', port, 1], port);
  },
  ...forEach(
    'listen: host',
    {
      localhost: 'localhost',
      all: '0.0.0.0',
      empty: '',
      bytes: Buffer.from('127.0.0.1'),
      undefined: undefined,
      null: null,
    },
    async (t, value) => {
      const port = await freePort();
      return listening(t, [value, port], port);
    },
  ),
  'listen: a host that is not there': async (t) => listening(t, ['host.invalid', 0], 0),
  'listen: an address of another machine': async (t) => listening(t, ['192.0.2.1', 0], 0),
  'listen: no callback': (t) => outcome(() => t.app().listen(0)),
  'listen: no arguments': (t) => outcome(() => t.app().listen()),
  'listen: exclusive on a port that is taken': async (t) => {
    const port = await freePort();
    const first = await listening(t, ['127.0.0.1', port, 1], port);
    return [first, await listening(t, ['127.0.0.1', port, 1], port)];
  },
  'listen: twice': async (t) => {
    const app = t.app();
    const ports = [t.listen(app), t.listen(app)];
    app.any('/*', (/** @type {any} */ res) => res.end('ok'));
    return [await t.http(Number(ports[0])), await t.http(Number(ports[1]))];
  },
  'listen_unix: a path': async (t) => {
    const path = join(tmpdir(), `probe-${process.pid}.sock`);
    let there = false;
    const app = t.app();
    const result = outcome(
      () =>
        app.listen_unix((/** @type {unknown} */ token) => {
          there = token !== false && existsSync(path);
        }, path) === app,
    );
    app.close();
    await rm(path, { force: true });
    return [result, there];
  },
  'us_listen_socket_close: then again': async (t) => {
    const app = t.app();
    /** @type {unknown} */
    let token;
    app.listen('127.0.0.1', 0, (/** @type {unknown} */ given) => {
      token = given;
    });
    return shown(outcome(() => t.uWS.us_listen_socket_close(token)));
  },
  'close: returns the App': (t) => {
    const app = t.app();
    return outcome(() => app.close() === app);
  },
  'close: twice': (t) => {
    const app = t.app();
    t.listen(app);
    app.close();
    return outcome(() => app.close() === app);
  },
  'close: ends WebSockets with 1006': async (t) => {
    /** @type {unknown[]} */
    const closes = [];
    const app = t.app().ws('/*', {
      close: (/** @type {any} */ _, /** @type {number} */ code, /** @type {ArrayBuffer} */ message) =>
        closes.push([code, shown(message)]),
    });
    const socket = await t.socket(t.listen(app));
    app.close();
    return [await socket.until(1), closes];
  },
  'close: aborts requests': async (t) => {
    let aborted = false;
    const app = t.app().get('/', (/** @type {any} */ res) => {
      res.onAborted(() => {
        aborted = true;
      });
      setImmediate(() => app.close());
    });
    return [await t.http(t.listen(app)), aborted];
  },
  'returns: methods give the App': (t) => {
    const app = t.app();
    const nothing = () => {};
    return [
      ...['get', 'post', 'options', 'del', 'patch', 'put', 'head', 'connect', 'trace', 'any'].map(
        (name) => app[name]('/', nothing) === app,
      ),
      app.ws('/', {}) === app,
      app.filter(nothing) === app,
      app.domain('a.test') === app,
      app.removeServerName('a.test') === app,
      app.missingServerName(nothing) === app,
    ];
  },
  'addServerName: on a plain App': (t) => {
    const app = t.app();
    return outcome(() => app.addServerName('a.test', {}) === app);
  },
  'domain: on a plain App': async (t) => {
    const app = t.app();
    const say = (/** @type {string} */ text) => (/** @type {any} */ res) => res.end(text);
    app.get('/', say('all')).domain('a.test').get('/', say('a.test'));
    const port = t.listen(app);
    return [await t.http(port, 'GET /', ['Host: a.test']), await t.http(port, 'GET /', ['Host: b.test'])];
  },
  ...forEach('filter', { null: null, undefined: undefined, object: {} }, (t, value) => {
    const app = t.app();
    return outcome(() => app.filter(value) === app);
  }),
  'filter: counts connections': async (t) => {
    /** @type {unknown[]} */
    const counts = [];
    let resolve = () => {};
    const closed = new Promise((done) => {
      resolve = () => done(undefined);
    });
    const app = t
      .app()
      .filter((/** @type {any} */ _, /** @type {number} */ count) => {
        counts.push(count);
        if (count < 0) resolve();
      })
      .any('/*', (/** @type {any} */ res) => res.end('', true));
    await t.http(t.listen(app));
    await closed;
    return counts;
  },
  ...forEach('getDescriptor: type', { of: 0 }, (t) => typeof t.app().getDescriptor()),
  ...forEach('adoptSocket', { 'no descriptor': 99_999 }, (t, value) =>
    outcome(() => t.app().adoptSocket(value)),
  ),
};
