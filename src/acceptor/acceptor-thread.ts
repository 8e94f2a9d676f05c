import type { MessagePort } from 'node:worker_threads';
import { ControlBlock } from '../metrics/control-block.ts';
import { Counter } from '../metrics/counter.ts';
import { LoopWatch } from '../metrics/loop-watch.ts';
import { boundPort, Listener, tryBind } from '../net/listener.ts';
import { errorName, type TcpHandle } from '../net/node-internals.ts';
import { HandoffReceiver, HandoffSender } from '../net/socket-handoff.ts';
import { PortSender } from '../net/socket-transfer.ts';
import {
  type AcceptorData,
  type FromAcceptor,
  HandoffMode,
  type ToAcceptor,
} from '../shard/control-message.ts';
import type { DrainTerms } from '../shard/drain.ts';
import { recordThread } from '../shard/thread-profiler.ts';
import { Acceptor } from './acceptor.ts';

/** The acceptor thread: wires an acceptor to its listening socket and to the supervisor. */
export function runAcceptor(data: AcceptorData, port: MessagePort): void {
  const control = new ControlBlock(data.shards, data.control);
  const metrics = control.acceptor;
  const { counters } = metrics;
  // It ends with the thread.
  void new LoopWatch(metrics);
  const tell = (message: FromAcceptor): void => {
    port.postMessage(message);
  };
  const acceptor = new Acceptor(data, control, (index, isStalled) => {
    tell({ type: 'shard-stalled', index, isStalled });
  });
  const listener = new Listener(data.limits.backlog, {
    onConnection: (client) => {
      acceptor.accept(client);
    },
    onAcceptError: () => {
      counters[Counter.ACCEPT_ERRORS]!++;
      tell({ type: 'listener-lost' });
    },
    // Where the main thread has the listening socket, too, connections wait in the backlog.
    ...(data.mode === HandoffMode.TRANSFER
      ? {
          onCut: (): void => {
            counters[Counter.CUT_SHORT]!++;
          },
        }
      : {}),
  });
  const listen = (handle: TcpHandle): void => {
    const error = listener.start(handle);
    if (error === 0) tell({ type: 'listening', port: boundPort(handle) });
    else tell({ type: 'listen-failed', error: errorName(error) });
  };
  const sockets = data.mode === HandoffMode.CHANNEL ? receiveListeners(data.listenFd, listen, tell) : null;
  const stop = async (terms: DrainTerms): Promise<void> => {
    await listener.finish(terms.grace);
    await acceptor.stop(terms);
    tell({ type: 'stopped' });
  };
  port.on('message', (message: ToAcceptor) => {
    switch (message.type) {
      case 'shard-up': {
        const { index, fd, routes } = message;
        const onLost = (): void => {
          tell({ type: 'shard-lost', index });
        };
        acceptor.shardUp(index, routes, (lost) => new HandoffSender(fd, lost), onLost);
        tell({ type: 'shard-known', index });
        break;
      }
      case 'shard-port':
        acceptor.shardUp(message.index, message.routes, () => new PortSender(message.port), ignore);
        tell({ type: 'shard-known', index: message.index });
        break;
      case 'shard-down':
        acceptor.shardGone(message.index);
        break;
      case 'shard-retires':
        acceptor.shardRetires(message.index);
        break;
      case 'listen':
        listenOn(message.host, message.port, listen, tell);
        break;
      case 'stop':
        sockets?.close();
        void stop(message.terms);
        break;
      case 'profile':
        recordThread(message);
        break;
    }
  });
  tell({ type: 'started' });
}

/** The main thread keeps the listening socket; this thread gets a duplicate, and another when it loses it. */
function receiveListeners(
  fd: number,
  listen: (handle: TcpHandle) => void,
  tell: (message: FromAcceptor) => void,
): HandoffReceiver {
  return new HandoffReceiver(fd, (handle) => {
    if (handle === null) tell({ type: 'listener-lost' });
    else listen(handle);
  });
}

/** Where no descriptor can be sent, this thread alone has the listening socket. */
function listenOn(
  host: string,
  port: number,
  listen: (handle: TcpHandle) => void,
  tell: (message: FromAcceptor) => void,
): void {
  const handle = tryBind(host, port);
  if (typeof handle === 'string') tell({ type: 'listen-failed', error: handle });
  else listen(handle);
}

function ignore(): void {}
