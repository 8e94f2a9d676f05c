import { invalidArgument, MillraceError } from '../errors.ts';
import type { RequestHead } from '../http/request-head.ts';
import { switchingProtocols } from '../http/response-writer.ts';
import { sha1Port, writeUtf8 } from '../net/native-ports.ts';
import type { Transport } from '../net/transport.ts';
import { acceptValue, isHandshakeKey } from '../protocol/handshake.ts';
import type { DeflateParams } from '../protocol/permessage-deflate.ts';
import { selectSubprotocol } from '../protocol/subprotocol.ts';
import type { Shard } from '../shard/shard.ts';
import {
  acceptUpgrade,
  agreeDeflate,
  chooseDeflate,
  chooseProtocol,
  extensionsText,
} from '../shard/upgrade.ts';
import type { HttpConnection } from './http-connection.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { OutgoingResponse, UpgradeFields } from './outgoing-response.ts';
import type { UpgradeTarget } from './upgrade-target.ts';

/** Upgrader: answers good handshakes with 101, and gives their sockets to what they ask for. */
export class Upgrader {
  readonly #shard: Shard;

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  /** Of a socket that comes with its handshake, which was checked elsewhere. */
  acceptFirst(
    transport: Transport,
    target: UpgradeTarget,
    head: RequestHead,
    request: IncomingRequest,
  ): void {
    const deflate = agreeDeflate(head, target.rules);
    writeUtf8(transport, acceptUpgrade(head, chooseProtocol(head, target.rules), deflate));
    target.open(transport, request, undefined, deflate?.params);
  }

  /** Of a request of the connection, which satisfies the target's rules, and whose target leaves it at that. */
  accept(connection: HttpConnection, target: UpgradeTarget, head: RequestHead): void {
    const deflate = agreeDeflate(head, target.rules);
    const lines = acceptUpgrade(head, chooseProtocol(head, target.rules), deflate);
    this.#open(connection, target, lines, undefined, deflate?.params);
  }

  /** `res.upgrade` was called: the `upgrade` handler accepts the handshake. */
  answer(connection: HttpConnection, response: OutgoingResponse, upgrade: UpgradeFields): void {
    const target = connection.upgradeTarget;
    if (target === null || connection.response !== response) {
      throw new MillraceError(
        'MILLRACE_APP_STATE',
        'res.upgrade: this response does not answer a WebSocket handshake; only the upgrade handler of a ws() route can call it',
      );
    }
    if (!isHandshakeKey(upgrade.key)) {
      throw invalidArgument("res.upgrade: secWebSocketKey must be the request's sec-websocket-key header");
    }
    const deflate =
      target.rules.compression === 0
        ? undefined
        : chooseDeflate(upgrade.extensions, connection.request!.head.header('user-agent'), target.rules);
    const lines = switchingProtocols({
      accept: acceptValue(upgrade.key, sha1Port),
      // uWebSockets.js answers with the first of the list it is given.
      protocol: selectSubprotocol(
        upgrade.protocol.split(',').map((name) => name.trim()),
        target.rules.protocols,
      ),
      extensions: extensionsText(deflate),
      extraHeaders: response.headerLines,
    });
    // Copied now: its getters are the user's, and may throw as long as nothing is sent.
    const userData = ownPropertiesOf(upgrade.userData);
    if (connection.response !== response) {
      throw new MillraceError(
        'MILLRACE_APP_STATE',
        'res.upgrade: a getter of the user data answered the handshake, or closed the connection',
      );
    }
    response.markUpgraded();
    connection.response = null;
    this.#open(connection, target, lines, userData, deflate?.params);
  }

  #open(
    connection: HttpConnection,
    target: UpgradeTarget,
    response: string,
    userData: unknown,
    deflate: DeflateParams | undefined,
  ): void {
    const { transport } = connection;
    const { rest, restAt, restEnd } = connection;
    connection.dropRest();
    const previous = transport.io.corked;
    transport.beginCork();
    writeUtf8(transport, response);
    this.#shard.io.timer.cancel(transport);
    target.open(transport, connection.request!, userData, deflate);
    if (restAt < restEnd && !transport.isClosed) transport.context.onChunk(transport, rest, restAt, restEnd);
    // The handler has waited, and the shard is to end by now.
    if (this.#shard.isDraining && !transport.isClosed) target.drain(transport, this.#shard.drainCode);
    transport.endCork(previous);
    if (!transport.isClosed) transport.resume();
  }
}

/** What `Object.assign` would copy, but for a prototype. */
function ownPropertiesOf(userData: unknown): object | undefined {
  if (typeof userData !== 'object' || userData === null) return undefined;
  // Texts of peers become user data by JSON.parse, which makes a property of this name.
  const { ['__proto__']: _, ...own } = userData as Record<string, unknown>;
  return own;
}
