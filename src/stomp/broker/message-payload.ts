import { Buffer } from 'node:buffer';
import { Escapes, escaped, escapedName } from '../codec/escapes.ts';
import { type HeaderList, SharedMessage } from '../codec/frame-writer.ts';
import type { StompTextPort } from '../codec/text-port.ts';
import { RecordBuffer, RecordReader } from './record-buffer.ts';

/**
 * A message as threads tell it each other, and as a queue keeps it. Mostly no header needs escapes: then the end of its
 * MESSAGE frame is the same in all versions of the protocol, and is kept as it goes to the client. Otherwise headers and
 * body are kept apart.
 *
 *     [1] end of the frame       [0] count 4, names and values, body
 */
const Form = { APART: 0, ENCODED: 1 } as const;

/** Memory in which payloads are made; each is copied out. */
const buffer = new RecordBuffer();

/** @param headers those that all its readers get; what differs between them is not among them */
export function encodePayload(port: StompTextPort, headers: HeaderList, body: Uint8Array): Uint8Array {
  if (!headers.every(isPlain)) return apart(headers, body);
  // The length stands before what a publisher named, as in SharedMessage.
  let lines = `\ncontent-length:${body.length}`;
  for (let i = 0; i + 1 < headers.length; i += 2) lines += `\n${headers[i]}:${headers[i + 1]}`;
  lines += '\n\n';
  const length = port.byteLength(lines);
  const payload = new Uint8Array(1 + length + body.length + 1);
  payload[0] = Form.ENCODED;
  port.write(payload, lines, 1);
  payload.set(body, 1 + length);
  return payload;
}

/** The same payload with more headers before the others. */
export function withHeaders(payload: Uint8Array, headers: HeaderList): Uint8Array {
  if (payload[0] === Form.APART) {
    const { headers: others, body } = read(payload);
    return apart([...headers, ...others], body);
  }
  let lines = '';
  for (let i = 0; i + 1 < headers.length; i += 2)
    lines += `\n${escaped(headers[i]!, Escapes.V1_2)}:${escaped(headers[i + 1]!, Escapes.V1_2)}`;
  const bytes = Buffer.from(lines);
  const longer = new Uint8Array(payload.length + bytes.length);
  longer[0] = Form.ENCODED;
  longer.set(bytes, 1);
  longer.set(payload.subarray(1), 1 + bytes.length);
  return longer;
}

/**
 * The message that a payload is of.
 *
 * @param lines further headers, in the escapes of its reader
 */
export function messageOf(port: StompTextPort, payload: Uint8Array, lines: string): SharedMessage {
  if (payload[0] === Form.ENCODED) return SharedMessage.encoded(port, payload.subarray(1), lines);
  const { headers, body } = read(payload);
  return new SharedMessage(port, headers, body, lines);
}

function apart(headers: HeaderList, body: Uint8Array): Uint8Array {
  buffer.clear();
  buffer.uint8(Form.APART);
  buffer.uint32(headers.length);
  for (const text of headers) buffer.text(text);
  buffer.bytes(body);
  return new Uint8Array(buffer.view);
}

function read(payload: Uint8Array): { headers: string[]; body: Uint8Array } {
  const reader = new RecordReader(payload.subarray(1));
  const headers = Array.from({ length: reader.uint32() }, () => reader.text());
  return { headers, body: reader.bytes() };
}

/** Whether it is written the same in all versions. */
function isPlain(text: string): boolean {
  return escaped(text, Escapes.V1_2) === text && escapedName(text, Escapes.NONE) === text;
}
