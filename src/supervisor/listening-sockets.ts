import { MillraceError } from '../errors.ts';
import type { HandoffSender } from '../net/handoff-sender.ts';
import { bindAddress, boundPort, listenError } from '../net/listener.ts';
import type { TcpHandle } from '../net/node-internals.ts';
import type { RawEntry, ToAcceptor } from '../shard/control-message.ts';

/** An address that the acceptor listens on. */
interface Listening {
  readonly host: string;
  /** 0: any free port. */
  readonly wanted: number;
  /** What asks for it, as errors name it; '': `serve()` itself. */
  readonly option: string;
  /** -1: not known yet. */
  port: number;
  /** Null: the acceptor alone has it. */
  socket: TcpHandle | null;
  /** It is, or was once, listened on. */
  hasListened: boolean;
}

/**
 * ListeningSockets: what the acceptor listens on: for HTTP, and for the raw endpoints that the app module declares. In
 * channel mode the sockets are bound here and stay here, with what waits in their backlogs, and the acceptor gets
 * duplicates; in transfer mode it binds them itself. Each has a number: 0 is for HTTP.
 */
export class ListeningSockets {
  readonly #all: Listening[] = [];
  /** Raw endpoints, as the first shard has declared them; null: none has declared any yet. */
  #endpoints: readonly RawEntry[] | null = null;
  #isBoundHere = false;

  constructor(host: string, port: number) {
    this.#all.push(newListening(host, port, ''));
  }

  /** The port of a number; -1: it is not known yet. */
  port(number: number): number {
    return this.#all[number]!.port;
  }

  /** The ports of raw endpoints, by name. */
  get named(): ReadonlyMap<string, number> {
    const entries = this.#endpoints ?? [];
    return new Map(entries.map(({ name }, i) => [name, this.port(i + 1)]));
  }

  /** All were listened on. */
  get haveListened(): boolean {
    return this.#all.every(({ hasListened }) => hasListened);
  }

  /**
   * Channel mode: binds the sockets here, now and when more are declared.
   *
   * @throws MillraceError MILLRACE_LISTEN_FAILED
   */
  bind(): void {
    this.#isBoundHere = true;
    for (const one of this.#all) bindHere(one);
  }

  /**
   * A shard has declared these endpoints: the first one says what is listened on, and all others must agree.
   *
   * @throws MillraceError MILLRACE_BAD_MODULE when they do not, MILLRACE_LISTEN_FAILED
   */
  declare(endpoints: readonly RawEntry[]): void {
    if (this.#endpoints !== null) {
      checkSame(this.#endpoints, endpoints);
      return;
    }
    const added = endpoints.map(({ host, port, option }) => newListening(host, port, option));
    try {
      if (this.#isBoundHere) added.forEach(bindHere);
    } catch (error) {
      added.forEach(close);
      throw error;
    }
    this.#all.push(...added);
    this.#endpoints = endpoints;
  }

  /** Numbers of all. */
  numbers(): Iterable<number> {
    return this.#all.keys();
  }

  /** Gives the acceptor a duplicate of a socket. The original stays, and with it the backlog. */
  sendTo(sender: HandoffSender, number: number): void {
    const { socket } = this.#all[number]!;
    if (socket !== null) sender.sendDuplicate(String(number), socket);
  }

  /** Transfer mode: has the acceptor listen. */
  listenMessage(number: number): ToAcceptor {
    const { host, wanted, port } = this.#all[number]!;
    return { type: 'listen', number, host, port: port === -1 ? wanted : port };
  }

  listening(number: number, port: number): void {
    const one = this.#all[number]!;
    one.hasListened = true;
    if (!this.#isBoundHere) one.port = port;
  }

  /** What to tell a user whose address cannot be listened on. */
  error(number: number, name: string): MillraceError {
    const { host, wanted, option } = this.#all[number]!;
    return listenError(host, wanted, name, option);
  }

  close(): void {
    this.#all.forEach(close);
  }
}

function newListening(host: string, wanted: number, option: string): Listening {
  return { host, wanted, option, port: -1, socket: null, hasListened: false };
}

// Here, so that an address in use is told early. The acceptor listens, on its duplicate: a handle that listens in this
// thread would take half of the connections.
function bindHere(one: Listening): void {
  one.socket = bindAddress(one.host, one.wanted, false, one.option);
  one.port = boundPort(one.socket);
}

function close(one: Listening): void {
  one.socket?.close();
  one.socket = null;
}

function checkSame(before: readonly RawEntry[], now: readonly RawEntry[]): void {
  if (JSON.stringify(before) === JSON.stringify(now)) return;
  throw new MillraceError(
    'MILLRACE_BAD_MODULE',
    `The app module asks for ${portsText(now)}, and the server has ${portsText(before)}: all shards must ask for the ` +
      'same ports, in the same order, and other ones need another start of the server',
  );
}

function portsText(endpoints: readonly RawEntry[]): string {
  if (endpoints.length === 0) return 'no further ports';
  return endpoints.map(({ host, port, option }) => `port ${port} on ${host} (${option})`).join(', ');
}
