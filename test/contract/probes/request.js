// @ts-check
import { outcome } from './tools.js';
import { forEach } from './values.js';

/**
 * What calls give in the handler of a request.
 *
 * @param {import('./tools.js').Tools} t @param {string} target @param {readonly string[]} lines
 * @param {(req: any) => unknown} call
 */
async function asked(t, target, lines, call, pattern = '/*') {
  let result;
  const app = t.app().any(pattern, (/** @type {any} */ res, /** @type {any} */ req) => {
    result = outcome(() => call(req));
    res.end();
  });
  const response = await t.http(t.listen(app), target, lines);
  return result ?? (typeof response === 'string' ? response : response.status);
}

const utf8 = (/** @type {string} */ text) => Buffer.from(text).toString('latin1');

/** @type {import('./table.js').Probes} */
export const REQUEST_PROBES = {
  'req: a header': (t) => asked(t, 'GET /', ['X-A: b c'], (req) => req.getHeader('x-a')),
  'req: a missing header': (t) => asked(t, 'GET /', [], (req) => req.getHeader('x-a')),
  'req: an empty header': (t) => asked(t, 'GET /', ['X-A:'], (req) => req.getHeader('x-a')),
  'req: a header in capitals': (t) => asked(t, 'GET /', ['X-A: b'], (req) => req.getHeader('X-A')),
  'req: a header twice': (t) => asked(t, 'GET /', ['X-A: 1', 'X-A: 2'], (req) => req.getHeader('x-a')),
  'req: Cookie twice': (t) =>
    asked(t, 'GET /', ['Cookie: a=1', 'Cookie: b=2'], (req) => req.getHeader('cookie')),
  'req: a header twice, the first empty': (t) =>
    asked(t, 'GET /', ['X-A:', 'X-A: 2'], (req) => req.getHeader('x-a')),
  'req: space around a value': (t) => asked(t, 'GET /', ['X-A: \t b \t '], (req) => req.getHeader('x-a')),
  'req: UTF-8 in a value': (t) => asked(t, 'GET /', [`X-A: ${utf8('é€')}`], (req) => req.getHeader('x-a')),
  'req: bytes that are not UTF-8 in a value': (t) =>
    asked(t, 'GET /', ['X-A: \xe9'], (req) => req.getHeader('x-a')),
  ...forEach(
    'req: getHeader',
    { undefined: undefined, null: null, number: 5, bytes: Buffer.from('x-a'), empty: '' },
    (t, value) => asked(t, 'GET /', ['X-A: b'], (req) => req.getHeader(value)),
  ),
  'req: content-length and host': (t) =>
    asked(t, 'GET /', ['Content-Length: 0'], (req) => [
      req.getHeader('content-length'),
      req.getHeader('host'),
    ]),

  'req: parameters by position and name': (t) =>
    asked(
      t,
      'GET /1/a%20b',
      [],
      (req) => [req.getParameter(0), req.getParameter(1), req.getParameter('x'), req.getParameter('y')],
      '/:x/:y',
    ),
  ...forEach(
    'req: getParameter',
    {
      'position that is not there': 1,
      'name that is not there': 'z',
      negative: -1,
      'numeric text': '0',
      fraction: 0.5,
      undefined: undefined,
      null: null,
      true: true,
      'name in capitals': 'X',
      'large position': 99_999,
      NaN: Number.NaN,
      Infinity: Number.POSITIVE_INFINITY,
      'position beyond 16 bits': 65_536,
    },
    (t, value) => asked(t, 'GET /1', [], (req) => req.getParameter(value), '/:x'),
  ),
  'req: the same name twice': (t) =>
    asked(t, 'GET /1/2', [], (req) => [req.getParameter('x'), req.getParameter(1)], '/:x/:x'),
  'req: parameters of a wildcard': (t) =>
    asked(t, 'GET /a/b', [], (req) => [req.getParameter(0), req.getParameter(1)], '/:x/*'),

  'req: url': (t) => asked(t, 'GET /a//b/?c=d', [], (req) => req.getUrl()),
  'req: url with raw UTF-8': (t) =>
    asked(t, `GET /${utf8('é')}?${utf8('ü')}=1`, [], (req) => [req.getUrl(), req.getQuery()]),
  'req: url with a fragment': (t) => asked(t, 'GET /a#b', [], (req) => req.getUrl()),
  'req: absolute url': (t) => asked(t, 'GET http://a/a?b', [], (req) => [req.getUrl(), req.getQuery()]),
  'req: method': (t) =>
    asked(t, 'POST /', ['Content-Length: 0'], (req) => [req.getCaseSensitiveMethod(), req.getMethod()]),
  'req: method of its own': (t) =>
    asked(t, 'PuRge /', [], (req) => [req.getCaseSensitiveMethod(), req.getMethod()]),

  'req: no query': (t) => asked(t, 'GET /', [], (req) => [req.getQuery(), req.getQuery('a')]),
  'req: an empty query': (t) => asked(t, 'GET /?', [], (req) => [req.getQuery(), req.getQuery('a')]),
  'req: the query': (t) => asked(t, 'GET /?a=1&b=%20', [], (req) => req.getQuery()),
  ...forEach(
    'req: query value',
    {
      plain: 'a=1',
      second: 'b=2&a=1',
      missing: 'b=1',
      doubled: 'a=1&a=2',
      empty: 'a=',
      'without =': 'a',
      'without =, more behind': 'a&b=1',
      'with two =': 'a=b=c',
      plus: 'a=1+2',
      percent: 'a=%41%20%2B',
      'bad percent': 'a=%zz%4',
      UTF8: 'a=%C3%A9',
      'not UTF-8': 'a=%E9',
      'encoded key': '%61=1',
      'prefix of another': 'ab=1&a=2',
      semicolon: 'b=1;a=2',
      'question mark': 'a=?',
    },
    (t, value) => asked(t, `GET /?${value}`, [], (req) => req.getQuery('a')),
  ),
  ...forEach(
    'req: getQuery',
    { undefined: undefined, null: null, number: 5, empty: '', bytes: Buffer.from('a') },
    (t, value) => asked(t, 'GET /?a=1&=2&5=3', [], (req) => req.getQuery(value)),
  ),

  'req: forEach': (t) =>
    asked(t, 'GET /', ['X-B: 1', 'x-a: 2', 'X-B: 3', 'X-Empty:'], (req) => {
      /** @type {string[]} */
      const seen = [];
      const returned = req.forEach((/** @type {string} */ key, /** @type {string} */ value) =>
        seen.push(`${key}=${value}`),
      );
      return [...seen, typeof returned];
    }),
  'req: forEach without a function': (t) => asked(t, 'GET /', [], (req) => typeof req.forEach()),
  'req: forEach that throws': (t) =>
    asked(t, 'GET /', [], (req) =>
      req.forEach(() => {
        throw new Error('probe');
      }),
    ),
  'req: setYield returns': (t) => asked(t, 'GET /', [], (req) => req.setYield(false) === req),
  ...forEach('req: setYield', { 1: 1, 0: 0, undefined: undefined, text: 'no' }, async (t, value) => {
    const app = t.app();
    app.get('/a', (/** @type {any} */ res, /** @type {any} */ req) => {
      req.setYield(value);
      if (!value) res.end('here');
    });
    app.any('/*', (/** @type {any} */ res) => res.end('next'));
    const response = await t.http(t.listen(app), 'GET /a');
    return typeof response === 'string' ? response : response.body;
  }),
  'req: fields of its own': (t) =>
    asked(t, 'GET /', [], (req) => {
      req.user = 1;
      return req.user;
    }),

  'req: after the handler returned': async (t) => {
    /** @type {unknown} */
    let result;
    const app = t.app().get('/', (/** @type {any} */ res, /** @type {any} */ req) => {
      res.onAborted(() => {});
      setImmediate(() => {
        result = outcome(() => req.getUrl());
        res.cork(() => res.end());
      });
    });
    await t.http(t.listen(app));
    return result;
  },
  'req: after the handler returned, answered': async (t) => {
    /** @type {unknown} */
    let result;
    const app = t.app().get('/', (/** @type {any} */ res, /** @type {any} */ req) => {
      res.end();
      void Promise.resolve().then(() => {
        result = outcome(() => req.getUrl());
      });
    });
    await t.http(t.listen(app));
    return result;
  },
  'req: after the response was sent, in the handler': (t) => {
    /** @type {unknown} */
    let result;
    return t
      .get((res, req) => {
        res.end('x');
        result = outcome(() => [req.getUrl(), req.getHeader('host')]);
      })
      .then(() => result);
  },
  'req: in an async handler before an await': async (t) => {
    /** @type {unknown} */
    let result;
    await t.get(async (res, req) => {
      result = outcome(() => req.getUrl());
      res.end();
    });
    return result;
  },
  'req: behind a microtask': async (t) => {
    /** @type {unknown} */
    let result;
    await t.get((res, req) => {
      res.onAborted(() => {});
      void (async () => {
        await Promise.resolve();
        result = outcome(() => req.getUrl());
        res.cork(() => res.end());
      })();
    });
    return result;
  },
  'req: behind many microtasks': async (t) => {
    /** @type {unknown} */
    let result;
    await t.get((res, req) => {
      res.onAborted(() => {});
      void (async () => {
        for (let i = 0; i < 50; i++) await Promise.resolve();
        result = outcome(() => req.getHeader('host'));
        res.cork(() => res.end());
      })();
    });
    return result;
  },
  'req: in nextTick': async (t) => {
    /** @type {unknown} */
    let result;
    await t.get((res, req) => {
      res.onAborted(() => {});
      process.nextTick(() => {
        result = outcome(() => req.getUrl());
        res.cork(() => res.end());
      });
    });
    return result;
  },
  'req: in setTimeout of an async handler': async (t) => {
    /** @type {unknown} */
    let result;
    await t.get(async (res, req) => {
      res.onAborted(() => {});
      await new Promise((resolve) => setTimeout(resolve, 1));
      result = outcome(() => req.getUrl());
      res.cork(() => res.end());
    });
    return result;
  },
};
