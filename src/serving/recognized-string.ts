import { described } from '../caller-values.ts';
import { textPort } from '../net/native-ports.ts';

/** What can be sent: text, or bytes in any of the usual shapes. */
export type RecognizedString = string | ArrayBuffer | SharedArrayBuffer | ArrayBufferView;

const NO_BYTES = new Uint8Array(0);

/** The bytes of a message, without a copy unless it is text. Undefined is an empty text, as in uWebSockets.js. */
export function bytesOf(message: RecognizedString): Uint8Array {
  if (message instanceof Uint8Array) return message;
  if (typeof message === 'string') return textBytes(message);
  if (message instanceof ArrayBuffer || message instanceof SharedArrayBuffer) return new Uint8Array(message);
  if (ArrayBuffer.isView(message)) {
    return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  }
  if (message === undefined) return NO_BYTES;
  throw new TypeError(
    `Text and data can only be passed by String, ArrayBuffer or TypedArray. Got ${described(message)}.`,
  );
}

/** The text of a topic or a name, which uWebSockets.js also takes as bytes. */
export function textOf(text: RecognizedString): string {
  if (typeof text === 'string') return text;
  const bytes = bytesOf(text);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

/**
 * The name of a topic. Names cross threads as UTF-8, which has no lone surrogates: they become U+FFFD here, so
 * that a name is the same everywhere.
 */
export function topicName(topic: RecognizedString): string {
  const name = textOf(topic);
  return isWellFormed(name) ? name : Buffer.from(name).toString();
}

function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** A message as text, which is encoded where it is framed, or as bytes. */
export function textOrBytes(message: RecognizedString): string | Uint8Array {
  return typeof message === 'string' ? message : bytesOf(message);
}

/** A copy that its receiver may keep. */
export function ownCopy(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.byteLength);
  new Uint8Array(copy).set(bytes);
  return copy;
}

function textBytes(text: string): Uint8Array {
  const bytes = Buffer.allocUnsafe(textPort.byteLength(text));
  textPort.write(bytes, text, 0);
  return bytes;
}
