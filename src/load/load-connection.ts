import type { Socket } from 'node:net';
import { printable } from '../printable.ts';
import { checkServerResponse, clientRequest, type ExpectedResponse } from '../protocol/client-handshake.ts';
import { Connection, type ConnectionContext, ConnectionState } from '../protocol/connection.ts';
import { parseExtensions } from '../protocol/extension.ts';
import { FRAME_HEADROOM } from '../protocol/frame-parser.ts';
import { acceptValue } from '../protocol/handshake.ts';
import { checkDeflateAnswer } from '../protocol/permessage-deflate.ts';
import type { Output } from '../protocol/sender.ts';
import { openSocket, type SocketEvents } from './client-socket.ts';
import { handshakeKey, sha1Port } from './native-ports.ts';
import type { BenchPlan } from './options.ts';
import { MAX_RESPONSE_HEAD, ResponseHead } from './response-head.ts';
import { explainSocketError } from './socket-error.ts';
import { upgradeRequest } from './upgrade-request.ts';
import { DEFLATE_OFFER } from './zlib-port.ts';

/** Every read of every connection of a thread lands here. */
const READ_SIZE = 256 * 1024;
/** More than the longest control frame. */
const CONTROL_SIZE = 256;
/** Bytes that may wait in user space before a connection counts as blocked. */
const BLOCKED = 64 * 1024;
/** How long the server may take to close the TCP connection after the closing handshake, in ms. */
const END_LIMIT = 1000;
/** Bytes of a refusal's body that are shown. */
const SHOWN_BODY = 120;

/** What the connections of a thread share. */
export class LoadContext {
  readonly plan: BenchPlan;
  /** Where the target's name leads. */
  readonly address: string;
  readonly protocol: ConnectionContext;
  /** A read fills it from FRAME_HEADROOM on. */
  readonly bytes = Buffer.allocUnsafeSlow(FRAME_HEADROOM + READ_SIZE);
  readonly readBuffer = this.bytes.subarray(FRAME_HEADROOM);
  /** A control frame while it is written. */
  readonly control = new Uint8Array(CONTROL_SIZE);

  constructor(plan: BenchPlan, address: string, protocol: ConnectionContext) {
    this.plan = plan;
    this.address = address;
    this.protocol = protocol;
  }
}

/** What a connection tells whoever opened it. */
export interface LoadListener {
  /** The handshake is done. */
  onOpen(connection: LoadConnection): void;
  /** Bytes of an open connection, to be given to `connection.receive`, or judged otherwise. */
  onBytes(connection: LoadConnection, bytes: Buffer, start: number, end: number): void;
  /** It is over, once: `reason` says why, in words, or is '' when we have closed it. */
  onEnd(connection: LoadConnection, reason: string): void;
}

const Phase = { CONNECTING: 0, HANDSHAKE: 1, OPEN: 2, CLOSED: 3 } as const;

/** LoadConnection: one WebSocket of the load, from connect to close. */
export class LoadConnection implements SocketEvents, Output {
  readonly #context: LoadContext;
  readonly #listener: LoadListener;
  readonly #socket: Socket;
  /** Frames that are not compared as they come. */
  readonly protocol: Connection;
  /** When it was begun, in ms of `performance.now()`. */
  readonly startedAt: number;
  /** Whatever the listener keeps with it. */
  readonly owner: unknown;
  /** Why it ends, when we know better than the socket. */
  #reason = '';
  #phase: (typeof Phase)[keyof typeof Phase] = Phase.CONNECTING;
  #wasOpen = false;
  #isClosing = false;
  #head = '';
  #expected: ExpectedResponse | null = null;
  /** Output: the frame being written. */
  readonly bytes: Uint8Array;

  constructor(context: LoadContext, listener: LoadListener, owner: unknown) {
    this.#context = context;
    this.#listener = listener;
    this.owner = owner;
    this.bytes = context.control;
    this.protocol = new Connection(context.protocol, this, this);
    this.startedAt = performance.now();
    const { target, insecure } = context.plan;
    this.#socket = openSocket(target, context.address, insecure, context.readBuffer, this);
  }

  /** Whether messages can be sent. */
  get isOpen(): boolean {
    return this.#phase === Phase.OPEN && this.protocol.state === ConnectionState.OPEN;
  }

  /** Whether the handshake was done, even if it is over. */
  get wasOpen(): boolean {
    return this.#wasOpen;
  }

