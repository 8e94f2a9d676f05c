import type { StompHeaders } from '../codec/frame.ts';

/** Headers of SEND that are not the message's: they are the frame's, or are made by the broker. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'destination',
  'content-length',
  'receipt',
  'transaction',
  'message-id',
  'subscription',
  'ack',
  'redelivered',
  'delivery-count',
]);

/** The headers of SEND that its message keeps, repeated ones too, as names and values in turns. */
export function forwardedHeaders(headers: StompHeaders): string[] {
  const list: string[] = [];
  for (let i = 0; i < headers.size; i++) {
    const name = headers.nameAt(i);
    if (!OWN_HEADERS.has(name)) list.push(name, headers.valueAt(i));
  }
  return list;
}

/** The same of a message of the application. */
export function forwardedList(headers: readonly string[]): string[] {
  const list: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!OWN_HEADERS.has(headers[i]!)) list.push(headers[i]!, headers[i + 1]!);
  }
  return list;
}
