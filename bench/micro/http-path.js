// @ts-check
/**
 * The whole way of a request through the engine: parser, routes, handler, response, cork. What is left out is the kernel, as
 * in echo-path.
 */

import { openSilentSocket } from '../lib/servers/silent-socket.js';

const REQUESTS = 16;

/** @typedef {import('../../src/index.ts').HttpHandler} HttpHandler */

/** @param {string} path */
const requestOf = (path) =>
  `GET ${path} HTTP/1.1\r\nHost: localhost:9001\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n`;

/**
 * @param {string} name
 * @param {string} pattern
 * @param {string} path
 * @param {HttpHandler} handler that answers at once
 * @returns {import('../lib/runs/micro-run.js').MicroCase}
 */
function answering(name, pattern, path, handler) {
  return {
    name,
    unit: 'requests',
    prepare: async (load) => {
      const socket = await openSilentSocket(load, (app) => app.get(pattern, handler), requestOf(path));
      const chunk = Buffer.from(requestOf(path).repeat(REQUESTS));
      const answered = socket.read(chunk);
      return () => {
        const written = socket.read(chunk);
        // Ids and dates have one length.
        if (written !== answered || written < REQUESTS * 50) throw new Error(`${written} bytes were sent`);
        return REQUESTS;
      };
    },
  };
}

/** @type {import('../lib/runs/micro-run.js').MicroSuite} */
export default {
  name: 'http-path',
  title: `Requests, without the kernel: ${REQUESTS} of them a read`,
  cases: [
    answering('GET /, answered with 13 characters', '/', '/', (res) => {
      res.end('Hello, World!');
    }),
    answering(
      'GET, answered with a status, a header and what was read of the request',
      '/:id',
      '/some',
      (res, req) => {
        res.writeStatus('201 Created').writeHeader('x-id', String(req.getParameter(0)));
        res.end(req.getHeader('user-agent'));
      },
    ),
  ],
};
