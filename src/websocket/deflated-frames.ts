import { textPort } from '../net/native-ports.ts';
import { allocate } from '../net/write-memory.ts';
import { FIN, RSV1 } from '../protocol/frame-header.ts';
import { Opcode } from '../protocol/opcode.ts';
import { bytesOf, type RecognizedString } from '../serving/recognized-string.ts';
import type { Session } from './session.ts';

/** Texts that surely fit are encoded here on their way to the compressor. */
const SCRATCH_SIZE = 64 * 1024;
let scratch: Buffer | null = null;

/**
 * Sends a frame that the user wants compressed, or a further fragment of a message that is. `firstByte` is that
 * of the plain frame.
 */
export function sendDeflated(session: Session, firstByte: number, message: RecognizedString): void {
  const { transport, route } = session;
  const { sender } = route.protocol;
  const deflate = session.deflate!;
  const isWhole = (firstByte & FIN) !== 0 && (firstByte & 0x0f) !== Opcode.CONTINUATION;
  if (!isWhole) {
    const isFirst = (firstByte & 0x0f) !== Opcode.CONTINUATION;
    const isLast = (firstByte & FIN) !== 0;
    const fragment = deflate.deflateFragment(encoded(message), isLast);
    session.openFragments().isDeflating = !isLast;
    sender.bytes(transport, isFirst ? firstByte | RSV1 : firstByte, fragment);
    return;
  }
  const { compressionThreshold } = route.behavior;
  if (typeof message === 'string' && message.length * 3 < compressionThreshold) {
    sender.text(transport, firstByte, message);
    return;
  }
  const payload = encoded(message);
  const deflated = payload.length < compressionThreshold ? null : deflate.deflate(payload);
  if (deflated === null) sender.bytes(transport, firstByte, payload);
  else sender.bytes(transport, firstByte | RSV1, deflated);
}

/** The bytes of a message, valid until the next call. */
function encoded(message: RecognizedString): Uint8Array {
  if (typeof message !== 'string') return bytesOf(message);
  if (message.length * 3 > SCRATCH_SIZE) return Buffer.from(message);
  scratch ??= Buffer.from(allocate(SCRATCH_SIZE).buffer);
  return scratch.subarray(0, textPort.write(scratch, message, 0));
}
