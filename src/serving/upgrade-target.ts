import type { Transport } from '../net/transport.ts';
import type { DeflateParams } from '../protocol/permessage-deflate.ts';
import type { Drainable } from '../shard/drain.ts';
import type { UpgradeRules } from '../shard/upgrade.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { RequestHandler } from './request-handler.ts';

/**
 * UpgradeTarget: what an HTTP connection becomes when it answers a handshake with 101: a WebSocket of some route. What the
 * target does with the socket afterwards, serving does not know.
 */
export interface UpgradeTarget extends Drainable {
  /** Of the URLs it is asked for by. */
  readonly pattern: string;
  /** What a handshake must satisfy. */
  readonly rules: UpgradeRules;
  /** `open` reads the request, and may do so when it has returned. */
  readonly readsRequest: boolean;
  /** Decides on each handshake that satisfies the rules; undefined: they are accepted. */
  readonly upgrade: RequestHandler | undefined;
  /**
   * Takes the socket over: its context and owner are the target's from here on. The 101 was sent or is corked.
   *
   * @param userData own properties of what `res.upgrade` was given
   * @param deflate what of permessage-deflate was agreed on
   */
  open(
    transport: Transport,
    request: IncomingRequest,
    userData: unknown,
    deflate: DeflateParams | undefined,
  ): void;
  /** `upgrade`, or a callback of the response it was given, threw or rejected. */
  upgradeFailed(error: unknown): void;
}
