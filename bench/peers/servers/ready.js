// @ts-check

/**
 * Says on stdout that the server listens, and ends it when whoever started it is gone.
 *
 * @param {{ name: string, version: string, port: number, pid?: number }} server `pid` where another program serves
 */
export function ready(server) {
  process.stdout.write(`${JSON.stringify(server)}\n`);
  process.stdin.on('end', () => process.exit());
  process.stdin.resume();
  collectGarbage();
}

/** Ms between two collections. */
const COLLECT_EVERY = 1000;

/**
 * Collects the garbage of this thread now and then, where memory is measured (COLLECT_GARBAGE in the environment):
 * what connections leave behind when they open is not what they hold.
 */
export function collectGarbage() {
  if (process.env['COLLECT_GARBAGE'] === undefined) return;
  const { Bun, gc } = /** @type {{ Bun?: { gc(isSynchronous: boolean): void }, gc?: () => void }} */ (
    globalThis
  );
  setInterval(() => {
    if (Bun === undefined) gc?.();
    else Bun.gc(true);
  }, COLLECT_EVERY).unref();
}

/** The largest message and the largest backlog of a connection, the same for all servers. */
export const MAX_PAYLOAD = 16 * 1024 * 1024;

const [key = '', cert = ''] = [process.env['TLS_KEY_FILE'], process.env['TLS_CERT_FILE']];

/** Paths of the key and the certificate to serve TLS with; undefined: serve without. */
export const tlsFiles = key === '' ? undefined : { key, cert };

/** Replies are to be compressed, each alone. */
export const isDeflating = process.env['DEFLATE'] === '1';
