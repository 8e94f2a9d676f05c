'use strict';
// Worker threads as they are used with uWebSockets.js: the main thread accepts, the workers serve.
const { Worker, isMainThread, parentPort, threadId } = require('node:worker_threads');
const uWS = require('uWebSockets.js');

const WORKERS = 2;

if (isMainThread) {
  const acceptor = uWS.App();
  let joined = 0;
  for (let i = 0; i < WORKERS; i++) {
    new Worker(__filename).on('message', (descriptor) => {
      acceptor.addChildAppDescriptor(descriptor);
      joined++;
      if (joined < WORKERS) return;
      acceptor.listen(0, (token) => {
        console.log(token ? `port ${uWS.us_socket_local_port(token)}` : 'no port');
      });
    });
  }
} else {
  const app = uWS
    .App()
    .get('/thread', (res) => {
      res.end(String(threadId));
    })
    .ws('/*', {
      open: (ws) => {
        ws.subscribe('all');
      },
      message: (_ws, message, isBinary) => {
        app.publish('all', message, isBinary);
      },
    });
  parentPort.postMessage(app.getDescriptor());
}
