/** Versions of the protocol, as `accept-version` and `version` name them. */
export const StompVersion = { V1_0: '1.0', V1_1: '1.1', V1_2: '1.2' } as const;
export type StompVersion = (typeof StompVersion)[keyof typeof StompVersion];

/** Commands of a client (STOMP 1.2, "Client Frames"). NACK came with 1.1, STOMP too. */
export const CLIENT_COMMANDS = [
  'SEND',
  'ACK',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'NACK',
  'BEGIN',
  'COMMIT',
  'ABORT',
  'CONNECT',
  'STOMP',
  'DISCONNECT',
] as const;
export type ClientCommand = (typeof CLIENT_COMMANDS)[number];

/** Commands of a server (STOMP 1.2, "Server Frames"). */
export const SERVER_COMMANDS = ['MESSAGE', 'RECEIPT', 'CONNECTED', 'ERROR'] as const;
export type ServerCommand = (typeof SERVER_COMMANDS)[number];

export type StompCommand = ClientCommand | ServerCommand;

/** Only these have a body (STOMP 1.2, "Body"); that of another frame of 1.0 means nothing. */
export function hasBody(command: StompCommand): boolean {
  return command === 'SEND' || command === 'MESSAGE' || command === 'ERROR';
}

/** What is in a frame's headers is compared with `===` alone: a name of a peer is never the name of a property. */
export class StompHeaders {
  readonly #names: string[] = [];
  readonly #values: string[] = [];

  get size(): number {
    return this.#names.length;
  }

  /** The value of a name. Of repeated ones the first counts (STOMP 1.2, "Repeated Header Entries"). */
  get(name: string): string | undefined {
    const at = this.#names.indexOf(name);
    return at < 0 ? undefined : this.#values[at];
  }

  /** Characters of all names and values. */
  get textLength(): number {
    let length = 0;
    for (let i = 0; i < this.#names.length; i++) length += this.#names[i]!.length + this.#values[i]!.length;
    return length;
  }

  append(name: string, value: string): void {
    this.#names.push(name);
    this.#values.push(value);
  }

  /** In the order in which they came, repeated ones too. */
  nameAt(index: number): string {
    return this.#names[index]!;
  }

  valueAt(index: number): string {
    return this.#values[index]!;
  }

  /** Takes the spaces around names and values away, which examples of STOMP 1.0 have. */
  trim(): void {
    for (let i = 0; i < this.#names.length; i++) {
      this.#names[i] = this.#names[i]!.trim();
      this.#values[i] = this.#values[i]!.trim();
    }
  }
}

export interface StompFrame {
  readonly command: StompCommand;
  readonly headers: StompHeaders;
  /** A view that is valid during the call it was handed to; empty without a body. */
  readonly body: Uint8Array;
}

/** What was wrong with the bytes of a peer, or with what they say. For counters, and for the ERROR frame. */
export const StompFault = {
  /** A command that the protocol, or this side of it, does not have. */
  COMMAND: 'command',
  /** A header without a colon or a name, with an escape that is not defined, or that is not UTF-8. */
  HEADER: 'header',
  /** `content-length` is no number, or no NUL stands behind that many bytes. */
  LENGTH: 'length',
  /** A body behind a command that has none. */
  BODY: 'body',
  /** Too many headers, too long a line, body or frame. */
  LIMIT: 'limit',
  /** The frame is well formed and not allowed here, or lacks a header. */
  PROTOCOL: 'protocol',
  /** The client may not do that. */
  ACCESS: 'access',
  /** Nothing is wrong with it, but it could not be done now. */
  UNAVAILABLE: 'unavailable',
} as const;
export type StompFault = (typeof StompFault)[keyof typeof StompFault];

/** A peer broke a rule: it gets an ERROR frame with `message`, and the connection is closed. */
export class StompError extends Error {
  override readonly name = 'StompError';
  readonly fault: StompFault;
  /** The `receipt` that the frame asked for, as far as it was read. */
  readonly receipt: string | undefined;

  constructor(fault: StompFault, message: string, receipt?: string) {
    super(message);
    this.fault = fault;
    this.receipt = receipt;
  }
}
