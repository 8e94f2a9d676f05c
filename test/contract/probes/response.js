// @ts-check
import { outcome, readResponse, shown } from './tools.js';
import { FLAG_LIKE, forEach, numbersLike, TEXT_LIKE } from './values.js';

/** @typedef {import('./tools.js').Tools} Tools */

/**
 * What a call in a handler comes to, and what went over the wire. The handler ends the response itself, or, where the
 * call threw, with a text that says so.
 *
 * @param {Tools} t @param {(res: any) => unknown} call @param {string} target
 */
async function called(t, call, target = 'GET /') {
  let result;
  const response = await t.get((res) => {
    res.onAborted(() => {});
    result = outcome(() => {
      const value = call(res);
      return value === res ? 'res' : value;
    });
    if (result === 'throws') outcome(() => res.end('threw'));
    // What is not answered yet never will be.
    setImmediate(() => outcome(() => res.close() && undefined));
  }, target);
  return { result, response };
}

/**
 * The answers, each a moment after its request was handled, to requests that are sent at once.
 *
 * @param {Tools} t @param {boolean} isLast the client ends its side behind them
 */
async function answeredLater(t, paths = ['/a'], isLast = false) {
  const app = t.app().any('/*', (/** @type {any} */ res, /** @type {any} */ req) => {
    const url = req.getUrl();
    let isAborted = false;
    res.onAborted(() => {
      isAborted = true;
    });
    setTimeout(() => isAborted || res.cork(() => res.end(`answer to ${url}`)), 20);
  });
  const peer = t.peerOf(t.listen(app));
  peer.send(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
  if (isLast) peer.socket.end();
  const answers = () => peer.received.toString().match(/answer to [a-z/]*/g) ?? [];
  await peer.wait(() => (answers().length === paths.length ? true : undefined));
  return answers();
}

/** The response, and whether the connection lives behind it. @param {Tools} t @param {(res: any) => void} handler */
async function andAfter(t, handler, target = 'GET /', lines = /** @type {string[]} */ ([])) {
  const app = t.app().any('/*', handler);
  const port = t.listen(app);
  const peer = t.peerOf(port);
  const request = `${[`${target} HTTP/1.1`, 'Host: a', ...lines].join('\r\n')}\r\n\r\n`;
  peer.send(request);
  const first = await peer.wait((received) => readResponse(received, target.startsWith('HEAD')));
  if (first === 'closed') return 'closed';
  const { size, ...response } = first;
  peer.send(request);
  const second = await peer.wait((received) =>
    readResponse(received.subarray(size), target.startsWith('HEAD')),
  );
  return { response, after: second === 'closed' ? 'closed' : 'open' };
}

const AFTER_END = {
  writeStatus: (/** @type {any} */ res) => res.writeStatus('200 OK'),
  writeHeader: (/** @type {any} */ res) => res.writeHeader('a', 'b'),
  write: (/** @type {any} */ res) => res.write('x'),
  end: (/** @type {any} */ res) => res.end('x'),
  endWithoutBody: (/** @type {any} */ res) => res.endWithoutBody(),
  tryEnd: (/** @type {any} */ res) => res.tryEnd('x', 1),
  getWriteOffset: (/** @type {any} */ res) => res.getWriteOffset(),
  onWritable: (/** @type {any} */ res) => res.onWritable(() => true),
  onAborted: (/** @type {any} */ res) => res.onAborted(() => {}),
  onData: (/** @type {any} */ res) => res.onData(() => {}),
  cork: (/** @type {any} */ res) => res.cork(() => {}) === res,
  close: (/** @type {any} */ res) => typeof res.close(),
  pause: (/** @type {any} */ res) => res.pause(),
  resume: (/** @type {any} */ res) => res.resume(),
  getRemoteAddress: (/** @type {any} */ res) => res.getRemoteAddress(),
};

/** @type {import('./table.js').Probes} */
export const RESPONSE_PROBES = {
  'res: end with a text': (t) => called(t, (res) => res.end('abc')),
  'res: end with nothing': (t) => called(t, (res) => res.end()),
  'res: end with UTF-8': (t) => called(t, (res) => res.end('é€')),
  ...forEach('res: end', TEXT_LIKE, (t, value) => called(t, (res) => res.end(value))),
  ...forEach('res: end and closeConnection', FLAG_LIKE, (t, value) =>
    andAfter(t, (res) => res.end('x', value)),
  ),
  'res: end and closeConnection true': (t) => andAfter(t, (res) => res.end('x', true)),
  'res: the connection lives on': (t) => andAfter(t, (res) => res.end('x')),
  'res: Connection: close asked for': (t) =>
    andAfter(t, (res) => res.end('x'), 'GET /', ['Connection: close']),

  ...forEach('res: endWithoutBody to HEAD', numbersLike(11), (t, value) =>
    called(t, (res) => res.endWithoutBody(value), 'HEAD /'),
  ),
  'res: endWithoutBody to HEAD, a length': (t) => called(t, (res) => res.endWithoutBody(11), 'HEAD /'),
  'res: endWithoutBody to HEAD, no argument': (t) => called(t, (res) => res.endWithoutBody(), 'HEAD /'),
  'res: endWithoutBody to HEAD, negative': (t) => called(t, (res) => res.endWithoutBody(-1), 'HEAD /'),
  'res: endWithoutBody to GET': (t) => called(t, (res) => res.endWithoutBody()),
  'res: endWithoutBody to GET with a length': async (t) => {
    const app = t.app().get('/', (/** @type {any} */ res) => res.endWithoutBody(3));
    const peer = t.peerOf(t.listen(app)).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const head = await peer.wait((received) => readResponse(received, true));
    return head === 'closed' ? head : { status: head.status, headers: head.headers };
  },
  'res: endWithoutBody closes': (t) => andAfter(t, (res) => res.endWithoutBody(0, 1), 'HEAD /'),
  'res: endWithoutBody and 304': (t) =>
    called(t, (res) => res.writeStatus('304 Not Modified').endWithoutBody()),

  ...forEach('res: tryEnd and totalSize', numbersLike(3), (t, value) =>
    called(t, (res) => res.tryEnd('abc', value)),
  ),
  'res: tryEnd whole': (t) => called(t, (res) => res.tryEnd('abc', 3)),
  'res: tryEnd without a size': (t) => called(t, (res) => res.tryEnd('abc')),
  'res: tryEnd with nothing': (t) => called(t, (res) => res.tryEnd('', 0)),
  'res: tryEnd in two': (t) =>
    called(t, (res) => [res.tryEnd('abc', 5), res.getWriteOffset(), res.tryEnd('de', 5)]),
  ...forEach('res: tryEnd', { null: null, number: 5 }, (t, value) =>
    called(t, (res) => res.tryEnd(value, 3)),
  ),

  'res: write and end': (t) =>
    called(t, (res) => [res.write('ab'), res.getWriteOffset(), res.end('c') === res]),
  'res: write and end with nothing': (t) => called(t, (res) => [res.write('ab'), res.end() === res]),
  'res: write nothing': (t) =>
    called(t, (res) => {
      const results = [res.write(''), res.write('ab')];
      res.end();
      return results;
    }),
  ...forEach('res: write', { undefined: undefined, null: null, number: 5, object: {} }, (t, value) =>
    called(t, (res) => {
      const result = res.write(value);
      res.end();
      return result;
    }),
  ),
  'res: getWriteOffset at first': (t) => called(t, (res) => [res.getWriteOffset(), res.end() === res]),

  'res: writeStatus': (t) => called(t, (res) => res.writeStatus('404 Not Found').end()),
  'res: writeStatus returns': (t) =>
    called(t, (res) => [res.writeStatus('404 Not Found') === res, res.end() === res]),
  ...forEach(
    'res: writeStatus',
    {
      'a code alone': '404',
      number: 404,
      undefined: undefined,
      null: null,
      empty: '',
      bytes: Buffer.from('404 No'),
      'a phrase alone': 'OK',
      informational: '103 Early Hints',
    },
    (t, value) => called(t, (res) => res.writeStatus(value).end('x')),
  ),
  'res: writeStatus twice': (t) =>
    called(t, (res) => res.writeStatus('404 Not Found').writeStatus('201 Created').end()),
  'res: writeStatus behind writeHeader': (t) =>
    called(t, (res) => res.writeHeader('x-a', 'b').writeStatus('201 Created').end()),
  'res: writeHeader': (t) => called(t, (res) => res.writeHeader('X-A', 'b').writeHeader('X-A', 'c').end('x')),
  ...forEach(
    'res: writeHeader value',
    {
      number: 5,
      fraction: 1.5,
      undefined: undefined,
      null: null,
      true: true,
      empty: '',
      bytes: Buffer.from('x'),
      'UTF-8': 'é€',
      list: ['a', 'b'],
      'a line break': 'a\r\nX-B: c',
    },
    (t, value) => called(t, (res) => res.writeHeader('x-a', value).end('x')),
  ),
  ...forEach(
    'res: writeHeader key',
    { undefined: undefined, number: 5, empty: '', 'with a space': 'x a' },
    (t, value) => called(t, (res) => res.writeHeader(value, 'b').end('x')),
  ),
  'res: Content-Length of its own': (t) =>
    called(t, (res) => res.writeHeader('Content-Length', '3').end('abc')),
  'res: Connection of its own': (t) => called(t, (res) => res.writeHeader('Connection', 'close').end('abc')),
  'res: Date of its own': (t) => called(t, (res) => res.writeHeader('Date', 'x').end('abc')),
  'res: Content-Type': (t) => called(t, (res) => res.writeHeader('Content-Type', 'text/html').end('<p>')),
  'res: 204': (t) => called(t, (res) => res.writeStatus('204 No Content').end()),
  'res: 304': (t) => called(t, (res) => res.writeStatus('304 Not Modified').end()),
  'res: writeHeader behind write': (t) =>
    called(t, (res) => {
      res.write('a');
      const result = outcome(() => res.writeHeader('x-a', 'b') === res);
      res.end();
      return result;
    }),
  'res: writeStatus behind write': (t) =>
    called(t, (res) => {
      res.write('a');
      const result = outcome(() => res.writeStatus('404 Not Found') === res);
      res.end();
      return result;
    }),

  'res: methods that return it': (t) =>
    called(t, (res) => {
      const nothing = () => true;
      const results = [
        res.onAborted(nothing),
        res.onData(nothing),
        res.onWritable(nothing),
        res.cork(nothing),
        res.collect(nothing),
      ];
      res.end();
      return results.map((result) => result === res);
    }),
  'res: pause and resume return': (t) =>
    called(t, (res) => {
      const results = [typeof res.pause(), typeof res.resume()];
      res.end();
      return results;
    }),
  ...forEach('res: onAborted', { undefined: undefined, null: null, object: {} }, (t, value) =>
    called(t, (res) => [res.onAborted(value) === res, res.end() === res]),
  ),
  ...forEach('res: onData', { object: {} }, (t, value) =>
    called(t, (res) => [res.onData(value) === res, res.end() === res]),
  ),
  ...forEach('res: onWritable', { undefined: undefined, object: {} }, (t, value) =>
    called(t, (res) => [res.onWritable(value) === res, res.end() === res]),
  ),
  ...forEach('res: cork', { undefined: undefined, object: {} }, (t, value) =>
    called(t, (res) => [res.cork(value) === res, res.end() === res]),
  ),
  'res: cork that throws': (t) =>
    called(t, (res) =>
      res.cork(() => {
        throw new Error('probe');
      }),
    ),
  'res: cork gets': (t) =>
    called(t, (res) => {
      /** @type {unknown[]} */
      let given = [];
      res.cork((/** @type {unknown[]} */ ...args) => {
        given = args.map((arg) => (arg === res ? 'res' : shown(arg)));
      });
      res.end();
      return given;
    }),
  'res: addresses': (t) =>
    called(t, (res) => {
      const results = [
        res.getRemoteAddress().byteLength,
        res.getRemoteAddressAsText(),
        res.getProxiedRemoteAddress(),
        res.getProxiedRemoteAddressAsText(),
      ];
      res.end();
      return results;
    }),
  'res: addresses of all sockets': async (t) => {
    /** @type {unknown[]} */
    const results = [];
    const app = t.app().any('/*', (/** @type {any} */ res) => {
      results.push(shown(res.getRemoteAddress().byteLength), shown(res.getRemoteAddressAsText()));
      res.end();
    });
    let port = -1;
    app.listen(0, (/** @type {any} */ token) => {
      port = t.uWS.us_socket_local_port(token);
    });
    await t.http(port);
    return results;
  },
  'res: fields of its own': (t) =>
    called(t, (res) => {
      res.user = { a: 1 };
      res.aborted = false;
      const results = [res.user, res.aborted];
      res.end();
      return results;
    }),
  'res: aborted set in onAborted': async (t) => {
    let seen;
    /** @type {any} */
    let peer;
    const aborted = new Promise((resolve) => {
      const app = t.app().get('/', (/** @type {any} */ res) => {
        res.onAborted(() => {
          res.aborted = true;
          seen = [res.aborted, outcome(() => res.end('x'))];
          resolve(undefined);
        });
        peer.close();
      });
      const port = t.listen(app);
      peer = t.peerOf(port).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    });
    await aborted;
    return seen;
  },
  'res: close': async (t) => {
    let aborted = false;
    let result;
    const response = await t.get((res) => {
      res.onAborted(() => {
        aborted = true;
      });
      result = outcome(() => res.close() === res);
    });
    return [response, result, aborted];
  },
  ...forEach('res: after end', AFTER_END, async (t, call) => {
    let result;
    await t.get((res) => {
      res.end('x');
      result = outcome(() => call(res));
    });
    return result;
  }),

  'res: onData without a body': async (t) => {
    /** @type {unknown[]} */
    const seen = [];
    await t.get((res) => {
      res.onAborted(() => {});
      res.onData((/** @type {ArrayBuffer} */ chunk, /** @type {boolean} */ isLast) => {
        seen.push([shown(chunk), isLast]);
        if (isLast) res.end();
      });
    });
    return seen;
  },
  'res: onData with a body': async (t) => {
    /** @type {unknown[]} */
    const seen = [];
    await t.get(
      (res) => {
        res.onAborted(() => {});
        res.onData((/** @type {ArrayBuffer} */ chunk, /** @type {boolean} */ isLast) => {
          seen.push([shown(chunk), isLast]);
          if (isLast) res.end();
        });
      },
      'POST /',
      ['Content-Length: 3'],
      'abc',
    );
    return seen;
  },
  'res: onData with chunks': async (t) => {
    let text = '';
    const response = await t.get(
      (res) => {
        res.onAborted(() => {});
        res.onData((/** @type {ArrayBuffer} */ chunk, /** @type {boolean} */ isLast) => {
          text += Buffer.from(chunk).toString();
          if (isLast) res.end(text);
        });
      },
      'POST /',
      ['Transfer-Encoding: chunked'],
      '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    );
    return response;
  },
  'res: a chunk of onData later': async (t) => {
    /** @type {ArrayBuffer | undefined} */
    let kept;
    await t.get(
      (res) => {
        res.onAborted(() => {});
        res.onData((/** @type {ArrayBuffer} */ chunk, /** @type {boolean} */ isLast) => {
          kept = chunk;
          if (isLast) res.end();
        });
      },
      'POST /',
      ['Content-Length: 3'],
      'abc',
    );
    return kept?.byteLength ?? -1;
  },
  'res: written uncorked, later': async (t) =>
    t.get((res) => {
      res.onAborted(() => {});
      setImmediate(() => res.writeStatus('201 Created').writeHeader('x-a', 'b').end('later'));
    }),
  'res: requests behind one that is answered later': (t) => answeredLater(t, ['/a', '/b', '/c']),
  'res: the client ends its side, and is answered later': (t) => answeredLater(t, ['/a'], true),
  'res: Expect: 100-continue': async (t) => {
    const app = t.app().post('/', (/** @type {any} */ res) => {
      res.onAborted(() => {});
      res.onData((/** @type {ArrayBuffer} */ _, /** @type {boolean} */ isLast) => {
        if (isLast) res.end('done');
      });
    });
    const peer = t.peerOf(t.listen(app));
    peer.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n');
    const first = await peer.wait((received) =>
      received.length > 0 ? received.toString('latin1').slice(0, 12) : undefined,
    );
    return first;
  },

  'res: to HTTP/1.0': async (t) => {
    const peer = t.peerOf(t.listen(t.app().get('/', (/** @type {any} */ res) => res.end('x'))));
    peer.send('GET / HTTP/1.0\r\n\r\n');
    await peer.wait(() => undefined);
    return peer.received.toString('latin1').slice(0, 12);
  },
  'res: to HTTP/1.2': async (t) => {
    const peer = t.peerOf(t.listen(t.app().get('/', (/** @type {any} */ res) => res.end('x'))));
    peer.send('GET / HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n');
    await peer.wait(() => undefined);
    return peer.received.toString('latin1').slice(0, 12);
  },
  'res: Expect of another kind': (t) => t.get((res) => res.end('x'), 'GET /', ['Expect: something']),
  'res: an empty Expect': (t) => t.get((res) => res.end('x'), 'GET /', ['Expect:']),
  'res: HEAD by end with nothing': (t) => called(t, (res) => res.end(), 'HEAD /'),
  'res: HEAD by end with a body': (t) => called(t, (res) => res.end('abc'), 'HEAD /'),
  'res: a header as bytes that are not UTF-8': (t) =>
    called(t, (res) => res.writeHeader('x-a', Buffer.from([0xe9])).end('x')),
  'res: an async handler that rejects': (t) =>
    t.get(async (res) => {
      res.onAborted(() => {});
      await Promise.resolve();
      throw new Error('probe');
    }),
  'res: an async onData that rejects': (t) =>
    t.get((res) => {
      res.onAborted(() => {});
      res.onData(async () => {
        await Promise.resolve();
        throw new Error('probe');
      });
    }),
  'res: onAborted that throws': async (t) => {
    let isCalled = false;
    await t.get((res) => {
      res.onAborted(() => {
        isCalled = true;
        throw new Error('probe');
      });
      res.close();
    });
    return isCalled;
  },
  'res: written to in a filter': (t) => {
    /** @type {unknown} */
    let result;
    const app = t
      .app()
      .filter((/** @type {any} */ res, /** @type {number} */ count) => {
        if (count > 0) result = outcome(() => res.writeStatus('200 OK') === res);
      })
      .any('/*', (/** @type {any} */ res) => res.end('x'));
    return t.http(t.listen(app)).then(() => result);
  },
};
