import { describe, expect, it } from 'vitest';
import { FIN, RSV1 } from '../../../src/protocol/frame-header.ts';
import { Opcode } from '../../../src/protocol/opcode.ts';
import { Sender, type TextPort } from '../../../src/protocol/sender.ts';
import { keyNumber, textPort } from '../../support/protocol/endpoint.ts';
import {
  asciiPattern,
  bytesOf,
  concat,
  frameBytes,
  hex,
  type MaskKey,
  pattern,
  SAMPLE_KEY,
  text,
} from '../../support/protocol/frame-bytes.ts';
import { readFrames } from '../../support/protocol/frame-reader.ts';
import { MemoryOutput } from '../../support/protocol/memory-output.ts';

const ROLES = ['server', 'client'] as const;
const BOUNDARIES = [0, 1, 2, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537];

function setUp(role: 'server' | 'client', keys: readonly MaskKey[] = [SAMPLE_KEY], port = textPort) {
  let next = 0;
  const sender = new Sender(role, port, () => keyNumber(keys[next++ % keys.length]!));
  return { sender, output: new MemoryOutput(), key: role === 'client' ? keys[0]! : null };
}

describe.each(ROLES)('Sender in the %s role', (role) => {
  it.each(BOUNDARIES)('sends %d bytes in one frame, written once', (length) => {
    const { sender, output, key } = setUp(role);
    const payload = pattern(length);
    const wanted = frameBytes({ opcode: 2, payload }, key);
    expect(sender.bytes(output, FIN | Opcode.BINARY, payload)).toBe(wanted.length);
    expect(output.commits).toBe(1);
    expect(output.largest).toBe(wanted.length);
    expect(Buffer.compare(output.sent(), wanted)).toBe(0);
    expect(Buffer.compare(payload, pattern(length))).toBe(0);
  });

  it.each([0, 1, 40, 41, 42, 43, ...BOUNDARIES.slice(3)])('sends a text of %d ASCII characters', (length) => {
    const { sender, output, key } = setUp(role);
    const message = asciiPattern(length);
    const wanted = frameBytes(text(message), key);
    expect(sender.text(output, FIN | Opcode.TEXT, message)).toBe(wanted.length);
    expect(output.commits).toBe(1);
    expect(Buffer.compare(output.sent(), wanted)).toBe(0);
  });

  it('sends every kind of text of every length around the bounds of the short form', () => {
    for (const character of ['a', '\x7f', 'é', '\u0080', '€', '\uffff', '𝒳', '\ud800', '\udc00']) {
      for (const lead of ['', 'x', 'x'.repeat(39)]) {
        for (let count = 0; count <= 64; count++) {
          const { sender, output, key } = setUp(role);
          const message = lead + character.repeat(count);
          const wanted = frameBytes(text(Buffer.from(message)), key);
          expect(sender.text(output, FIN | Opcode.TEXT, message)).toBe(wanted.length);
          if (Buffer.compare(output.sent(), wanted) !== 0) expect.fail(JSON.stringify(message));
        }
      }
    }
  });

  it('sends a lone surrogate as U+FFFD, short text or long', () => {
    for (const filler of ['', 'x'.repeat(100)]) {
      const { sender, output } = setUp(role);
      sender.text(output, FIN | Opcode.TEXT, `a\ud800${filler}`);
      expect(readFrames(output.sent())[0]?.payload).toEqual(concat(hex('61efbfbd'), bytesOf(filler)));
    }
  });

  it('chooses the header by the bytes of the text, not by its characters', () => {
    for (const [message, bytes] of [
      ['€'.repeat(41), 123],
      ['€'.repeat(42), 126],
      [`${'é'.repeat(62)}a`, 125],
      ['é'.repeat(63), 126],
      ['€'.repeat(21845), 65535],
      [`${'€'.repeat(21845)}a`, 65536],
    ] as const) {
      const { sender, output, key } = setUp(role);
      sender.text(output, FIN | Opcode.TEXT, message);
      expect(Buffer.compare(output.sent(), frameBytes(text(message), key))).toBe(0);
      expect(readFrames(frameBytes(text(message), key))[0]?.payload.length).toBe(bytes);
    }
  });

  it('writes the first header byte as it is given', () => {
    for (const firstByte of [
      FIN | RSV1 | Opcode.TEXT,
      Opcode.BINARY,
      Opcode.CONTINUATION,
      FIN | Opcode.PING,
    ]) {
      const { sender, output } = setUp(role);
      sender.bytes(output, firstByte, pattern(3));
      sender.text(output, firstByte, 'abc');
      sender.text(output, firstByte, 'ü'.repeat(50));
      for (const frame of readFrames(output.sent())) {
        expect((frame.fin ? FIN : 0) + frame.rsv * 16 + frame.opcode).toBe(firstByte);
      }
    }
  });

  it('sends frames back to back', () => {
    const { sender, output } = setUp(role);
    sender.text(output, FIN | Opcode.TEXT, 'one');
    sender.bytes(output, FIN | Opcode.BINARY, pattern(200));
    sender.text(output, FIN | Opcode.TEXT, 'drei€');
    const payloads = readFrames(output.sent()).map(({ payload }) => payload);
    expect(payloads).toEqual([bytesOf('one'), pattern(200), bytesOf('drei€')]);
  });

  it('leaves short ASCII to its own loop and asks the port about nothing else', () => {
    const calls: string[] = [];
    const port: TextPort = {
      byteLength: (message) => {
        calls.push(`length ${message.length}`);
        return textPort.byteLength(message);
      },
      write: (bytes, message, position) => {
        calls.push(`write ${message.length}`);
        return textPort.write(bytes, message, position);
      },
    };
    const { sender, output } = setUp(role, [SAMPLE_KEY], port);
    sender.text(output, FIN | Opcode.TEXT, 'a'.repeat(41));
    expect(calls).toEqual([]);
    sender.text(output, FIN | Opcode.TEXT, 'aé');
    expect(calls).toEqual(['write 2']);
    sender.text(output, FIN | Opcode.TEXT, 'a'.repeat(42));
    expect(calls).toEqual(['write 2', 'length 42', 'write 42']);
  });
});

