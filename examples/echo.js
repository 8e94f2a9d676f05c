// @ts-check
/**
 * Echo: every message goes back as it came.
 *
 *     npx millrace serve examples/echo.js --port 9001
 *
 * MAX_PAYLOAD raises the largest message (bytes).
 */

/** @type {import('millrace').AppModule} */
export default (app) => {
  app.ws('/*', {
    maxPayloadLength: Number(process.env['MAX_PAYLOAD'] ?? 16 * 1024),
    messageView: (ws, view, isBinary) => {
      ws.send(view, isBinary);
    },
  });
  app.get('/*', (res) => {
    res.end('This is an echo server: connect with a WebSocket.\n');
  });
};
