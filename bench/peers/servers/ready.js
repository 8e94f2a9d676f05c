// @ts-check

/**
 * Says on stdout that the server listens, and ends it when whoever started it is gone.
 *
 * @param {{ name: string, version: string, port: number }} server
 */
export function ready(server) {
  process.stdout.write(`${JSON.stringify(server)}\n`);
  process.stdin.on('end', () => process.exit());
  process.stdin.resume();
}

/** The largest message and the largest backlog of a connection, the same for all servers. */
export const MAX_PAYLOAD = 16 * 1024 * 1024;
