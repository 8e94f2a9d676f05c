import { MillraceError } from '../errors.ts';
import type { ConnectionHandler } from '../protocol/connection.ts';
import { clientProtocol } from './client-protocol.ts';
import { LoadConnection, LoadContext, type LoadListener } from './load-connection.ts';
import type { BenchPlan } from './options.ts';

/**
 * Opens one WebSocket and closes it again. Resolves with the address of the server, so that the name is looked up once
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
    const listener: LoadListener = {
      onOpen: (connection) => {
        address = connection.remoteAddress;
        connection.close();
      },
      // What the server says at once, and its answer to the Close frame.
      onBytes: (connection, bytes, start, end) => {
        connection.receive(bytes, start, end);
      },
      onEnd: (connection, reason) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        if (connection.wasOpen) resolve(address);
        else fail(reason);
      },
    };
    const context = new LoadContext(plan, plan.target.host, clientProtocol(handler, plan.deflate));
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
