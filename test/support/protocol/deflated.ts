import { deflateRawSync, constants as zlib } from 'node:zlib';
import { hex } from './frame-bytes.ts';

/** The mark of a compressed message, for its first frame (RFC 7692 §6). */
export const RSV1 = { rsv: 4 };

/** 'Hello', compressed (RFC 7692 §7.2.3.1). */
export const HELLO: Uint8Array = hex('f2 48 cd c9 c9 07 00');

/** The payload of a compressed message (RFC 7692 §7.2.1), made by zlib. */
export function deflated(message: string | Uint8Array): Uint8Array {
  return new Uint8Array(deflateRawSync(message, { finishFlush: zlib.Z_SYNC_FLUSH }).subarray(0, -4));
}
