import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  ownCopy,
  type RecognizedString,
  textOf,
  textOrBytes,
  topicName,
} from '../../../src/serving/recognized-string.ts';

const memory = Buffer.from('..grüße..');
const VIEW = new Uint8Array(memory.buffer, memory.byteOffset + 2, memory.length - 4);

describe('bytesOf', () => {
  it('takes the part of the memory that a view shows, without a copy', () => {
    const view = new DataView(VIEW.buffer, VIEW.byteOffset, VIEW.byteLength);
    const bytes = bytesOf(view);
    expect(Buffer.from(bytes).toString()).toBe('grüße');
    expect([bytes.buffer, bytes.byteOffset]).toEqual([VIEW.buffer, VIEW.byteOffset]);
    expect(bytesOf(VIEW)).toBe(VIEW);
    expect(bytesOf(new Uint16Array([0x4241]))).toEqual(Uint8Array.of(0x41, 0x42));
  });

  it('takes whole buffers, shared ones too', () => {
    for (const buffer of [new ArrayBuffer(3), new SharedArrayBuffer(3)]) {
      expect(bytesOf(buffer).buffer).toBe(buffer);
      expect(bytesOf(buffer)).toHaveLength(3);
    }
  });

  it('encodes text as UTF-8, a lone surrogate as U+FFFD', () => {
    for (const text of ['', 'ascii', 'grüße', '€ 😀', 'x'.repeat(5000)]) {
      expect(Buffer.from(bytesOf(text)).toString()).toBe(text);
    }
    expect(Buffer.from(bytesOf('a\ud800b')).toString('hex')).toBe('61efbfbd62');
  });

  it('takes undefined for an empty text, and refuses all else', () => {
    expect(bytesOf(undefined as unknown as RecognizedString)).toHaveLength(0);
    for (const value of [null, 7, {}, [], true]) {
      expect(() => bytesOf(value as unknown as RecognizedString)).toThrow(
        /^Text and data can only be passed by String, ArrayBuffer or TypedArray\. Got /,
      );
    }
  });
});

it('textOf and topicName give the same text for all shapes', () => {
  const copy = ownCopy(VIEW);
  for (const shape of ['grüße', VIEW, copy, new DataView(copy)]) {
    expect([textOf(shape), topicName(shape)]).toEqual(['grüße', 'grüße']);
  }
});

it('topicName is what comes out of the UTF-8 of the name', () => {
  expect(topicName('a\udc00')).toBe('a\ufffd');
  expect(topicName('😀')).toBe('😀');
  expect(topicName(Uint8Array.of(0x61, 0xff))).toBe('a\ufffd');
});

it('textOrBytes leaves text to be encoded where it is framed', () => {
  expect(textOrBytes('text')).toBe('text');
  expect(textOrBytes(new ArrayBuffer(2))).toEqual(new Uint8Array(2));
});

it('ownCopy shares no memory', () => {
  const copy = ownCopy(VIEW);
  expect(copy.byteLength).toBe(VIEW.length);
  new Uint8Array(copy).fill(0);
  expect(Buffer.from(VIEW).toString()).toBe('grüße');
});
