import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { until, within } from '../tools/deadline.ts';

export const MAIN = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url));

export const EXAMPLES = new URL('../../../examples/', import.meta.url);

/** The path of an example's file. */
export function example(name: string): string {
  return fileURLToPath(new URL(name, EXAMPLES));
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The command `millrace` in a process of its own; it is killed when it is still there at the end. */
export class MillraceProcess {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #exit: Promise<Exit>;

  /** @param cwd its working folder; this process's if not given */
  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = process.cwd()) {
    this.child = spawn(process.execPath, [MAIN, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#exit = new Promise((resolve) => {
      // Not 'exit': the output may come later.
      this.child.on('close', (code, signal) => {
        resolve({ code, signal });
      });
    });
  }

  /** Starts one for the test that runs, and ends it with the test. */
  static start(args: readonly string[], env: NodeJS.ProcessEnv = {}): MillraceProcess {
    const started = new MillraceProcess(args, env);
    onTestFinished(() => started.stop());
    return started;
  }

  /** Starts a server for the test that runs, and waits until it serves. */
  static async serve(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<MillraceProcess> {
    const started = MillraceProcess.start(['serve', ...args], env);
    await started.ready();
    return started;
  }

  /** Waits for the end of the banner. */
  async ready(): Promise<void> {
    const isOver = (): boolean => this.child.exitCode !== null || this.stdout.includes('ends at once.');
    await until(isOver, 'the server serves');
    if (this.child.exitCode !== null)
      throw new Error(`The server did not start:\n${this.stdout}${this.stderr}`);
  }

  /** The address to open, as the banner has it. */
  get url(): string {
    const [, url] = /^ +open +(\S+)$/m.exec(this.stdout) ?? [];
    if (url === undefined) throw new Error(`There is no address in:\n${this.stdout}`);
    return url;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** `ws://…` for a path. */
  ws(path = ''): string {
    return `ws://localhost:${this.port}/${path}`;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** How the process ended. */
  exit(timeout?: number): Promise<Exit> {
    return within(this.#exit, 'the end of the process', timeout);
  }

  /** Ends it in any case. */
  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exit();
  }
}
