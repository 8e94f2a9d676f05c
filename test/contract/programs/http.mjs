// An HTTP server as it is written for uWebSockets.js.
import uWS, { App } from 'uWebSockets.js';

const pieces = Array.from({ length: 100 }, (_, i) => Buffer.alloc(10_000, 97 + (i % 26)));
const whole = Buffer.concat(pieces);

const app = App()
  .get('/users/:id', (res, req) => {
    res
      .writeHeader('content-type', 'text/plain')
      .end(`${req.getMethod()} ${req.getParameter(0)} ${req.getQuery('q')}`);
  })
  .post('/upper', (res, req) => {
    const type = req.getHeader('content-type');
    const chunks = [];
    res.onData((chunk, isLast) => {
      chunks.push(Buffer.from(chunk.slice(0)));
      if (!isLast) return;
      const text = Buffer.concat(chunks).toString().toUpperCase();
      res.cork(() => {
        res.writeStatus('201 Created').writeHeader('content-type', type).end(text);
      });
    });
    res.onAborted(() => {});
  })
  .get('/large', (res) => {
    res.onAborted(() => {});
    const [ok, done] = res.tryEnd(whole, whole.length);
    if (ok || done) return;
    res.onWritable((offset) => res.tryEnd(whole.subarray(offset), whole.length)[0]);
  })
  .get('/later', async (res) => {
    let isAborted = false;
    res.onAborted(() => {
      isAborted = true;
    });
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
    if (isAborted) return;
    res.cork(() => {
      res.write('in ');
      res.write('pieces');
      res.end();
    });
  })
  .any('/*', (res, req) => {
    res.writeStatus('404 Not Found').end(`no ${req.getUrl()}`);
  })
  .listen(0, (token) => {
    console.log(token ? `port ${uWS.us_socket_local_port(token)}` : 'no port');
  });

process.stdin.on('end', () => app.close()).resume();
