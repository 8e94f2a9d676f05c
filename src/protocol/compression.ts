/**
 * The `compression` option of uWebSockets.js: a number with a compressor in its low byte and a decompressor in
 * the byte above, put together with `|`.
 *
 *     SHARED          one context a thread, no memory between messages (no context takeover)
 *     DEDICATED_*     a context a connection, which keeps the window named: 2^windowBits bytes of history
 *
 * The names give the memory of a context in zlib's textbook: 2^(windowBits + 2) + 2^(memLevel + 9) bytes for a
 * compressor, 2^windowBits for a decompressor. docs/compression.md has what they cost in fact.
 */
export const Compression = {
  DISABLED: 0,
  SHARED_COMPRESSOR: 1,
  DEDICATED_COMPRESSOR_3KB: 145,
  DEDICATED_COMPRESSOR_4KB: 146,
  DEDICATED_COMPRESSOR_8KB: 163,
  DEDICATED_COMPRESSOR_16KB: 180,
  DEDICATED_COMPRESSOR_32KB: 197,
  DEDICATED_COMPRESSOR_64KB: 214,
  DEDICATED_COMPRESSOR_128KB: 231,
  DEDICATED_COMPRESSOR_256KB: 248,
  DEDICATED_COMPRESSOR: 248,
  SHARED_DECOMPRESSOR: 1 << 8,
  DEDICATED_DECOMPRESSOR_512B: 9 << 8,
  DEDICATED_DECOMPRESSOR_1KB: 10 << 8,
  DEDICATED_DECOMPRESSOR_2KB: 11 << 8,
  DEDICATED_DECOMPRESSOR_4KB: 12 << 8,
  DEDICATED_DECOMPRESSOR_8KB: 13 << 8,
  DEDICATED_DECOMPRESSOR_16KB: 14 << 8,
  DEDICATED_DECOMPRESSOR_32KB: 15 << 8,
  DEDICATED_DECOMPRESSOR: 15 << 8,
} as const;

const COMPRESSORS: ReadonlySet<number> = new Set(Object.values(Compression).filter((value) => value < 256));
const DECOMPRESSORS: ReadonlySet<number> = new Set(
  Object.values(Compression).filter((value) => value >= 256),
).add(0);

/** Whether `value` is DISABLED, a compressor, a decompressor, or one of each. */
export function isCompression(value: unknown): value is number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffff) return false;
  return COMPRESSORS.has(value & 0xff) && DECOMPRESSORS.has(value & 0xff00);
}

/** What one end does with DEFLATE, of its own choice; what it then does is agreed with the peer. */
export interface CompressionSettings {
  /** It compresses messages. False: it only takes compressed ones. */
  readonly compresses: boolean;
  /** Its compressor keeps history from one message to the next. */
  readonly keepsHistory: boolean;
  /** Window of its compressor when it keeps history: 2^9 to 2^15 bytes. */
  readonly windowBits: number;
  /** Memory of its compressor when it keeps history, as zlib counts it: 1 to 9. */
  readonly memLevel: number;
  /** It keeps history of what the peer sends. */
  readonly keepsPeerHistory: boolean;
  /** How much of it: 2^9 to 2^15 bytes. */
  readonly peerWindowBits: number;
}

const MAX_WINDOW_BITS = 15;
const MAX_MEM_LEVEL = 8;

/** What a number of the `compression` option means; null: DISABLED. Without a decompressor that is shared. */
export function compressionSettings(compression: number): CompressionSettings | null {
  if (compression === Compression.DISABLED) return null;
  const compressor = compression & 0xff;
  const peerWindowBits = compression >> 8;
  const isDedicated = compressor > Compression.SHARED_COMPRESSOR;
  const keepsPeerHistory = peerWindowBits > Compression.SHARED_DECOMPRESSOR >> 8;
  return {
    compresses: compressor !== 0,
    keepsHistory: isDedicated,
    windowBits: isDedicated ? compressor >> 4 : MAX_WINDOW_BITS,
    memLevel: isDedicated ? compressor & 0x0f : MAX_MEM_LEVEL,
    keepsPeerHistory,
    peerWindowBits: keepsPeerHistory ? peerWindowBits : MAX_WINDOW_BITS,
  };
}
