import { getInteger } from 'millrace';
import { HostileClient } from '../clients/hostile-client.ts';
import { sleep } from '../tools/deadline.ts';
import { type Mode, type Running, startApp, startModule } from './server.ts';

/** An App that answers every method and path with the body it got, and remembers what it was asked. */
export interface EchoServer {
  readonly running: Running;
  /** The paths of all requests that reached a handler. */
  readonly paths: Set<string>;
}

export function startEcho(options?: Parameters<typeof startApp>[1]): EchoServer {
  const paths = new Set<string>();
  const running = startApp((app) => {
    app.any('/*', (res, req) => {
      paths.add(req.getUrl());
      res.onAborted(() => {});
      res.collectBody(1024 * 1024, (body) => {
        if (body === null) res.writeStatus('413 Content Too Large').end();
        else res.end(body);
      });
    });
  }, options);
  return { running, paths };
}

/** The same in either mode. The paths are looked up in the key-value store, which all shards share. */
export async function startEchoIn(
  mode: Mode,
): Promise<{ running: Running; paths: { has(path: string): boolean } }> {
  const running = await startModule(mode, 'echo-paths-app.js');
  return { running, paths: { has: (path) => getInteger(path, 'paths') === 1 } };
}

/** What came back until the server ended the connection, or stayed silent for `quiet` ms. */
export interface Answers {
  readonly text: string;
  readonly hasFin: boolean;
  readonly error: string;
}

/** Sends the pieces on one connection and keeps it open for as long as the server does. */
export async function send(
  port: number,
  pieces: readonly Uint8Array[],
  quiet = 0,
  pause = 0,
): Promise<Answers> {
  const client = await HostileClient.open(port);
  await client.writePieces(pieces, pause);
  if (quiet > 0) await Promise.race([sleep(quiet), client.untilOver()]);
  else await client.untilOver();
  const answers = { text: client.bytes.toString('latin1'), hasFin: client.hasFin, error: client.error };
  client.destroy();
  return answers;
}
