import { randomMaskKey, textPort, utf8Port } from '../net/native-ports.ts';
import { compressionSettings } from '../protocol/compression.ts';
import { ConnectionContext, type ConnectionHandler } from '../protocol/connection.ts';
import type { DeflateParams } from '../protocol/permessage-deflate.ts';
import type { Shard } from '../shard/shard.ts';
import type { CheckedBehavior } from './behavior.ts';

/** RouteProtocols: the protocol's rules for the connections of a route, by what of permessage-deflate they agreed on. */
export class RouteProtocols {
  /** Of connections that agreed on nothing of it. */
  readonly plain: ConnectionContext;
  readonly #behavior: CheckedBehavior;
  readonly #shard: Shard;
  readonly #handler: ConnectionHandler;
  readonly #deflating = new Map<number, ConnectionContext>();

  constructor(behavior: CheckedBehavior, shard: Shard, handler: ConnectionHandler) {
    this.#behavior = behavior;
    this.#shard = shard;
    this.#handler = handler;
    this.plain = this.#newContext(undefined);
  }

  of(deflate: DeflateParams | undefined): ConnectionContext {
    if (deflate === undefined) return this.plain;
    const key = numberOf(deflate);
    let context = this.#deflating.get(key);
    if (context === undefined) {
      context = this.#newContext(deflate);
      this.#deflating.set(key, context);
    }
    return context;
  }

  #newContext(deflate: DeflateParams | undefined): ConnectionContext {
    const { timer } = this.#shard.io;
    const { memLevel } = compressionSettings(this.#behavior.compression) ?? {};
    const options = { role: 'server', ...this.#behavior, deflate, deflateMemLevel: memLevel } as const;
    return new ConnectionContext(options, this.#handler, {
      utf8: utf8Port,
      text: textPort,
      pool: this.#shard.messagePool,
      seconds: () => timer.now,
      maskKey: randomMaskKey,
      deflate: this.#shard.deflate,
      pace: this.#shard.io.pace,
    });
  }
}

/** A number for what was agreed on, different for each. */
function numberOf(params: DeflateParams): number {
  const server = params.serverMaxWindowBits * 2 + (params.serverNoContextTakeover ? 1 : 0);
  const client = params.clientMaxWindowBits * 2 + (params.clientNoContextTakeover ? 1 : 0);
  return server * 32 + client;
}
