import { OVER_LIMIT } from '../admission/address-limit.ts';
import type { Gate } from '../admission/gate.ts';
import type { HeadReader } from '../admission/head-reader.ts';
import { keyOfBytes } from '../admission/peer-address.ts';
import { ProxyStatus } from '../http/proxy-protocol.ts';
import { errorResponse } from '../http/response-writer.ts';
import { Counter } from '../metrics/counter.ts';
import type { Shard } from '../shard/shard.ts';
import type { FirstRequests } from './first-requests.ts';
import type { HttpConnection } from './http-connection.ts';

/** ProxiedClients: reads the headers of the PROXY protocol, and counts the clients that proxies speak for. */
export class ProxiedClients {
  readonly #shard: Shard;
  readonly #gate: Gate;
  readonly #heads: HeadReader<HttpConnection>;
  readonly #first: FirstRequests;

  constructor(shard: Shard, gate: Gate, heads: HeadReader<HttpConnection>, first: FirstRequests) {
    this.#shard = shard;
    this.#gate = gate;
    this.#heads = heads;
    this.#first = first;
  }

  /** Returns the position behind it; `end` when it is not complete, or refused. */
  read(connection: HttpConnection, bytes: Uint8Array, start: number, end: number): number {
    const header = connection.proxyHeader!;
    const status = header.feed(bytes, start, end);
    if (status === ProxyStatus.INCOMPLETE) return end;
    connection.proxyHeader = null;
    if (status === ProxyStatus.COMPLETE) {
      connection.proxied = { address: header.sourceAddress, port: header.sourcePort };
      return this.#enter(connection) ? header.consumed : end;
    }
    this.#shard.count(Counter.REFUSED);
    this.#heads.refuse(connection, errorResponse(400));
    return end;
  }

  /** Counts the client that the proxy speaks for. Returns false when it is cut off: too many of its address are told so. */
  #enter(connection: HttpConnection): boolean {
    const gate = this.#gate;
    const { transport, proxied, refusal } = connection;
    const key = keyOfBytes(proxied!.address);
    if (key === undefined || refusal !== null) return true;
    const row = gate.enterKey(key);
    if (row !== OVER_LIMIT) {
      transport.tag = row;
      return true;
    }
    connection.refusal = gate.refuseKey(key);
    if (connection.refusal === null) {
      transport.destroy();
      return false;
    }
    if (connection.isNew) this.#first.done(connection);
    return true;
  }
}
