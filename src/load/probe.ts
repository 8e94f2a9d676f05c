import { MillraceError } from '../errors.ts';
import type { Connection, ConnectionHandler } from '../protocol/connection.ts';
import { Opcode } from '../protocol/opcode.ts';
import { clientProtocol } from './client-protocol.ts';
import { LoadConnection, LoadContext, type LoadListener } from './load-connection.ts';
import type { BenchPlan } from './options.ts';
import { connectFrame, errorOf } from './scenarios/stomp/client-frame.ts';
import { FrameReader } from './scenarios/stomp/frame-reader.ts';
import { MessageBatch } from './scenarios/stomp/message-batch.ts';

/**
 * Opens one WebSocket and closes it again; a STOMP broker must have welcomed it. Resolves with the address of the server, so that the name is looked up once
 * and not for each connection.
 *
 * @throws MillraceError MILLRACE_BENCH_FAILED that says why it could not be opened
 */
export function probe(plan: BenchPlan, signal: AbortSignal | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      reject(new MillraceError('MILLRACE_BENCH_FAILED', `cannot open ${plan.target.url}: ${reason}`));
    };
    let address = '';
    const greeting = plan.scenario === 'stomp' ? new StompGreeting(plan) : null;
    const listener: LoadListener = {
      onOpen: (connection) => {
        address = connection.remoteAddress;
        if (greeting === null) connection.close();
        else greeting.begin(connection);
      },
      // What the server says at once, and its answer to the Close frame.
      onBytes: (connection, bytes, start, end) => {
        connection.receive(bytes, start, end);
      },
      onEnd: (connection, reason) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        if (greeting?.isWelcome ?? connection.wasOpen) resolve(address);
        else fail(reason);
      },
    };
    const context = new LoadContext(
      plan,
      plan.target.host,
      clientProtocol(greeting ?? handler, plan.deflate),
    );
    const connection = new LoadConnection(context, listener, null);
    const timer = setTimeout(() => {
      connection.destroy(`no answer within ${plan.timeout} s`);
    }, plan.timeout * 1000);
    const onAbort = (): void => {
      connection.destroy('interrupted');
    };
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
  });
}

const IGNORED = (): void => undefined;

/** StompGreeting: CONNECT, and what the broker says to it. */
class StompGreeting implements ConnectionHandler {
  readonly onPing = IGNORED;
  readonly onPong = IGNORED;
  readonly #plan: BenchPlan;
  readonly #reader: FrameReader;
  #connection: LoadConnection | null = null;
  isWelcome = false;

  constructor(plan: BenchPlan) {
    this.#plan = plan;
    this.#reader = new FrameReader((frame) => {
      this.isWelcome ||= frame.command === 'CONNECTED';
      if (this.isWelcome) this.#connection?.close();
      else this.#connection?.end(errorOf(frame));
    });
  }

  begin(connection: LoadConnection): void {
    this.#connection = connection;
    const batch = new MessageBatch(this.#plan.binary ? Opcode.BINARY : Opcode.TEXT);
    batch.addText(connectFrame(this.#plan));
    connection.send(batch.take());
  }

  onMessage(_connection: unknown, bytes: Uint8Array, offset: number, length: number): void {
    const problem = this.#reader.push(bytes, offset, offset + length);
    if (problem !== '') this.#connection?.end(`this is no STOMP broker: ${problem}`);
  }

  onPeerClose({ owner }: Connection, code: number): void {
    (owner as LoadConnection).end(`the server closed the connection with ${code} and has not welcomed us`);
  }

  onFailure({ owner }: Connection): void {
    (owner as LoadConnection).end('the server broke the WebSocket protocol');
  }

  onDone({ owner }: Connection): void {
    (owner as LoadConnection).end('');
  }
}

/** Closes as soon as the protocol is done; messages are of no interest. */
const handler: ConnectionHandler = {
  onMessage: IGNORED,
  onPing: IGNORED,
  onPong: IGNORED,
  onPeerClose: IGNORED,
  onFailure: IGNORED,
  onDone: ({ owner }) => {
    (owner as LoadConnection).end('');
  },
};
