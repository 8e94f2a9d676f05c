// @ts-check
/** The parser of HTTP/1.1 request heads: whole in one chunk, and cut in two. */

const HEADS = {
  'GET, 2 header lines': ['GET / HTTP/1.1', 'Host: localhost:9001', 'Connection: keep-alive'],
  'WebSocket handshake of a browser': [
    'GET /chat?room=1 HTTP/1.1',
    'Host: example.com',
    'Connection: Upgrade',
    'Pragma: no-cache',
    'Cache-Control: no-cache',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
    'Upgrade: websocket',
    'Origin: https://example.com',
    'Sec-WebSocket-Version: 13',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-GB,en;q=0.9',
    'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
  ],
};

const ROUNDS = 1000;

/**
 * @param {keyof typeof HEADS} kind
 * @param {boolean} isCut into two pieces; those are not the head that was read before
 * @param {boolean} [isSame] as the one before; otherwise none of 16 in a row is like another
 * @returns {import('../lib/runs/micro-run.js').MicroCase}
 */
function parsing(kind, isCut, isSame = false) {
  return {
    name: `${kind}${isCut ? ', cut in two' : ''}${isSame ? ', the same again' : ''}`,
    unit: 'heads',
    prepare: async (load) => {
      /** @type {typeof import('../../src/http/request-parser.ts')} */
      const { ParseStatus, RequestParser } = await load('http/request-parser.js');
      const text = `${HEADS[kind].join('\r\n')}\r\n\r\n`;
      const heads = Array.from('abcdefghijklmnop', (name) =>
        Buffer.from(
          isSame ? text : text.replace('localhost', `localhos${name}`).replace('example', `exampl${name}`),
        ),
      );
      const size = text.length;
      const middle = size >> 1;
      const latin1 = {
        latin1: (/** @type {Uint8Array} */ text, /** @type {number} */ start, /** @type {number} */ end) =>
          /** @type {Buffer} */ (text).toString('latin1', start, end),
      };
      const parser = new RequestParser({ latin1 });
      return () => {
        let count = 0;
        for (let i = 0; i < ROUNDS; i++) {
          const bytes = /** @type {Buffer} */ (heads[i & 15]);
          if (isCut) parser.feed(bytes, 0, middle);
          if (parser.feed(bytes, isCut ? middle : 0, size) === ParseStatus.COMPLETE) count++;
          parser.reset();
        }
        if (count !== ROUNDS) throw new Error('a head was refused');
        return count;
      };
    },
  };
}

/** @type {import('../lib/runs/micro-run.js').MicroSuite} */
export default {
  name: 'request-parser',
  title: 'HTTP request heads',
  cases: [
    parsing('GET, 2 header lines', false),
    parsing('GET, 2 header lines', false, true),
    parsing('WebSocket handshake of a browser', false),
    parsing('WebSocket handshake of a browser', true),
  ],
};
