import type { ClientRequest } from '../protocol/client-handshake.ts';
import type { BenchPlan } from './options.ts';

/** The upgrade request of a connection. */
export function upgradeRequest(
  plan: Pick<BenchPlan, 'target' | 'protocols' | 'headers'>,
  key: string,
): ClientRequest {
  const { target, protocols, headers } = plan;
  const origin = headers.find(([name]) => name.toLowerCase() === 'origin');
  return {
    host: target.hostHeader,
    target: target.path,
    key,
    protocols,
    headers: headers.filter((pair) => pair !== origin),
    ...(origin === undefined ? {} : { origin: origin[1] }),
  };
}
