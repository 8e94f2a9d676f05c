import type { RequestHead } from '../http/request-head.ts';
import { ANY_METHOD, Router } from '../http/router.ts';
import type { RouteEntry } from '../shard/control-message.ts';

/** RouteTable: the WebSocket routes of a shard, which have the number of their place between threads. */
export class RouteTable {
  /** Tells it from others: shards of one app module have the same. */
  readonly signature: string;
  readonly routes: readonly RouteEntry[];
  readonly #router = new Router<number>();

  constructor(routes: readonly RouteEntry[]) {
    this.signature = RouteTable.signatureOf(routes);
    this.routes = routes;
    routes.forEach((route, i) => {
      this.#router.add(ANY_METHOD, route.pattern, i);
    });
  }

  static signatureOf(routes: readonly RouteEntry[]): string {
    return JSON.stringify(routes);
  }

  /** The number of the route that a request is for, or -1. */
  find(head: RequestHead): number {
    let found = -1;
    this.#router.match(ANY_METHOD, head.path, (route) => {
      found = route;
      return true;
    });
    return found;
  }
}