  /** The peer's address, when connected. */
  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? '';
  }

  /** Bytes that wait in user space. */
  get waiting(): number {
    return this.#socket.writableLength;
  }

  /** Sends frames as they are; the memory must not change. */
  send(frames: Uint8Array): void {
    this.#socket.write(frames);
  }

  /** Gives bytes to the WebSocket protocol, which tells the handler of the context. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    this.protocol.receive(bytes, start, end);
  }

  /** Reads no more. */
  pause(): void {
    this.#socket.pause();
  }

  /** Begins the closing handshake (RFC 6455 §7.1.2); the end is told when the server has closed. */
  close(): void {
    if (this.#phase !== Phase.OPEN) {
      this.destroy('');
      return;
    }
    this.#isClosing = true;
    this.protocol.close(1000, NO_BYTES);
  }

  /** Nothing more is to be said: closes, and reads until the server does. */
  end(reason: string): void {
    this.#reason ||= reason;
    this.#socket.end();
    this.#socket.setTimeout(END_LIMIT, () => {
      this.#socket.destroy();
    });
  }

  /** Cuts the connection off. @param reason '' leaves it to the socket */
  destroy(reason: string): void {
    this.#reason ||= reason;
    this.#socket.destroy();
  }

  onConnected(): void {
    const key = handshakeKey();
    const request = upgradeRequest(this.#context.plan, key);
    this.#expected = {
      accept: acceptValue(key, sha1Port),
      protocols: request.protocols ?? [],
      extensions: request.extensions ?? [],
    };
    this.#phase = Phase.HANDSHAKE;
    this.#socket.write(clientRequest(request));
  }

  onRead(count: number): boolean {
    const { bytes } = this.#context;
    const end = FRAME_HEADROOM + count;
    if (this.#phase === Phase.OPEN) this.#listener.onBytes(this, bytes, FRAME_HEADROOM, end);
    else if (this.#phase === Phase.HANDSHAKE) this.#readHead(bytes, end);
    return true;
  }

  onSocketClosed(error: Error | null): void {
    if (this.#phase === Phase.CLOSED) return;
    const inHandshake = error === null && this.#phase === Phase.HANDSHAKE ? ' during the handshake' : '';
    this.#phase = Phase.CLOSED;
    this.protocol.end();
    const isWanted = this.#isClosing && error === null;
    const reason = isWanted ? '' : explainSocketError(error, this.#context.plan.target) + inHandshake;
    this.#listener.onEnd(this, this.#reason || reason);
  }

  reserve(_size: number): number {
    return 0;
  }

  commit(size: number): void {
    // A copy: the memory is used again for the next frame.
    if (!this.#socket.destroyed) this.#socket.write(new Uint8Array(this.bytes.subarray(0, size)));
  }

  get blocked(): boolean {
    return this.#socket.writableLength > BLOCKED;
  }

  #readHead(bytes: Buffer, end: number): void {
    const before = this.#head.length;
    this.#head += bytes.toString('latin1', FRAME_HEADROOM, end);
    // The empty line may begin three bytes before what has come now.
    const headEnd = this.#head.indexOf('\r\n\r\n', Math.max(0, before - 3));
    if (headEnd < 0) {
      if (this.#head.length > MAX_RESPONSE_HEAD)
        this.destroy('the server answered the handshake with no HTTP');
      return;
    }
    const problem = handshakeProblem(this.#head, headEnd, this.#expected!);
    if (problem !== '') {
      this.destroy(problem);
      return;
    }
    this.#head = '';
    this.#phase = Phase.OPEN;
    this.#wasOpen = true;
    this.#listener.onOpen(this);
    const start = FRAME_HEADROOM + headEnd + 4 - before;
    if (start < end && this.isOpen) this.#listener.onBytes(this, bytes, start, end);
  }
}

const NO_BYTES = new Uint8Array(0);

/** What is wrong with the answer to the handshake; '' when nothing is. */
export function handshakeProblem(text: string, headEnd: number, expected: ExpectedResponse): string {
  const head = ResponseHead.parse(text.slice(0, headEnd));
  if (head === undefined) return 'the server answered the handshake with no HTTP/1.1';
  if (head.status !== 101) return refusal(head, text.slice(headEnd + 4));
  const problem = checkServerResponse(head, expected) ?? deflateProblem(head, expected);
  return problem === undefined ? '' : `the server's answer to the handshake is wrong: ${problem}`;
}

/** Compression that was asked for is to be measured, so it must be agreed on. */
function deflateProblem(head: ResponseHead, { extensions = [] }: ExpectedResponse): string | undefined {
  if (extensions.length === 0) return undefined;
  const answers = parseExtensions(head.header('sec-websocket-extensions')) ?? [];
  const agreed = checkDeflateAnswer(answers, DEFLATE_OFFER);
  if (agreed === null) return 'it declines permessage-deflate, so that nothing would be compressed';
  return typeof agreed === 'string' ? agreed : undefined;
}

/** What is known about a status other than 101. */
const STATUS_HINTS: Readonly<Record<number, string>> = {
  200: 'this is a plain HTTP answer; is the path right?',
  401: 'it asks for credentials: give them with -H Authorization=…',
  403: 'it forbids this: is an Origin or a cookie missing (-H Origin=…)?',
  404: 'there is no WebSocket at this path',
  426: 'it wants another protocol or version',
  429: 'there are too many connections from this address',
  503: 'it takes no more connections',
};

function refusal(head: ResponseHead, body: string): string {
  const location = head.header('location');
  const hint =
    head.status >= 300 && head.status < 400 && location !== ''
      ? `it is at ${printable(utf8Of(location), SHOWN_BODY)}`
      : (STATUS_HINTS[head.status] ?? '');
  const said = /^text\/plain/i.test(head.header('content-type'))
    ? printable(utf8Of(body).trim(), SHOWN_BODY)
    : '';
  const status = `${head.status} ${printable(utf8Of(head.reason), SHOWN_BODY)}`.trim();
  return (
    `the server refused the handshake with ${status}` +
    (hint === '' ? '' : `: ${hint}`) +
    (said === '' ? '' : ` (it says: ${said})`)
  );
}

/** Heads are read as Latin-1. */
function utf8Of(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString();
}
