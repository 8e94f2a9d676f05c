import { THREAD_SLOTS } from '../../../src/metrics/counter.ts';
import { ZlibDeflatePort } from '../../../src/net/zlib-deflater.ts';
import { MessageDeflate } from '../../../src/protocol/message-deflate.ts';
import type { DeflateParams } from '../../../src/protocol/permessage-deflate.ts';
import type { Role } from '../../../src/protocol/sender.ts';

/** Neither end keeps history. */
export const ALONE: DeflateParams = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
};
/** Both keep all there can be. */
export const HISTORY: DeflateParams = {
  ...ALONE,
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
};

export function deflatePort(): ZlibDeflatePort {
  return new ZlibDeflatePort(new Float64Array(THREAD_SLOTS));
}

export function messageDeflate(
  params: DeflateParams = ALONE,
  role: Role = 'server',
  port = deflatePort(),
): MessageDeflate {
  return new MessageDeflate(params, role, 8, port);
}
