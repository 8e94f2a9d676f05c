import type { MessagePort } from 'node:worker_threads';
import { ControlBlock } from '../metrics/control-block.ts';
import { Counter } from '../metrics/counter.ts';
import { LoopWatch } from '../metrics/loop-watch.ts';
import { HandoffReceiver } from '../net/handoff-receiver.ts';
import { HandoffSender } from '../net/handoff-sender.ts';
import { boundPort, Listener, type ListenerEvents, tryBind } from '../net/listener.ts';
import { errorName, type TcpHandle } from '../net/node-internals.ts';
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
  const thread = new AcceptorThread(data, (message) => {
    port.postMessage(message);
  });
  port.on('message', (message: ToAcceptor) => {
    thread.onMessage(message);
  });
  port.postMessage({ type: 'started' } satisfies FromAcceptor);
}

/**
 * What the two modes differ in is three ends: a shard's is a channel or a port, listening sockets come through a channel or
 * are bound here, and with few descriptors connections wait in the backlog or, where no other thread keeps it, are cut off.
 */
class AcceptorThread {
  readonly #tell: (message: FromAcceptor) => void;
  readonly #acceptor: Acceptor;
  readonly #listener: Listener;
  /** Where listening sockets come from; null: this thread alone has one. */
  readonly #listeners: HandoffReceiver | null;

  constructor(data: AcceptorData, tell: (message: FromAcceptor) => void) {
    const control = new ControlBlock(data.shards, data.control);
    // It ends with the thread.
    void new LoopWatch(control.acceptor);
    this.#tell = tell;
    this.#acceptor = new Acceptor(data, control, (index, isStalled) => {
      tell({ type: 'shard-stalled', index, isStalled });
    });
    this.#listener = new Listener(
      data.limits.backlog,
      this.#listenerEvents(control.acceptor.counters, data.mode === HandoffMode.TRANSFER),
    );
    this.#listeners =
      data.listenFd === -1
        ? null
        : new HandoffReceiver(data.listenFd, (handle) => {
            if (handle === null) tell({ type: 'listener-lost' });
            else this.#listen(handle);
          });
  }

  onMessage(message: ToAcceptor): void {
    switch (message.type) {
      case 'shard-up': {
        const { index, routes, end } = message;
        const connect = (onLost: () => void) =>
          typeof end === 'number' ? new HandoffSender(end, onLost) : new PortSender(end);
        this.#acceptor.shardUp(index, routes, connect, () => {
          this.#tell({ type: 'shard-lost', index });
        });
        this.#tell({ type: 'shard-known', index });
        break;
      }
      case 'shard-down':
        this.#acceptor.shardGone(message.index);
        break;
      case 'shard-retires':
        this.#acceptor.shardRetires(message.index);
        break;
      case 'listen': {
        const handle = tryBind(message.host, message.port);
        if (typeof handle === 'string') this.#tell({ type: 'listen-failed', error: handle });
        else this.#listen(handle);
        break;
      }
      case 'stop':
        void this.#stop(message.terms);
        break;
      case 'profile':
        recordThread(message);
        break;
    }
  }

  /** @param isAlone nobody else has the listening socket: were it closed, so would be all that wait in its backlog */
  #listenerEvents(counters: Float64Array, isAlone: boolean): ListenerEvents {
    const events: ListenerEvents = {
      onConnection: (client) => {
        this.#acceptor.accept(client);
      },
      onAcceptError: () => {
        counters[Counter.ACCEPT_ERRORS]!++;
        this.#tell({ type: 'listener-lost' });
      },
    };
    if (isAlone) {
      events.onCut = (): void => {
        counters[Counter.CUT_SHORT]!++;
      };
    }
    return events;
  }

  /** Listens on this handle from now on. */
  #listen(handle: TcpHandle): void {
    const error = this.#listener.start(handle);
    if (error === 0) this.#tell({ type: 'listening', port: boundPort(handle) });
    else this.#tell({ type: 'listen-failed', error: errorName(error) });
  }

  async #stop(terms: DrainTerms): Promise<void> {
    this.#listeners?.close();
    await this.#listener.finish(terms.grace);
    await this.#acceptor.stop(terms);
    this.#tell({ type: 'stopped' });
  }
}
