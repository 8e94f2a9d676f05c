// @ts-check
// The app of millrace-serve.js, in each shard: echo.
import { burn } from '../../lib/servers/burn.js';
import { collectGarbage, MAX_PAYLOAD } from './ready.js';

/** @type {import('../../../src/index.ts').AppModule} */
export default (app, { data }) => {
  const { rounds = 0 } = /** @type {{ rounds?: number } | undefined} */ (data) ?? {};
  collectGarbage();
  app.ws('/*', {
    maxPayloadLength: MAX_PAYLOAD,
    maxBackpressure: MAX_PAYLOAD,
    messageView: (ws, view, isBinary) => {
      if (rounds > 0) burn(rounds);
      ws.send(view, isBinary);
    },
  });
};
