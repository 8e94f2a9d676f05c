// @ts-check
/** Every probe by its id. Each gives what can be written as JSON; see run.js. */
import { APP_PROBES } from './app.js';
import { BEHAVIOR_PROBES } from './behavior.js';
import { CLOSING_PROBES } from './closing.js';
import { EXAMPLE_PROBES } from './examples.js';
import { EXPORT_PROBES } from './exports.js';
import { REQUEST_PROBES } from './request.js';
import { RESPONSE_PROBES } from './response.js';
import { ROUTE_PROBES } from './routes.js';
import { UPGRADE_PROBES } from './upgrade.js';
import { WEBSOCKET_PROBES } from './websocket.js';

/** @typedef {import('./tools.js').Tools} Tools */
/** @typedef {Record<string, (t: Tools) => unknown>} Probes */

/** @type {Probes} */
export const PROBES = {
  ...EXPORT_PROBES,
  ...APP_PROBES,
  ...ROUTE_PROBES,
  ...REQUEST_PROBES,
  ...RESPONSE_PROBES,
  ...BEHAVIOR_PROBES,
  ...UPGRADE_PROBES,
  ...WEBSOCKET_PROBES,
  ...CLOSING_PROBES,
  ...EXAMPLE_PROBES,
};
