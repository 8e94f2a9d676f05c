// @ts-check
/**
 * Worker threads of your own behind one port, in the manner of uWebSockets.js.
 *
 *     node examples/worker-threads.js
 *
 * PORT is the port to listen on (9001; 0: any free one), THREADS the number of workers (one for each core).
 *
 * The main thread accepts connections and hands them, unread, to the Apps of the workers in turn. The workers' Apps
 * share their topics, so `publish` in one reaches the clients of all. When a worker ends, another takes its place; what
 * was on its way to it goes to the others.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, threadId, Worker } from 'node:worker_threads';
import { App } from 'millrace';

if (isMainThread) {
  const acceptor = App();
  let isListening = false;

  const listen = () => {
    isListening = true;
    acceptor.listen(Number(process.env['PORT'] ?? 9001), (socket) => {
      if (socket === false) {
        console.error('Cannot listen: is another program on this port?');
        process.exit(1);
      }
      console.log(`Listening on port ${socket.port}`);
    });
  };

  const start = () => {
    const worker = new Worker(fileURLToPath(import.meta.url));
    let descriptor = 0;
    worker.on('message', (posted) => {
      descriptor = posted;
      acceptor.addChildAppDescriptor(descriptor);
      // Not before there is somebody to serve.
      if (!isListening) listen();
    });
    worker.on('error', (error) => {
      console.error(`A worker ended: ${error.message}`);
    });
    worker.on('exit', () => {
      if (descriptor !== 0) acceptor.removeChildAppDescriptor(descriptor);
      setTimeout(start, 100);
    });
  };

  for (let i = Number(process.env['THREADS'] ?? availableParallelism()); i > 0; i--) start();
} else {
  const app = App();
  app.ws('/*', {
    open: (ws) => {
      ws.subscribe('everybody');
      app.publish(
        'everybody',
        `Somebody joined on thread ${threadId}; ${app.numSubscribers('everybody')} are here.`,
      );
    },
    message: (ws, message) => {
      ws.publish('everybody', `Thread ${threadId}: ${Buffer.from(message).toString()}`);
    },
  });
  app.get('/thread', (res) => {
    res.end(`thread ${threadId}\n`);
  });
  // So that you can see what happens when a worker ends.
  app.post('/crash', (res) => {
    res.end('bye\n');
    setTimeout(() => {
      throw new Error(`thread ${threadId} was told to`);
    }, 50);
  });
  parentPort?.postMessage(app.getDescriptor());
}
