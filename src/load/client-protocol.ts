import { ConnectionContext, type ConnectionHandler } from '../protocol/connection.ts';
import { textPort, utf8Port } from './native-ports.ts';
import { DEFLATE_PARAMS, LoadDeflatePort } from './zlib-port.ts';

/** Bytes of a message that is taken; a server that sends more breaks off. */
const MAX_MESSAGE = 64 * 1024 * 1024;

/** The rules of WebSocket as a load client keeps them: it takes whatever it can hold. */
export function clientProtocol(handler: ConnectionHandler, deflate: boolean): ConnectionContext {
  return new ConnectionContext(
    {
      role: 'client',
      maxPayloadLength: MAX_MESSAGE,
      maxFragments: 2 ** 31,
      maxPingsPerSecond: Number.POSITIVE_INFINITY,
      deflate: deflate ? DEFLATE_PARAMS : undefined,
    },
    handler,
    {
      utf8: utf8Port,
      text: textPort,
      deflate: new LoadDeflatePort(),
      seconds: () => Math.floor(performance.now() / 1000),
      // RFC 6455 §10.3 protects proxies from what scripts make browsers send; these frames are ours.
      maskKey: () => 0x5a5a_a5a5,
    },
  );
}
