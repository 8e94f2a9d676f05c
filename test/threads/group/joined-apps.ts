import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { App, type AppDescriptor, type AppOptions, type ChildAppStats, type TemplatedApp } from 'millrace';
import { HOST } from '../../support/servers/server.ts';
import { Mailbox, until } from '../../support/tools/deadline.ts';

const CHILD = new URL('../fixtures/child-app.js', import.meta.url);
const FIXTURES = new URL('../../integration/fixtures/', import.meta.url);

interface Reply {
  readonly value?: unknown;
  readonly error?: string;
}

/** A worker with an App that can be joined. */
export class ChildApp {
  readonly index: number;
  readonly worker: Worker;
  readonly descriptor: AppDescriptor;
  /** The port it listens on itself; -1: none. */
  readonly port: number;
  /** Set when its thread has ended. */
  exitCode: number | null = null;
  readonly #replies = new Mailbox<unknown>('a reply of the child');

  private constructor(index: number, worker: Worker, descriptor: AppDescriptor, port: number) {
    this.index = index;
    this.worker = worker;
    this.descriptor = descriptor;
    this.port = port;
    worker.on('message', (message: unknown) => {
      this.#replies.put(message);
    });
    worker.on('exit', (code) => {
      this.exitCode = code;
      this.#replies.finish('the thread of the child has ended');
    });
  }

  static async start(
    index: number,
    fixture: string,
    data: unknown,
    options: AppOptions = {},
    listensOn: number | null = null,
  ): Promise<ChildApp> {
    const module = new URL(fixture, FIXTURES).href;
    const worker = new Worker(CHILD, { workerData: { module, index, data, options, listensOn } });
    worker.on('error', () => {});
    const [{ descriptor, port }] = (await once(worker, 'message')) as [
      { descriptor: AppDescriptor; port: number },
    ];
    return new ChildApp(index, worker, descriptor, port);
  }

  /** Has it do something, and waits for what comes of it. */
  async ask(command: string, argument?: unknown): Promise<unknown> {
    this.tell(command, argument);
    const { value, error } = (await this.#replies.next()) as Reply;
    if (error !== undefined) throw new Error(error);
    return value;
  }

  tell(command: string, argument?: unknown): void {
    this.worker.postMessage([command, argument]);
  }

  /** Blocks its thread. The function returned wakes it. */
  block(): Promise<() => Promise<unknown>> {
    return this.#sleep('sleep', (memory) => memory);
  }

  /** Blocks its thread; when it is woken it publishes before it does anything else, and replies what came of it. */
  blockThenPublish(topic: string, message: string): Promise<() => Promise<unknown>> {
    return this.#sleep('sleepThenPublish', (memory) => ({ memory, topic, message }));
  }

  async #sleep(
    command: string,
    argument: (memory: SharedArrayBuffer) => unknown,
  ): Promise<() => Promise<unknown>> {
    const memory = new Int32Array(new SharedArrayBuffer(4));
    this.tell(command, argument(memory.buffer));
    await this.#replies.next();
    return async () => {
      Atomics.store(memory, 0, 1);
      Atomics.notify(memory, 0);
      const { value } = (await this.#replies.next()) as Reply;
      return value;
    };
  }
}

/** An acceptor App in this thread, and Apps of workers that were joined to it. */
export class JoinedApps {
  readonly acceptor: TemplatedApp;
  readonly port: number;
  readonly children: ChildApp[] = [];
  readonly #fixture: string;
  readonly #data: unknown;

  private constructor(fixture: string, data: unknown, options: AppOptions) {
    this.#fixture = fixture;
    this.#data = data;
    this.acceptor = App(options);
    let bound = -1;
    this.acceptor.listen(HOST, 0, (socket) => {
      if (socket !== false) bound = socket.port;
    });
    this.port = bound;
  }

  static async start(
    count: number,
    fixture: string,
    data: unknown = null,
    options: AppOptions = {},
  ): Promise<JoinedApps> {
    const apps = new JoinedApps(fixture, data, options);
    for (let i = 0; i < count; i++) await apps.add();
    await apps.joined(count);
    return apps;
  }

  /** Starts one more child and adds its descriptor. */
  async add(index: number = this.children.length, isAdded = true): Promise<ChildApp> {
    const child = await ChildApp.start(index, this.#fixture, this.#data);
    this.children[index] = child;
    if (isAdded) this.acceptor.addChildAppDescriptor(child.descriptor);
    return child;
  }

  get stats(): ChildAppStats {
    return this.acceptor.childAppStats();
  }

  /** What the acceptor knows of a child. */
  statsOf({ descriptor }: ChildApp): ChildAppStats['children'][number] | undefined {
    return this.stats.children.find((child) => child.descriptor === descriptor);
  }

  /** Waits until so many children take connections. */
  async joined(count: number): Promise<void> {
    const joined = (): number => this.stats.children.filter(({ state }) => state === 'joined').length;
    await until(() => joined() === count, `${count} children are joined`);
  }

  async stop(): Promise<void> {
    await Promise.all(this.children.map(({ worker }) => worker.terminate()));
    this.acceptor.close();
  }
}
