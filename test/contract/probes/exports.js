// @ts-check
import { outcome, shown } from './tools.js';
import { FLAG_LIKE, forEach, numbersLike, TEXT_LIKE } from './values.js';

/** @param {string} text */
const words = (text) => text.trim().split(/\s+/);

const METHODS = {
  app: words(`
    get post options del patch put head connect trace any ws listen listen_unix filter close publish
    numSubscribers domain addServerName removeServerName missingServerName getDescriptor
    addChildAppDescriptor removeChildAppDescriptor adoptSocket
  `),
  timeouts: words(`
    setIdleTimeout setResponseTimeout getIdleTimeout getResponseTimeout
  `),
  res: words(`
    end writeStatus endWithoutBody tryEnd write writeHeader close onWritable onAborted onData
    getWriteOffset getRemoteAddress cork collect upgrade getRemoteAddressAsText
    getProxiedRemoteAddress getProxiedRemoteAddressAsText pause resume
  `),
  req: words(`
    getHeader getParameter getUrl getMethod getCaseSensitiveMethod getQuery forEach setYield
  `),
  ws: words(`
    sendFirstFragment sendFragment sendLastFragment getUserData send end close getBufferedAmount
    getRemoteAddress subscribe unsubscribe publish cork ping getRemoteAddressAsText isSubscribed
    getTopics
  `),
};

const FUNCTIONS = words(`
    App SSLApp H3App getParts us_listen_socket_close us_socket_local_port _cfg DeclarativeResponse
    getString setString getInteger setInteger incInteger lock unlock getIntegerKeys getStringKeys
    deleteString deleteInteger deleteStringCollection deleteIntegerCollection
  `);

/** @param {any} object @param {readonly string[]} names */
const typesOf = (object, names) => names.map((name) => `${name} ${typeof object[name]}`);

/** An App has topics when it has WebSockets. @param {import('./tools.js').Tools} t */
const routed = (t) => t.app().ws('/*', {});

const FORM = 'multipart/form-data; boundary=x';
const part = (/** @type {string} */ head, /** @type {string} */ data) => `--x\r\n${head}\r\n\r\n${data}\r\n`;

