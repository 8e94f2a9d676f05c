// @ts-check
/** The sender: messages become frames in memory that would go to the kernel as it is. */

const MEMORY = 256 * 1024;
const BINARY = 0x82;
const TEXT = 0x81;
const HEADER = 14;

/** @typedef {import('../../src/protocol/sender.ts').Sender} Sender */

/** An Output over one block of memory, which starts anew when it is full. */
class BlockOutput {
  bytes = Buffer.alloc(MEMORY);
  blocked = false;
  position = 0;

  /** @param {number} size */
  reserve(size) {
    if (this.position + size > MEMORY) this.position = 0;
    return this.position;
  }

  /** @param {number} size */
  commit(size) {
    this.position += size;
  }
}

const textPort = {
  byteLength: (/** @type {string} */ text) => Buffer.byteLength(text),
  write: (/** @type {Uint8Array} */ bytes, /** @type {string} */ text, /** @type {number} */ position) =>
    /** @type {Buffer} */ (bytes).write(text, position),
};

/**
 * @param {string} name
 * @param {'server' | 'client'} role
 * @param {number} length of the payload
 * @param {(sender: Sender, output: BlockOutput) => number} send returns the bytes on the wire
 * @returns {import('../lib/runs/micro-run.js').MicroCase}
 */
function sending(name, role, length, send) {
  const rounds = Math.max(1, Math.floor(MEMORY / (length + HEADER)));
  return {
    name,
    unit: 'frames',
    prepare: async (load) => {
      /** @type {typeof import('../../src/protocol/sender.ts')} */
      const module = await load('protocol/sender.js');
      let key = 0x5ac3_196d;
      const sender = new module.Sender(role, textPort, () => (key = Math.imul(key, 0x9e37_79b1)));
      const output = new BlockOutput();
      return () => {
        let size = 0;
        for (let i = 0; i < rounds; i++) size += send(sender, output);
        if (size < rounds * length) throw new Error('a payload is missing');
        return rounds;
      };
    },
  };
}

const small = Buffer.alloc(20, 'payload');
const large = Buffer.alloc(16 * 1024, 'payload');
const ascii = 'The quick brown fox.';
const longText = 'Übung macht den Meister. '.repeat(40);

/** @type {import('../lib/runs/micro-run.js').MicroSuite} */
export default {
  name: 'sender',
  title: 'Sender: messages to frames',
  cases: [
    sending('binary, 20 B', 'server', 20, (sender, output) => sender.bytes(output, BINARY, small)),
    sending('binary, 16 KiB', 'server', 16_384, (sender, output) => sender.bytes(output, BINARY, large)),
    sending('text, 20 characters', 'server', 20, (sender, output) => sender.text(output, TEXT, ascii)),
    sending('text, 1,000 characters', 'server', 1000, (sender, output) =>
      sender.text(output, TEXT, longText),
    ),
    sending('masked, 20 B', 'client', 20, (sender, output) => sender.bytes(output, BINARY, small)),
    sending('masked, 16 KiB', 'client', 16_384, (sender, output) => sender.bytes(output, BINARY, large)),
  ],
};
