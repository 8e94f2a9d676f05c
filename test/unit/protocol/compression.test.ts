import { describe, expect, it } from 'vitest';
import { Compression, compressionSettings, isCompression } from '../../../src/protocol/compression.ts';

describe('The compression option', () => {
  it('has the numbers of uWebSockets.js', () => {
    expect(Compression).toEqual({
      DISABLED: 0,
      SHARED_COMPRESSOR: 1,
      DEDICATED_COMPRESSOR_3KB: 0x91,
      DEDICATED_COMPRESSOR_4KB: 0x92,
      DEDICATED_COMPRESSOR_8KB: 0xa3,
      DEDICATED_COMPRESSOR_16KB: 0xb4,
      DEDICATED_COMPRESSOR_32KB: 0xc5,
      DEDICATED_COMPRESSOR_64KB: 0xd6,
      DEDICATED_COMPRESSOR_128KB: 0xe7,
      DEDICATED_COMPRESSOR_256KB: 0xf8,
      DEDICATED_COMPRESSOR: 0xf8,
      SHARED_DECOMPRESSOR: 0x100,
      DEDICATED_DECOMPRESSOR_512B: 0x900,
      DEDICATED_DECOMPRESSOR_1KB: 0xa00,
      DEDICATED_DECOMPRESSOR_2KB: 0xb00,
      DEDICATED_DECOMPRESSOR_4KB: 0xc00,
      DEDICATED_DECOMPRESSOR_8KB: 0xd00,
      DEDICATED_DECOMPRESSOR_16KB: 0xe00,
      DEDICATED_DECOMPRESSOR_32KB: 0xf00,
      DEDICATED_DECOMPRESSOR: 0xf00,
    });
  });

  it.each(Object.entries(Compression).filter(([name]) => name.startsWith('DEDICATED_COMPRESSOR_')))(
    '%s keeps history in the memory its name says',
    (name, value) => {
      const { windowBits, memLevel, keepsHistory, compresses } = compressionSettings(value)!;
      const size = 2 ** (windowBits + 2) + 2 ** (memLevel + 9);
      expect(`DEDICATED_COMPRESSOR_${size / 1024}KB`).toBe(name);
      expect([keepsHistory, compresses]).toEqual([true, true]);
    },
  );

  it.each(Object.entries(Compression).filter(([name]) => name.startsWith('DEDICATED_DECOMPRESSOR_')))(
    '%s keeps a window of the size its name says',
    (name, value) => {
      const { peerWindowBits, keepsPeerHistory, compresses } = compressionSettings(value)!;
      const size = 2 ** peerWindowBits;
      expect(`DEDICATED_DECOMPRESSOR_${size < 1024 ? `${size}B` : `${size / 1024}KB`}`).toBe(name);
      expect([keepsPeerHistory, compresses]).toEqual([true, false]);
    },
  );

  it('means no compression when it is DISABLED, and no history when it is SHARED', () => {
    expect(compressionSettings(Compression.DISABLED)).toBeNull();
    const both = Compression.SHARED_COMPRESSOR | Compression.SHARED_DECOMPRESSOR;
    for (const value of [Compression.SHARED_COMPRESSOR, both]) {
      expect(compressionSettings(value)).toMatchObject({
        compresses: true,
        keepsHistory: false,
        keepsPeerHistory: false,
      });
    }
  });

  it('takes a compressor, a decompressor, or one of each, and nothing else', () => {
    const values: number[] = Object.values(Compression);
    const valid = new Set(values);
    const compressors = values.filter((value) => value < 256);
    const decompressors = values.filter((value) => value >= 256);
    for (const low of compressors) for (const high of decompressors) valid.add(low | high);
    for (let value = -10; value < 0x11000; value++) {
      if (isCompression(value) !== valid.has(value)) expect.fail(`${value} is judged wrongly`);
    }
    for (const value of [0.5, Number.NaN, '1', null, undefined, 2 ** 32 + 1, true]) {
      expect(isCompression(value)).toBe(false);
    }
  });
});
