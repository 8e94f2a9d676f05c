import { StompError, type StompVersion } from '../../../../src/stomp/codec/frame.ts';
import { type FrameLimits, FrameParser } from '../../../../src/stomp/codec/frame-parser.ts';
import type { StompTextPort } from '../../../../src/stomp/codec/text-port.ts';
import type { Reading } from './reference-frames.ts';

export const LIMITS: FrameLimits = {
  maxHeaders: 64,
  maxLineLength: 8192,
  maxBodyLength: 65_536,
  maxFrameLength: 1024 * 1024,
};

export const textPort: StompTextPort = {
  latin1: (bytes, start, end) => Buffer.from(bytes.buffer, bytes.byteOffset).toString('latin1', start, end),
  byteLength: (text) => Buffer.byteLength(text),
  write: (bytes, text, position) => Buffer.from(bytes.buffer, bytes.byteOffset).write(text, position),
};

/** What the parser makes of bytes that come in these chunks. The memory of each is written over when it was read. */
export function readFrames(
  chunks: readonly Uint8Array[],
  version: StompVersion | null,
  limits: FrameLimits = LIMITS,
  side: 'client' | 'server' = 'client',
): Reading & { error?: StompError } {
  const frames: Reading['frames'] = [];
  const parser = new FrameParser(side, limits, textPort, {
    onFrame: ({ command, headers, body }) => {
      const list = Array.from({ length: headers.size }, (_, i): [string, string] => [
        headers.nameAt(i),
        headers.valueAt(i),
      ]);
      frames.push({ command, headers: list, body: Buffer.from(body).toString('latin1') });
    },
  });
  parser.version = version;
  try {
    for (const chunk of chunks) {
      const copy = Uint8Array.from(chunk);
      const taken = parser.read(copy);
      if (taken !== chunk.length) throw new Error(`took ${taken} of ${chunk.length} bytes`);
      copy.fill(0xee);
    }
  } catch (error) {
    if (!(error instanceof StompError)) throw error;
    return { frames, fault: error.fault, error };
  }
  return { frames, fault: '' };
}