describe('Sender and masking', () => {
  it('never masks as a server and never asks for a key', () => {
    const sender = new Sender('server', textPort, () => {
      throw new Error('asked for a key');
    });
    const output = new MemoryOutput();
    sender.text(output, FIN | Opcode.TEXT, 'Hello');
    sender.bytes(output, FIN | Opcode.PING, bytesOf('Hello'));
    expect(output.sent()).toEqual(hex('810548656c6c6f 890548656c6c6f'));
  });

  it('takes a fresh key for every frame as a client', () => {
    const keys: MaskKey[] = [SAMPLE_KEY, [0, 0, 0, 0], [0xff, 0x80, 0, 1], [1, 2, 3, 0xff]];
    const { sender, output } = setUp('client', keys);
    sender.text(output, FIN | Opcode.TEXT, 'Hello');
    sender.bytes(output, FIN | Opcode.BINARY, pattern(130));
    sender.text(output, FIN | Opcode.TEXT, 'é'.repeat(100));
    sender.bytes(output, FIN | Opcode.PONG, pattern(0));
    const frames = readFrames(output.sent());
    expect(frames.map(({ key }) => key)).toEqual(keys);
    expect(frames.map(({ payload }) => payload)).toEqual([
      bytesOf('Hello'),
      pattern(130),
      bytesOf('é'.repeat(100)),
      pattern(0),
    ]);
  });

  it('masks the example of RFC 6455 §5.7', () => {
    const { sender, output } = setUp('client');
    sender.text(output, FIN | Opcode.TEXT, 'Hello');
    expect(output.sent()).toEqual(hex('818537fa213d7f9f4d5158'));
  });

  it('cannot be a client without a source of keys', () => {
    const sender = new Sender('client', textPort);
    expect(() => sender.bytes(new MemoryOutput(), FIN | Opcode.PING, pattern(1))).toThrow('maskKey');
  });
});
