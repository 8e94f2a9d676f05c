import type { ClientRequest } from '../protocol/client-handshake.ts';
import { deflateOffer } from '../protocol/permessage-deflate.ts';
import type { BenchPlan } from './options.ts';
import { DEFLATE_OFFER } from './zlib-port.ts';

/** The upgrade request of a connection. */
export function upgradeRequest(
  plan: Pick<BenchPlan, 'target' | 'protocols' | 'headers' | 'deflate'>,
  key: string,
): ClientRequest {
  const { target, protocols, headers, deflate } = plan;
  const origin = headers.find(([name]) => name.toLowerCase() === 'origin');
  return {
    host: target.hostHeader,
    target: target.path,
    key,
    protocols,
    extensions: deflate ? [deflateOffer(DEFLATE_OFFER)] : [],
    headers: headers.filter((pair) => pair !== origin),
    ...(origin === undefined ? {} : { origin: origin[1] }),
  };
}
