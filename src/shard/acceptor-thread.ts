import type { MessagePort } from 'node:worker_threads';
import { Counter } from '../net/counter.ts';
import { boundPort, Listener } from '../net/listener.ts';
import { errorName } from '../net/node-internals.ts';
import { HandoffReceiver } from '../net/socket-handoff.ts';
import { ControlBlock } from '../ring/control-block.ts';
import { Acceptor } from './acceptor.ts';
import { type AcceptorData, type FromAcceptor, HandoffMode, type ToAcceptor } from './control-message.ts';
import { recordThread } from './thread-profiler.ts';
import { TransferAcceptor } from './transfer-acceptor.ts';

/** The acceptor thread: wires an acceptor to its listening socket and to the supervisor. */
export function runAcceptor(data: AcceptorData, port: MessagePort): void {
  const control = new ControlBlock(data.shards, data.control);
  if (data.mode === HandoffMode.CHANNEL) runChannelAcceptor(data, control, port);
  else runTransferAcceptor(data, control, port);
  port.postMessage({ type: 'started' } satisfies FromAcceptor);
}

function runChannelAcceptor(data: AcceptorData, control: ControlBlock, port: MessagePort): void {
  const acceptor = new Acceptor(control, data.limits, data.balance, data.isTls);
  const tell = (message: FromAcceptor): void => {
    port.postMessage(message);
  };
  const listener = new Listener(data.limits.backlog, {
    onConnection: (client) => {
      acceptor.accept(client);
    },
    onAcceptError: () => {
      control.counters(data.shards)[Counter.ACCEPT_ERRORS]!++;
      tell({ type: 'listener-lost' });
    },
  });
  // The main thread keeps the listening socket; this thread gets a duplicate, and another when it loses it.
  const sockets = new HandoffReceiver(data.listenFd, (handle) => {
    if (handle === null) {
      tell({ type: 'listener-lost' });
      return;
    }
    const error = listener.start(handle);
    if (error === 0) tell({ type: 'listening', port: boundPort(handle) });
    else tell({ type: 'listen-failed', error: errorName(error) });
  });
  port.on('message', (message: ToAcceptor) => {
    if (message.type === 'shard-up') {
      const { index, fd, routes } = message;
      acceptor.shardUp(index, fd, routes, () => {
        tell({ type: 'shard-lost', index });
      });
      tell({ type: 'shard-known', index });
    } else if (message.type === 'shard-down') {
      acceptor.shardDown(message.index);
    } else if (message.type === 'shard-retires') {
      acceptor.shardRetires(message.index);
    } else if (message.type === 'stop') {
      listener.close();
      sockets.close();
      acceptor.stop();
      tell({ type: 'stopped' });
    } else if (message.type === 'profile') {
      recordThread(message);
    }
  });
}

function runTransferAcceptor(data: AcceptorData, control: ControlBlock, port: MessagePort): void {
  const tell = (message: FromAcceptor): void => {
    port.postMessage(message);
  };
  const acceptor = new TransferAcceptor(data, control, tell);
  port.on('message', (message: ToAcceptor) => {
    if (message.type === 'shard-port') {
      acceptor.shardUp(message.index, message.port);
      tell({ type: 'shard-known', index: message.index });
    } else if (message.type === 'shard-down' || message.type === 'shard-retires') {
      acceptor.shardDown(message.index);
    } else if (message.type === 'listen') {
      acceptor.listen(message.host, message.port);
    } else if (message.type === 'stop') {
      acceptor.stop();
      tell({ type: 'stopped' });
    } else if (message.type === 'profile') {
      recordThread(message);
    }
  });
}