/** @type {import('./table.js').Probes} */
export const EXPORT_PROBES = {
  'exports: functions': (t) => typesOf(t.uWS, FUNCTIONS),
  'exports: timers of the loop': (t) => typesOf(t.uWS, ['setTimeout', 'clearTimeout', 'arm']),
  'exports: constants': (t) =>
    Object.entries(t.uWS)
      .filter(([, value]) => typeof value === 'number')
      .map(([name, value]) => `${name} ${value}`)
      .sort(),
  'exports: App with new': (t) => {
    const app = new t.uWS.App();
    t.apps.push(app);
    return app.constructor.name;
  },
  'exports: App without new': (t) => t.app().constructor.name,
  'exports: SSLApp without a certificate': (t) => outcome(() => t.app({}, 'SSLApp').constructor.name),
  ...forEach(
    'exports: App with',
    {
      null: null,
      number: 5,
      text: 'x',
      'an unknown option': { what: 1 },
      'a flag for TLS': { ssl_prefer_low_memory_usage: 1 },
    },
    (t, value) => outcome(() => t.app(value).constructor.name),
  ),
  'exports: methods of an App': (t) => typesOf(t.app(), METHODS.app),
  'exports: time-outs of an App': (t) => typesOf(t.app(), METHODS.timeouts),
  'exports: methods of a response and a request': async (t) => {
    /** @type {unknown[]} */
    let seen = [];
    await t.get((res, req) => {
      seen = [
        res.constructor.name,
        req.constructor.name,
        ...typesOf(res, METHODS.res),
        ...typesOf(req, METHODS.req),
      ];
      res.end();
    });
    return seen;
  },
  'exports: methods of a WebSocket': async (t) =>
    (await t.inOpen((ws) => [ws.constructor.name, ...typesOf(ws, METHODS.ws)])).result,
  'exports: keys of a WebSocket without user data': async (t) =>
    (await t.inOpen((ws) => Object.keys(ws))).result,
  'exports: _cfg': (t) => outcome(() => t.uWS._cfg('silent')),

  'getParts: two parts': (t) =>
    shown(
      t.uWS.getParts(
        `${part('Content-Disposition: form-data; name="a"', '1')}${part('Content-Disposition: form-data; name="f"; filename="b.txt"\r\nContent-Type: text/plain', 'two')}--x--\r\n`,
        FORM,
      ),
    ),
  'getParts: a quoted boundary': (t) =>
    shown(
      t.uWS.getParts(
        `${part('Content-Disposition: form-data; name="a"', '1')}--x--\r\n`,
        'multipart/form-data; boundary="x"',
      ),
    ),
  'getParts: no disposition': (t) =>
    shown(t.uWS.getParts(`${part('Content-Type: text/plain', '1')}--x--\r\n`, FORM)),
  'getParts: an empty name': (t) =>
    shown(t.uWS.getParts(`${part('Content-Disposition: form-data; name=""', '')}--x--\r\n`, FORM)),
  'getParts: another content type': (t) => shown(t.uWS.getParts('abc', 'text/plain')),
  'getParts: no boundary': (t) => shown(t.uWS.getParts('abc', 'multipart/form-data')),
  'getParts: no parts': (t) => shown(t.uWS.getParts('--x--\r\n', FORM)),
  'getParts: an empty body': (t) => shown(t.uWS.getParts('', FORM)),
  'getParts: a cut body': (t) =>
    shown(t.uWS.getParts('--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1', FORM)),
  ...forEach('getParts: body', { undefined: undefined, number: 5 }, (t, value) =>
    outcome(() => t.uWS.getParts(value, FORM)),
  ),

  'store: a missing string': (t) => shown(t.uWS.getString('missing')),
  'store: a missing integer': (t) => shown(t.uWS.getInteger('missing')),
  'store: a string and its keys': (t) => {
    t.uWS.setString('probe', 'value', 'probes');
    return shown([t.uWS.getString('probe', 'probes'), t.uWS.getStringKeys('probes')]);
  },
  'store: integers': (t) => {
    t.uWS.setInteger('probe', 2 ** 31, 'probes');
    const wrapped = t.uWS.getInteger('probe', 'probes');
    return shown([wrapped, t.uWS.incInteger('probe', 3, 'probes'), t.uWS.getIntegerKeys('probes')]);
  },
  ...forEach('store: setInteger', numbersLike(5), (t, value) =>
    outcome(() => {
      t.uWS.setInteger('like', value, 'probes');
      return t.uWS.getInteger('like', 'probes');
    }),
  ),
  'store: returns': (t) =>
    shown([
      t.uWS.setString('r', 'x', 'probes'),
      t.uWS.setInteger('r', 1, 'probes'),
      t.uWS.deleteString('r', 'probes'),
      t.uWS.lock(),
      t.uWS.unlock(),
    ]),

  'DeclarativeResponse: all parts': async (t) => {
    const response = new t.uWS.DeclarativeResponse()
      .writeHeader('x-a', '1')
      .write('q=')
      .writeQueryValue('q')
      .write(' h=')
      .writeHeaderValue('x-h')
      .write(' p=')
      .writeParameterValue('p')
      .end('.');
    const app = t.app().get('/:p', response);
    return t.http(t.listen(app), 'GET /one?q=a%20b', ['X-H: two']);
  },
  'DeclarativeResponse: what is missing': async (t) => {
    const response = new t.uWS.DeclarativeResponse().writeQueryValue('q').writeHeaderValue('x-h').end('.');
    return t.http(t.listen(t.app().get('/', response)));
  },
  'DeclarativeResponse: a body': async (t) => {
    const response = new t.uWS.DeclarativeResponse().writeBody().end('.');
    return t.http(t.listen(t.app().post('/', response)), 'POST /', ['Content-Length: 3'], 'abc');
  },
  ...forEach('publish: message', TEXT_LIKE, (t, value) => outcome(() => routed(t).publish('t', value))),
  ...forEach('publish: topic', { undefined: undefined, null: null, number: 5 }, (t, value) =>
    outcome(() => routed(t).publish(value, 'x')),
  ),
  ...forEach('publish: isBinary', FLAG_LIKE, (t, value) => outcome(() => routed(t).publish('t', 'x', value))),
  ...forEach('numSubscribers', { undefined: undefined, 'a topic nobody has': 'x', number: 5 }, (t, value) =>
    outcome(() => routed(t).numSubscribers(value)),
  ),

  'exports: H3App': (t) => outcome(() => t.app({}, 'H3App').constructor.name),
  'exports: SSLApp without a certificate listens': (t) => {
    const app = t.app({}, 'SSLApp');
    return outcome(() => t.listen(app) > 0);
  },
  'exports: SSLApp with a file that is not there': (t) =>
    outcome(
      () => t.app({ key_file_name: '/none.pem', cert_file_name: '/none.pem' }, 'SSLApp').constructor.name,
    ),
};
