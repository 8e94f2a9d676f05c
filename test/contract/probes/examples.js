// @ts-check
/** What the examples of uWebSockets.js do, in programs of our own. */
import { createHash } from 'node:crypto';
import { clientFrame, outcome, readResponse, shown } from './tools.js';

/** @typedef {import('./tools.js').Tools} Tools */

const LARGE = Buffer.alloc(3_000_000, 'some text that is long. ');

/** @param {Uint8Array} bytes */
const digest = (bytes) => createHash('sha1').update(bytes).digest('hex');

/** The body of a response that comes in chunks. @param {string} text */
function unchunked(text) {
  let body = '';
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, end), 16);
    body += text.slice(end + 2, end + 2 + size);
    at = end + 4 + size;
  }
  return body;
}

/** The body of a large response, as its digest. @param {Tools} t @param {(res: any, req: any) => void} handler */
async function large(t, handler) {
  const response = await t.get(handler);
  if (response === 'closed' || response.body === undefined) return response;
  const isChunked = response.headers.some((line) => line.toLowerCase().startsWith('transfer-encoding'));
  const body = isChunked ? unchunked(response.body) : response.body;
  return [response.status, body.length, digest(Buffer.from(body, 'latin1')) === digest(LARGE)];
}

/** @type {import('./table.js').Probes} */
export const EXAMPLE_PROBES = {
  'example: an async function': (t) =>
    t.get(async (res) => {
      let isAborted = false;
      res.onAborted(() => {
        isAborted = true;
      });
      const text = await new Promise((resolve) => setTimeout(resolve, 1, 'Hello'));
      if (!isAborted) res.cork(() => res.writeHeader('x-async', '1').end(text));
    }),
  'example: a port that is free': (t) => {
    const port = t.listen(t.app());
    return port > 1023 && port < 65_536;
  },
  'example: a file by tryEnd': (t) =>
    large(t, (res) => {
      res.onAborted(() => {});
      let from = 0;
      const [ok, done] = res.tryEnd(LARGE, LARGE.length);
      if (done || ok) return;
      from = res.getWriteOffset();
      res.onWritable((/** @type {number} */ offset) => {
        const [taken, isDone] = res.tryEnd(LARGE.subarray(offset - from + from), LARGE.length);
        return taken || isDone;
      });
    }),
  'example: a file in chunks by tryEnd': (t) =>
    large(t, (res) => {
      res.onAborted(() => {});
      const step = 100_000;
      const go = () => {
        for (;;) {
          const offset = res.getWriteOffset();
          const [ok, done] = res.tryEnd(
            LARGE.subarray(offset, Math.min(offset + step, LARGE.length)),
            LARGE.length,
          );
          if (done) return true;
          if (!ok) return false;
        }
      };
      if (!go()) res.onWritable(() => go());
    }),
  'example: a stream by write': (t) =>
    large(t, (res) => {
      res.onAborted(() => {});
      let sent = 0;
      const go = () => {
        while (sent < LARGE.length) {
          const part = LARGE.subarray(sent, sent + 100_000);
          sent += part.length;
          if (!res.write(part)) return false;
        }
        res.end();
        return true;
      };
      if (!go()) res.onWritable(() => go());
    }),
  'example: a whole file by end': (t) => large(t, (res) => res.end(LARGE)),
  'example: JSON posted': (t) =>
    t.get(
      (res) => {
        res.onAborted(() => {});
        /** @type {Buffer[]} */
        const parts = [];
        res.onData((/** @type {ArrayBuffer} */ chunk, /** @type {boolean} */ isLast) => {
          parts.push(Buffer.from(chunk.slice(0)));
          if (isLast) res.end(JSON.stringify(JSON.parse(Buffer.concat(parts).toString()).a));
        });
      },
      'POST /',
      ['Content-Type: application/json', 'Content-Length: 13'],
      '{"a":[1,"b"]}',
    ),
  'example: an upload that is paused': async (t) => {
    const body = 'x'.repeat(1_000_000);
    let size = 0;
    const response = await t.get(
      (res) => {
        res.onAborted(() => {});
        res.onData((/** @type {ArrayBuffer} */ chunk, /** @type {boolean} */ isLast) => {
          size += chunk.byteLength;
          if (isLast) {
            res.end(String(size));
            return;
          }
          res.pause();
          // Pieces of the same read come in spite of it.
          setImmediate(() => outcome(() => res.resume()));
        });
      },
      'POST /',
      [`Content-Length: ${body.length}`],
      body,
    );
    return response;
  },
  'example: server-sent events': async (t) => {
    const app = t.app().get('/', (/** @type {any} */ res) => {
      res.onAborted(() => {});
      res.writeHeader('Content-Type', 'text/event-stream');
      res.write('data: 1\n\n');
      setImmediate(() => res.cork(() => res.write('data: 2\n\n')));
    });
    const peer = t.peerOf(t.listen(app)).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const text = await peer.wait((received) =>
      received.includes('data: 2\n\n') ? received.toString('latin1') : undefined,
    );
    return text.split('\r\n').filter((line) => line.startsWith('data: '));
  },
  'example: all headers': async (t) => {
    /** @type {string[]} */
    const seen = [];
    await t.get(
      (res, req) => {
        req.forEach((/** @type {string} */ key, /** @type {string} */ value) =>
          seen.push(`${key}: ${value}`),
        );
        res.end();
      },
      'GET /',
      ['User-Agent: x', 'Accept: */*'],
    );
    return seen;
  },
  'example: a graceful shutdown': async (t) => {
    /** @type {unknown} */
    let token;
    const app = t.app().any('/*', (/** @type {any} */ res) => res.end('served'));
    app.listen('127.0.0.1', 0, (/** @type {unknown} */ given) => {
      token = given;
    });
    const port = t.uWS.us_socket_local_port(token);
    const open = t.peerOf(port).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const first = await open.wait((received) => readResponse(received));
    t.uWS.us_listen_socket_close(token);
    open.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const size = first === 'closed' ? 0 : first.size;
    const second = await open.wait((received) => readResponse(received.subarray(size)));
    const late = t.peerOf(port);
    return [second === 'closed' ? second : second.body, await late.wait(() => undefined)];
  },
  'example: backpressure and drain': async (t) => {
    /** @type {string[]} */
    const events = [];
    let sent = 0;
    let resolve = () => {};
    const done = new Promise((called) => {
      resolve = () => called(undefined);
    });
    const socket = await t.open({
      maxBackpressure: 1_000_000_000,
      message: (/** @type {any} */ ws) => {
        let status = 1;
        while (status === 1) {
          status = ws.send(LARGE, true);
          sent += LARGE.length;
        }
        events.push(`status ${status}`, `waits ${ws.getBufferedAmount() > 0}`);
      },
      drain: (/** @type {any} */ ws) => {
        if (ws.getBufferedAmount() === 0) resolve();
      },
    });
    socket.socket.pause();
    socket.send(clientFrame(1, 'go'));
    while (events.length === 0) await new Promise((next) => setImmediate(next));
    socket.socket.resume();
    await done;
    return [events, sent > 0];
  },
  'example: a message that is dropped': async (t) => {
    /** @type {unknown[]} */
    let events = [];
    const socket = await t.open({
      maxBackpressure: 1000,
      message: (/** @type {any} */ ws) => {
        while (ws.send(LARGE, true) === 1);
        events = [ws.send('dropped'), ...events];
      },
      dropped: (
        /** @type {any} */ _,
        /** @type {ArrayBuffer} */ message,
        /** @type {boolean} */ isBinary,
      ) => {
        events.push(shown(message), isBinary);
      },
    });
    socket.socket.pause();
    socket.send(clientFrame(1, 'go'));
    while (events.length === 0) await new Promise((next) => setImmediate(next));
    return events;
  },
  'example: a broadcast': async (t) => {
    const app = t.app().ws('/*', { open: (/** @type {any} */ ws) => ws.subscribe('all') });
    const port = t.listen(app);
    const sockets = [await t.socket(port), await t.socket(port), await t.socket(port)];
    const timer = setInterval(() => app.publish('all', 'tick', false), 1);
    for (const socket of sockets) await socket.until(2);
    clearInterval(timer);
    return sockets.map(({ frames }) => frames.slice(0, 2));
  },
  'example: rooms by address': async (t) => {
    const app = t.app().ws('/:room', {
      upgrade: (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) => {
        res.upgrade(
          { room: req.getParameter(0) },
          req.getHeader('sec-websocket-key'),
          req.getHeader('sec-websocket-protocol'),
          req.getHeader('sec-websocket-extensions'),
          context,
        );
      },
      open: (/** @type {any} */ ws) => ws.subscribe(ws.room),
      message: (/** @type {any} */ ws, /** @type {ArrayBuffer} */ message, /** @type {boolean} */ isBinary) =>
        ws.publish(ws.getUserData().room, message, isBinary),
    });
    const port = t.listen(app);
    const [a, b, c] = [
      await t.socket(port, '/one'),
      await t.socket(port, '/one'),
      await t.socket(port, '/two'),
    ];
    a.send(clientFrame(1, 'hello'));
    await b.until(1);
    c.send(clientFrame(9));
    await c.until(1);
    return [a.frames, b.frames, c.frames];
  },
  'example: a rate limit': async (t) => {
    const counts = new WeakMap();
    const socket = await t.open({
      message: (/** @type {any} */ ws) => {
        const count = (counts.get(ws.getUserData()) ?? 0) + 1;
        counts.set(ws, count);
        if (count > 2) ws.end(4029, 'slow down');
        else ws.send(String(count));
      },
    });
    socket.send(Buffer.concat([clientFrame(1), clientFrame(1), clientFrame(1), clientFrame(1)]));
    return socket.end();
  },
  'example: an upgrade behind an await': async (t) => {
    let isUpgraded = false;
    const socket = await t.open({
      upgrade: async (/** @type {any} */ res, /** @type {any} */ req, /** @type {any} */ context) => {
        const key = req.getHeader('sec-websocket-key');
        res.onAborted(() => {});
        await new Promise((resolve) => setTimeout(resolve, 1));
        res.cork(() => {
          res.writeHeader('x-later', '1').upgrade({ name: 'late' }, key, '', '', context);
          isUpgraded = true;
        });
      },
      open: (/** @type {any} */ ws) => ws.send(ws.name),
    });
    return [await socket.until(1), isUpgraded, socket.head?.headers.includes('x-later: 1')];
  },
  'example: a micro-cache': async (t) => {
    let calls = 0;
    const app = t.app();
    const made = outcome(
      () =>
        app.get(
          '/',
          (/** @type {any} */ res) => {
            calls += 1;
            res.end('cached');
          },
          { lowerExpiry: 1, upperExpiry: 5 },
        ) === app,
    );
    return [made, await t.http(t.listen(app)), calls];
  },
  'example: echo of all kinds': async (t) => {
    const socket = await t.open({
      compression: 0,
      idleTimeout: 32,
      message: (/** @type {any} */ ws, /** @type {ArrayBuffer} */ message, /** @type {boolean} */ isBinary) =>
        ws.send(message, isBinary, true),
    });
    for (const frame of [
      clientFrame(1, 'text'),
      clientFrame(2, 'bytes'),
      clientFrame(1),
      clientFrame(9, 'p'),
    ]) {
      socket.send(frame);
    }
    return socket.until(4);
  },
};
