import type { Profiler, Session } from 'node:inspector';
import { MessageChannel, type MessagePort, type Transferable } from 'node:worker_threads';
import { within } from './timeout.ts';

/**
 * CPU profiles of the threads of a server. V8's profiler sees the thread that started it and no other, so every
 * thread is asked, by a message with a port of its own, to record itself: it says that it does, is told to stop, and
 * answers with its profile.
 */

/** The profile of one thread. */
export interface ThreadProfile {
  /** 'main', 'acceptor', 'shard 0', … */
  readonly thread: string;
  /** What a `.cpuprofile` file holds. */
  readonly profile: Profiler.Profile;
}

/** A thread to be profiled: `post` sends it the port. */
export interface ProfiledThread {
  readonly thread: string;
  readonly post: (message: ProfileMessage, transfer: readonly Transferable[]) => void;
}

export interface ProfileMessage {
  readonly type: 'profile';
  readonly port: MessagePort;
  /** Microseconds between two samples. */
  readonly interval: number;
}

type FromRecorder = 'recording' | { readonly profile: Profiler.Profile };

/** Ms that a thread may take to begin, and to hand in its profile. */
const START_TIMEOUT = 10_000;
const STOP_TIMEOUT = 30_000;

/** In the thread that is profiled: records until the port says stop, or is closed. */
export function recordThread({ port, interval }: ProfileMessage): void {
  record(port, interval).catch(() => {
    // A Node.js without an inspector: there is no profile.
    port.close();
  });
}

async function record(port: MessagePort, interval: number): Promise<void> {
  const { Session } = await import('node:inspector');
  const session = new Session();
  session.connect();
  port.on('close', () => {
    session.disconnect();
  });
  port.on('message', () => {
    session.post('Profiler.stop', (error, result) => {
      if (error === null) port.postMessage({ profile: result.profile } satisfies FromRecorder);
      port.close();
    });
  });
  // The port must not keep a shard that is drained.
  port.unref();
  await command(session, 'Profiler.enable');
  await command(session, 'Profiler.setSamplingInterval', { interval });
  await command(session, 'Profiler.start');
  port.postMessage('recording' satisfies FromRecorder);
}

function command(session: Session, method: string, params?: object): Promise<void> {
  return new Promise((resolve, reject) => {
    session.post(method, params, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** The asking side. */
class Recording {
  readonly thread: string;
  /** Resolves when the thread records, or is gone. */
  readonly begun: Promise<void>;
  readonly #port: MessagePort;
  readonly #ended: Promise<void>;
  #hasBegun = false;
  #profile: Profiler.Profile | null = null;

  constructor({ thread, post }: ProfiledThread, interval: number) {
    const { port1, port2 } = new MessageChannel();
    this.thread = thread;
    this.#port = port1;
    this.#ended = new Promise((resolve) => {
      port1.on('close', resolve);
    });
    const recording = new Promise<void>((resolve) => {
      port1.on('message', (message: FromRecorder) => {
        if (message !== 'recording') {
          this.#profile = message.profile;
          return;
        }
        this.#hasBegun = true;
        resolve();
      });
    });
    this.begun = Promise.race([recording, this.#ended]);
    post({ type: 'profile', port: port2, interval }, [port2]);
  }

  /** The profile; null when the thread ended or does not answer. */
  async stop(): Promise<ThreadProfile | null> {
    if (this.#hasBegun) {
      this.#port.postMessage('stop');
      await within(this.#ended, STOP_TIMEOUT);
    }
    this.#port.close();
    return this.#profile === null ? null : { thread: this.thread, profile: this.#profile };
  }
}

/** Records all threads at the same time. One that ends meanwhile has no profile. */
export async function profileThreads(
  threads: readonly ProfiledThread[],
  interval: number,
  recorded: () => Promise<void>,
): Promise<ThreadProfile[]> {
  const recordings = threads.map((thread) => new Recording(thread, interval));
  await within(Promise.all(recordings.map(({ begun }) => begun)), START_TIMEOUT);
  await recorded();
  const profiles = await Promise.all(recordings.map((recording) => recording.stop()));
  return profiles.filter((profile) => profile !== null);
}
