// @ts-check
import { outcome } from './tools.js';
import { forEach } from './values.js';

/** @typedef {import('./tools.js').Tools} Tools */

const say = (/** @type {string} */ text) => (/** @type {any} */ res) => res.end(text);

/**
 * What paths find among patterns: the body for each, or the status where it is not 200.
 *
 * @param {Tools} t @param {readonly string[]} patterns @param {readonly string[]} targets
 */
async function found(t, patterns, targets) {
  const app = t.app();
  for (const pattern of patterns) {
    app.get(pattern, (/** @type {any} */ res, /** @type {any} */ req) =>
      res.end(`${pattern} ${JSON.stringify([req.getParameter(0) ?? null, req.getParameter(1) ?? null])}`),
    );
  }
  return answers(t, t.listen(app), targets);
}

/** @param {Tools} t @param {number} port @param {readonly string[]} targets */
async function answers(t, port, targets) {
  const results = [];
  for (const target of targets) {
    const response = await t.http(port, target.includes(' ') ? target : `GET ${target}`);
    const text =
      typeof response === 'string'
        ? 'closed'
        : response.status === '200 OK'
          ? response.body
          : response.status.slice(0, 3);
    results.push(`${target}: ${text}`);
  }
  return results;
}

/** @type {import('./table.js').Probes} */
export const ROUTE_PROBES = {
  'route: without a leading slash': (t) => found(t, ['a', 'b/:x'], ['/a', '/b/1', '/', '/a/']),
  'route: * alone': (t) => found(t, ['*'], ['/', '/a', '/a/b']),
  'route: empty pattern': (t) => found(t, [''], ['/', '/a']),
  'route: /': (t) => found(t, ['/'], ['/', '/a', '//', '/?a']),
  'route: /*': (t) => found(t, ['/*'], ['/', '/a', '/a/b', '//']),
  'route: /a/*': (t) => found(t, ['/a/*'], ['/a', '/a/', '/a/b', '/a/b/c', '/ab']),
  'route: slash at the end': (t) => found(t, ['/a/', '/b'], ['/a', '/a/', '/b', '/b/']),
  'route: parameters': (t) => found(t, ['/:x/:y'], ['/1/2', '/1', '/1/', '/1/2/3', '//2', '/a%20b/c']),
  'route: parameter before more': (t) => found(t, ['/:x/end'], ['/1/end', '/1/2', '//end']),
  'route: name before parameter before *': (t) => found(t, ['/*', '/:x', '/a'], ['/a', '/b', '/b/c', '/']),
  'route: a * inside a segment': (t) => found(t, ['/a*'], ['/a', '/ab', '/a*', '/a/b']),
  'route: a * in the middle': (t) => found(t, ['/a/*/b'], ['/a/x/b', '/a/b', '/a/x/y/b', '/a/x']),
  'route: ** at the end': (t) => found(t, ['/a/**', '/**'], ['/a/x', '/a/x/y', '/a', '/', '/b/c']),
  'route: a * in front of more': (t) => found(t, ['/*.js'], ['/a.js', '/a', '/']),
  'route: a parameter inside a segment': (t) => found(t, ['/a:x'], ['/a1', '/a:x']),
  'route: an empty parameter name': (t) => found(t, ['/:'], ['/1', '/']),
  'route: percent-encoded': (t) => found(t, ['/a b', '/é'], ['/a%20b', '/%C3%A9']),
  'route: raw UTF-8': (t) => found(t, ['/é'], [Buffer.from('/é').toString('latin1')]),
  'route: letters of another case': (t) => found(t, ['/a'], ['/A']),
  'route: query': (t) => found(t, ['/a'], ['/a?', '/a?x=/b', '/a?/']),
  'route: an absolute target': (t) =>
    found(t, ['/a', '/*'], ['http://a/a', 'http://a', 'https://a/b', 'http://h/a']),
  'route: a target that is no path': (t) => found(t, ['/*'], ['*', 'a', 'CONNECT a:80']),
  'route: OPTIONS *': async (t) => answers(t, t.listen(t.app().any('/*', say('any'))), ['OPTIONS *']),
  'route: pattern as bytes': async (t) =>
    answers(t, t.listen(t.app().get(Buffer.from('/a'), say('bytes'))), ['/a']),
  ...forEach('route: pattern', { undefined: undefined, null: null, number: 5 }, (t, value) => {
    const app = t.app();
    return outcome(() => app.get(value, say('x')) === app);
  }),
  ...forEach('route: handler', { undefined: undefined, number: 5, text: 'x', object: {} }, (t, value) => {
    const app = t.app();
    return outcome(() => app.get('/', value) === app);
  }),
  'route: null removes': async (t) =>
    answers(t, t.listen(t.app().any('/*', say('any')).get('/a', say('a')).get('/a', null)), ['/a']),
  'route: null for none': (t) => {
    const app = t.app();
    return outcome(() => app.get('/none', null) === app);
  },
  'route: the same again': async (t) =>
    answers(t, t.listen(t.app().get('/a', say('1')).get('/a', say('2'))), ['/a']),
  'route: no route': async (t) => t.http(t.listen(t.app())),
  'route: no route for the method': async (t) =>
    answers(t, t.listen(t.app().get('/a', say('a'))), ['POST /a']),
  'route: HEAD by GET': async (t) => t.http(t.listen(t.app().get('/a', say('a'))), 'HEAD /a'),
  'route: HEAD': async (t) => t.http(t.listen(t.app().head('/a', say('abc'))), 'HEAD /a'),
  'route: del is DELETE': async (t) =>
    answers(t, t.listen(t.app().del('/a', say('del')).any('/*', say('any'))), ['DELETE /a', 'DEL /a']),
  'route: method before any': async (t) =>
    answers(t, t.listen(t.app().any('/a', say('any')).get('/*', say('get'))), ['/a', 'POST /a']),
  'route: a method of its own': async (t) =>
    answers(t, t.listen(t.app().any('/*', say('any'))), ['PURGE /a', 'purge /a']),
  'route: yield': async (t) => {
    const app = t.app();
    app.get('/:x', (/** @type {any} */ _, /** @type {any} */ req) => req.setYield(true));
    app.any('/*', (/** @type {any} */ res, /** @type {any} */ req) => res.end(`next ${req.getParameter(0)}`));
    return answers(t, t.listen(app), ['/a']);
  },
  'route: yield with nobody behind': async (t) => {
    const app = t.app().get('/a', (/** @type {any} */ _, /** @type {any} */ req) => req.setYield(true));
    return answers(t, t.listen(app), ['/a']);
  },
  'route: ws yields what is no handshake': async (t) =>
    answers(t, t.listen(t.app().ws('/a', {}).any('/*', say('any'))), ['/a', 'POST /a']),
  'route: ws alone, no handshake': async (t) => answers(t, t.listen(t.app().ws('/a', {})), ['/a']),
  'route: ws without a leading slash': async (t) => {
    const socket = await t.socket(t.listen(t.app().ws('a', {})), '/a');
    return socket.head?.status ?? 'closed';
  },
  'route: ws on * alone': async (t) => {
    const socket = await t.socket(t.listen(t.app().ws('*', {})), '/a/b');
    return socket.head?.status ?? 'closed';
  },
  'route: no answer and no onAborted': async (t) => answers(t, t.listen(t.app().get('/a', () => {})), ['/a']),
  'route: a handler that throws': async (t) =>
    answers(
      t,
      t.listen(
        t.app().get('/a', () => {
          throw new Error('probe');
        }),
      ),
      ['/a'],
    ),
  'route: added after listening': async (t) => {
    const app = t.app();
    const port = t.listen(app);
    app.get('/late', say('late'));
    return answers(t, port, ['/late']);
  },
};
