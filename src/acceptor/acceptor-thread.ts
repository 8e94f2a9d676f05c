import type { MessagePort } from 'node:worker_threads';
import { ControlBlock } from '../metrics/control-block.ts';
import { Counter } from '../metrics/counter.ts';
import { LoopWatch } from '../metrics/loop-watch.ts';
import { HandoffReceiver } from '../net/handoff-receiver.ts';
import { HandoffSender } from '../net/handoff-sender.ts';
import { boundPort, Listener, type ListenerEvents, tryBind } from '../net/listener.ts';
import { errorName, type TcpHandle } from '../net/node-internals.ts';
import { PortSender } from '../net/socket-transfer.ts';
import { type AcceptorData, type FromAcceptor, type ToAcceptor } from '../shard/control-message.ts';
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
  readonly #backlog: number;
  /** For HTTP, and behind it for each raw endpoint, from when it is first listened on. */
  readonly #listeners: Listener[] = [];
  readonly #counters: Float64Array;
  /** Where listening sockets come from; null: this thread alone has them. */
  readonly #listening: HandoffReceiver | null;

  constructor(data: AcceptorData, tell: (message: FromAcceptor) => void) {
    const control = new ControlBlock(data.shards, data.control);
    // It ends with the thread.
    void new LoopWatch(control.acceptor);
    this.#tell = tell;
    this.#acceptor = new Acceptor(data, control, (index, isStalled) => {
      tell({ type: 'shard-stalled', index, isStalled });
    });
    this.#backlog = data.limits.backlog;
    this.#counters = control.acceptor.counters;
    this.#listening =
      data.listenFd === -1
        ? null
        : new HandoffReceiver(data.listenFd, (handle, digits) => {
            const number = Number(digits.toString('latin1'));
            if (handle === null) tell({ type: 'listener-lost', number });
            else this.#listen(number, handle);
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
        const { number, host, port } = message;
        const handle = tryBind(host, port);
        if (typeof handle === 'string') this.#tell({ type: 'listen-failed', number, error: handle });
        else this.#listen(number, handle);
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

  #listenerEvents(number: number): ListenerEvents {
    const onConnection =
      number === 0
        ? (client: TcpHandle): void => {
            this.#acceptor.accept(client);
          }
        : (client: TcpHandle): void => {
            this.#acceptor.acceptRaw(client, number - 1);
          };
    const events: ListenerEvents = {
      onConnection,
      onAcceptError: () => {
        this.#counters[Counter.ACCEPT_ERRORS]!++;
        this.#tell({ type: 'listener-lost', number });
      },
    };
    // Nobody else has the listening socket: were it closed, so would be all that wait in its backlog.
    if (this.#listening === null) {
      events.onCut = (): void => {
        this.#counters[Counter.CUT_SHORT]!++;
      };
    }
    return events;
  }

  /** Listens on this handle from now on. */
  #listen(number: number, handle: TcpHandle): void {
    this.#listeners[number] ??= new Listener(this.#backlog, this.#listenerEvents(number));
    const error = this.#listeners[number].start(handle);
    if (error === 0) this.#tell({ type: 'listening', number, port: boundPort(handle) });
    else this.#tell({ type: 'listen-failed', number, error: errorName(error) });
  }

  async #stop(terms: DrainTerms): Promise<void> {
    this.#listening?.close();
    await Promise.all(this.#listeners.map((listener) => listener.finish(terms.grace)));
    await this.#acceptor.stop(terms);
    this.#tell({ type: 'stopped' });
  }
}
