import { bindAddress, boundPort, Listener } from '../../../src/net/listener.ts';
import { checkServerLimits } from '../../../src/options/server-limits.ts';
import { HttpServer } from '../../../src/serving/http-server.ts';
import type { RequestHandler } from '../../../src/serving/request-handler.ts';
import { Shard } from '../../../src/shard/shard.ts';

/** The engine's HTTP server on a port of its own, without an App. */
export class Engine {
  readonly shard = new Shard();
  readonly http = new HttpServer(this.shard, checkServerLimits('the test', {}));
  readonly port: number;
  readonly #listener: Listener;

  constructor() {
    this.#listener = new Listener(16, {
      onConnection: (client) => {
        this.http.start(this.shard.adopt(client, this.http));
      },
      onAcceptError: () => {},
    });
    const handle = bindAddress('127.0.0.1', 0);
    this.port = boundPort(handle);
    this.#listener.start(handle);
  }

  get(pattern: string, handler: RequestHandler): void {
    this.http.dispatcher.routes.http.add('GET', pattern, handler);
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.shard.destroyAll();
  }
}
