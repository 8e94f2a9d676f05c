'use strict';
// An echo server as it is written for uWebSockets.js.
const uWS = require('uWebSockets.js');

const decoder = new TextDecoder();

uWS
  .App()
  .ws('/rooms/:room', {
    compression: uWS.SHARED_COMPRESSOR,
    maxPayloadLength: 16 * 1024 * 1024,
    idleTimeout: 10,
    upgrade: (res, req, context) => {
      res.upgrade(
        { room: req.getParameter(0), url: req.getUrl() },
        req.getHeader('sec-websocket-key'),
        req.getHeader('sec-websocket-protocol'),
        req.getHeader('sec-websocket-extensions'),
        context,
      );
    },
    open: (ws) => {
      ws.subscribe(ws.room);
    },
    message: (ws, message, isBinary) => {
      const ok = ws.send(message, isBinary, true);
      if (ok !== 1) throw new Error(`send gave ${ok}`);
      if (!isBinary && decoder.decode(message) === 'tell')
        ws.publish(ws.getUserData().room, 'told', false, true);
    },
    close: (_ws, code) => {
      console.log(`closed ${code}`);
    },
  })
  .listen(0, (token) => {
    console.log(token ? `port ${uWS.us_socket_local_port(token)}` : 'no port');
  });
