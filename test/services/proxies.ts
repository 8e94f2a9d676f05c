import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOST } from '../support/servers/server.ts';
import { until, within } from '../support/tools/deadline.ts';

/** A proxy in front of an App. */
export interface Proxy {
  readonly port: number;
  /** The targets of the requests that it says it has passed on, in no certain order. */
  passedOn(): string[];
  stop(): Promise<void>;
}

export type StartProxy = (appPort: number, options?: ProxyOptions) => Promise<Proxy>;

export interface ProxyOptions {
  /** Speak the PROXY protocol, version 2, to the App. */
  readonly proxyProtocol?: boolean;
  /** The proxy's own defaults alone, which speak HTTP/1.0 to the App. */
  readonly isPlain?: boolean;
  /** The path of the App that haproxy checks, with `option httpchk`. */
  readonly check?: string;
}

export const startNginx: StartProxy = async (appPort, { isPlain = false } = {}) => {
  const folder = temporaryFolder();
  const port = await freePort();
  const log = join(folder, 'access.log');
  writeFileSync(log, '');
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const settings = `
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;`;
  const config = `
    daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
    events { worker_connections 512; }
    http {
      ${temp.join(' ')}
      log_format passed '$request_uri|$upstream_addr';
      access_log ${log} passed;
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      upstream app { server ${HOST}:${appPort}; keepalive 4; }
      server {
        listen ${HOST}:${port};
        location / {
          proxy_pass http://app;
          ${isPlain ? '' : settings}
        }
      }
    }`;
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, config);
  const child = start('nginx', ['-p', folder, '-c', file], 'ignore');
  const passedOn = () => targetsOf(readFileSync(log, 'latin1'), (fields) => fields[1] !== '-');
  return running(child, port, folder, passedOn);
};

export const startHaproxy: StartProxy = async (appPort, { proxyProtocol = false, check } = {}) => {
  const folder = temporaryFolder();
  const port = await freePort();
  // One thread: of several that write a line at the same time, some leave theirs out.
  const config = `
global
  nbthread 1
  log stdout format raw local0
  maxconn 512
defaults
  mode http
  log global
  log-format "%HU|%s"
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 30s
frontend in
  bind ${HOST}:${port}
  default_backend app
backend app
  http-reuse always
  ${check === undefined ? '' : `option httpchk GET ${check}`}
  server app ${HOST}:${appPort}${proxyProtocol ? ' send-proxy-v2' : ''}${check === undefined ? '' : ' check inter 50 rise 1 fall 1'}
`;
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(file, config);
  const child = start('haproxy', ['-db', '-f', file], 'pipe');
  let log = '';
  child.stdout!.setEncoding('latin1').on('data', (text: string) => {
    log += text;
  });
  return running(child, port, folder, () => targetsOf(log, (fields) => fields[1] === 'app'));
};

/** Lines of `target|server`. */
function targetsOf(log: string, isPassedOn: (fields: string[]) => boolean): string[] {
  return log
    .split('\n')
    .map((line) => line.split('|'))
    .filter((fields) => fields.length === 2 && isPassedOn(fields))
    .map(([target = '']) => target);
}

function start(program: string, args: string[], output: 'ignore' | 'pipe'): ChildProcess {
  // Where Debian puts them, and not on everybody's path.
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
  const found = spawnSync(program, ['-v'], { env });
  if (found.error !== undefined) {
    throw new Error(`${program} is not installed. On Debian: apt-get install nginx-light haproxy`);
  }
  return spawn(program, args, { env, stdio: ['ignore', output, 'inherit'] });
}

async function running(
  child: ChildProcess,
  port: number,
  folder: string,
  passedOn: () => string[],
): Promise<Proxy> {
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let isOpen = false;
  const tryOnce = (): void => {
    const socket = connect(port, HOST);
    socket.once('connect', () => {
      isOpen = true;
      socket.destroy();
    });
    socket.once('error', () => {
      if (child.exitCode === null) setTimeout(tryOnce, 50);
    });
  };
  tryOnce();
  await until(() => isOpen || child.exitCode !== null, 'the proxy listens');
  if (!isOpen) throw new Error(`${child.spawnfile} ended with ${child.exitCode}; its reason is above`);
  return {
    port,
    passedOn,
    async stop() {
      child.kill('SIGTERM');
      await within(exited, `the end of ${child.spawnfile}`);
      rmSync(folder, { recursive: true });
    },
  };
}

function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'millrace-proxy-'));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
