// @ts-check
/**
 * Relay: every message goes to all connections but the one it came from, on all shards.
 *
 *     npx millrace serve examples/relay.js --port 9001
 *     npx millrace bench ws://localhost:9001 --scenario broadcast
 */

const EVERYBODY = 'everybody';

/** @type {import('millrace').AppModule} */
export default (app) => {
  app.ws('/*', {
    // Room for what is published in one turn to a client that reads late: beyond it, messages are dropped for it.
    maxBackpressure: 16 * 1024 * 1024,
    open: (ws) => {
      ws.subscribe(EVERYBODY);
    },
    messageView: (ws, view, isBinary) => {
      ws.publish(EVERYBODY, view, isBinary);
    },
  });
  app.get('/*', (res) => {
    res.end('This is a relay: connect with WebSockets.\n');
  });
};
