// @ts-check
// The app module of broadcast-shards.js.
import { addBroadcastRoutes } from './broadcast-routes.js';

/** @type {import('../../../src/index.ts').AppModule} */
export default (app, shard) => {
  addBroadcastRoutes(app, 'messageView');
  app.get('/*', (response) => {
    response.end(String(shard.index), true);
  });
};
