// @ts-check
// Hello, World! with Bun.serve; run by Bun.
import { ready } from './ready.js';

/** @typedef {{ version: string, serve(options: object): { port: number } }} BunApi */
const { Bun } = /** @type {{ Bun: BunApi }} */ (/** @type {unknown} */ (globalThis));

const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('Hello, World!') });
ready({ name: 'Bun', version: Bun.version, port: server.port });
