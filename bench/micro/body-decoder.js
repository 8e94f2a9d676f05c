// @ts-check
/** The decoder of request bodies, and the parser of forms. */

const ROUNDS = 200;
const SIZE = 64 * 1024;

/** @param {number} chunkSize @returns {Buffer} */
function chunkedBody(chunkSize) {
  const chunk = `${chunkSize.toString(16)}\r\n${'x'.repeat(chunkSize)}\r\n`;
  return Buffer.from(`${chunk.repeat(SIZE / chunkSize)}0\r\n\r\n`);
}

/**
 * @param {string} name
 * @param {Buffer} bytes
 * @param {boolean} isChunked
 * @returns {import('../lib/runs/micro-run.js').MicroCase}
 */
function decoding(name, bytes, isChunked) {
  return {
    name,
    unit: 'bodies',
    prepare: async (load) => {
      /** @type {typeof import('../../src/http/body-decoder.ts')} */
      const { BodyDecoder, BodyStatus } = await load('http/body-decoder.js');
      const decoder = new BodyDecoder();
      return () => {
        let received = 0;
        for (let i = 0; i < ROUNDS; i++) {
          decoder.start(isChunked ? -1 : SIZE, isChunked);
          while (decoder.feed(bytes, decoder.consumed, bytes.length) === BodyStatus.DATA);
          received += decoder.received;
        }
        if (received !== ROUNDS * SIZE) throw new Error('a body was refused');
        return ROUNDS;
      };
    },
  };
}

/** @type {import('../lib/runs/micro-run.js').MicroCase} */
const form = {
  name: 'a form of ten fields and a file of 64 KiB',
  unit: 'forms',
  prepare: async (load) => {
    /** @type {typeof import('../../src/http/multipart.ts')} */
    const { parseMultipart } = await load('http/multipart.js');
    const boundary = '----WebKitFormBoundary7MA4YWxkTrZu0gW';
    /** @param {string} more @param {string} data */
    const part = (more, data) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="a"${more}\r\n\r\n${data}\r\n`;
    const file = part('; filename="a.txt"\r\nContent-Type: text/plain', 'line\r\n'.repeat(SIZE / 6));
    const body = Buffer.from(`${part('', 'value').repeat(10)}${file}--${boundary}--\r\n`);
    return () => {
      let parts = 0;
      for (let i = 0; i < 20; i++) {
        parts += parseMultipart(body, `multipart/form-data; boundary=${boundary}`)?.length ?? 0;
      }
      if (parts !== 220) throw new Error('a form was refused');
      return 20;
    };
  },
};

/** @type {import('../lib/runs/micro-run.js').MicroSuite} */
export default {
  name: 'body-decoder',
  title: 'HTTP request bodies',
  cases: [
    decoding('64 KiB with a length', Buffer.alloc(SIZE), false),
    decoding('64 KiB in chunks of 4 KiB', chunkedBody(4096), true),
    decoding('64 KiB in chunks of 16 bytes', chunkedBody(16), true),
    form,
  ],
};
