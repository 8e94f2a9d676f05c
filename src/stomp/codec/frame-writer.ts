import { Escapes, escaped, escapedName, escapesOf } from './escapes.ts';
import { type StompCommand, StompVersion } from './frame.ts';
import type { StompTextPort } from './text-port.ts';

/** Names and values in turns, in the order in which they are written. */
export type HeaderList = readonly string[];

const LF = 0x0a;
const NO_BYTES = new Uint8Array(0);

/** The empty line that is sent when nothing else is (STOMP 1.2, "Heart-beating"). */
export const HEART_BEAT: Uint8Array = Uint8Array.of(LF);

/**
 * A frame in the escapes of its reader's version. A frame with a body gets its `content-length`.
 *
 * @param version null: before CONNECTED
 */
export function encodeFrame(
  port: StompTextPort,
  version: StompVersion | null,
  command: StompCommand,
  headers: HeaderList,
  body: Uint8Array = NO_BYTES,
): Uint8Array {
  const head = command + headerLines(headers, escapesFor(version, command));
  return joined(port, body.length > 0 ? `${head}\ncontent-length:${body.length}\n\n` : `${head}\n\n`, body);
}

function escapesFor(version: StompVersion | null, command: StompCommand): Escapes {
  if (command === 'CONNECT' || command === 'CONNECTED' || version === null) return Escapes.NONE;
  return escapesOf(version);
}

/** Each header behind a line end. */
function headerLines(headers: HeaderList, escapes: Escapes): string {
  let lines = '';
  for (let i = 0; i + 1 < headers.length; i += 2) {
    lines += `\n${escapedName(headers[i]!, escapes)}:${escaped(headers[i + 1]!, escapes)}`;
  }
  return lines;
}

function joined(port: StompTextPort, head: string, body: Uint8Array): Uint8Array {
  const length = port.byteLength(head);
  const bytes = new Uint8Array(length + body.length + 1);
  port.write(bytes, head, 0);
  bytes.set(body, length);
  return bytes;
}

/**
 * SharedMessage: a MESSAGE for many subscribers. What differs between them, `subscription` and `ack`, stands before all
 * else, so the rest is encoded once for each kind of escapes that is asked for.
 */
export class SharedMessage {
  readonly #port: StompTextPort;
  readonly #headers: HeaderList;
  readonly #body: Uint8Array;
  readonly #tails: (Uint8Array | undefined)[] = [undefined, undefined, undefined];
  /** Headers that stand before the tail, each behind a line end, in the escapes of the one reader that it is for. */
  readonly lines: string;

  /** @param headers those that all subscribers get, `destination` and `message-id` among them */
  constructor(port: StompTextPort, headers: HeaderList, body: Uint8Array, lines = '') {
    this.#port = port;
    this.#headers = headers;
    this.#body = body;
    this.lines = lines;
  }

  /**
   * One that was encoded before, and is the same in all versions.
   *
   * @param tail its headers, each behind a line end, an empty line, the body and NUL
   */
  static encoded(port: StompTextPort, tail: Uint8Array, lines: string): SharedMessage {
    const message = new SharedMessage(port, [], NO_BYTES, lines);
    message.#tails.fill(tail);
    return message;
  }

  /** The part of the frame that is the same for all subscribers of a version. */
  tail(version: StompVersion): Uint8Array {
    const escapes = escapesOf(version);
    const known = this.#tails[escapes];
    if (known !== undefined) return known;
    // Before what a publisher named: of names that are the same when spaces around them are not looked at, clients take
    // the first, too.
    const head = `\ncontent-length:${this.#body.length}${headerLines(this.#headers, escapes)}\n\n`;
    const tail = joined(this.#port, head, this.#body);
    this.#tails[escapes] = tail;
    return tail;
  }

  /**
   * The part of the frame before it.
   *
   * @param delivery what an acknowledgement is to name; undefined: none is wanted, and the message has its own id
   */
  static head(version: StompVersion, subscription: string | undefined, delivery?: string): string {
    const escapes = escapesOf(version);
    let head = 'MESSAGE';
    if (subscription !== undefined) head += `\nsubscription:${escaped(subscription, escapes)}`;
    if (delivery === undefined) return head;
    head += `\nmessage-id:${escaped(delivery, escapes)}`;
    // Clients of 1.0 and 1.1 acknowledge by the message's id.
    if (version === StompVersion.V1_2) head += `\nack:${escaped(delivery, escapes)}`;
    return head;
  }
}
