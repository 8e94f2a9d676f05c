import type { CompressionSettings } from '../../../src/protocol/compression.ts';
import type { DeflateParams } from '../../../src/protocol/permessage-deflate.ts';

/** The negotiation of permessage-deflate read from RFC 7692 §7.1 sentence by sentence: all answers are tried. */

export interface AnswerParams {
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  readonly serverMaxWindowBits: number | undefined;
  readonly clientMaxWindowBits: number | undefined;
}

export type OfferParams = Omit<AnswerParams, 'clientMaxWindowBits'> & {
  readonly clientMaxWindowBits: number | true | undefined;
};

type Offer = {
  readonly name: string;
  readonly params: readonly { readonly name: string; readonly value: string | true }[];
};

const BITS = new Set(['8', '9', '10', '11', '12', '13', '14', '15']);

/** Undefined when §7.1 wants the offer declined. */
export function readOffer({ name, params }: Offer): (AnswerParams & OfferParams) | undefined {
  if (name !== 'permessage-deflate') return undefined;
  const all = (wanted: string): (string | true)[] =>
    params.filter((each) => each.name === wanted).map(({ value }) => value);
  const [server, client] = [all('server_no_context_takeover'), all('client_no_context_takeover')];
  const [serverBits, clientBits] = [all('server_max_window_bits'), all('client_max_window_bits')];
  const groups = [server, client, serverBits, clientBits];
  // §7.1: unknown names, several parameters of one name.
  if (groups.reduce((sum, group) => sum + group.length, 0) !== params.length) return undefined;
  if (groups.some((group) => group.length > 1)) return undefined;
  // §7.1.1: no value. §7.1.2.1: a value. §7.1.2.2: a value or none.
  if ([...server, ...client].some((value) => value !== true)) return undefined;
  if (serverBits.some((value) => !BITS.has(value as string))) return undefined;
  if (clientBits.some((value) => value !== true && !BITS.has(value))) return undefined;
  return {
    serverNoContextTakeover: server.length === 1,
    clientNoContextTakeover: client.length === 1,
    serverMaxWindowBits: serverBits.length === 1 ? Number(serverBits[0]) : undefined,
    clientMaxWindowBits: (clientBits[0] === true
      ? true
      : clientBits.length === 1
        ? Number(clientBits[0])
        : undefined) as number | undefined,
  };
}

/** Whether a server that accepts the offer may answer so. */
export function mayAnswer(offer: OfferParams, answer: AnswerParams): boolean {
  // §7.1.1.1: accepted by including it.
  if (offer.serverNoContextTakeover && !answer.serverNoContextTakeover) return false;
  // §7.1.2.1: accepted by including it with the same or a smaller value.
  if (offer.serverMaxWindowBits !== undefined) {
    if (answer.serverMaxWindowBits === undefined) return false;
    if (answer.serverMaxWindowBits > offer.serverMaxWindowBits) return false;
  }
  // §7.1.2.2: only if it was in the offer, with the same or a smaller value.
  if (answer.clientMaxWindowBits === undefined) return true;
  if (offer.clientMaxWindowBits === undefined) return false;
  return offer.clientMaxWindowBits === true || answer.clientMaxWindowBits <= offer.clientMaxWindowBits;
}

/** What both ends then do. */
function outcome(offer: OfferParams, answer: AnswerParams): DeflateParams {
  const hint = typeof offer.clientMaxWindowBits === 'number' ? offer.clientMaxWindowBits : 15;
  return {
    serverNoContextTakeover: answer.serverNoContextTakeover,
    clientNoContextTakeover: answer.clientNoContextTakeover || offer.clientNoContextTakeover,
    serverMaxWindowBits: answer.serverMaxWindowBits ?? 15,
    clientMaxWindowBits: answer.clientMaxWindowBits ?? hint,
  };
}

/** Of all that may be answered, what keeps most history within what the server is set to. */
export function bestAnswer(offer: OfferParams, settings: CompressionSettings): DeflateParams {
  let best: DeflateParams | undefined;
  let bestScore = -1;
  const windows = [undefined, 8, 9, 10, 11, 12, 13, 14, 15];
  for (const serverNoContextTakeover of [false, true]) {
    for (const clientNoContextTakeover of [false, true]) {
      for (const serverMaxWindowBits of windows) {
        for (const clientMaxWindowBits of windows) {
          const answer = {
            serverNoContextTakeover,
            clientNoContextTakeover,
            serverMaxWindowBits,
            clientMaxWindowBits,
          };
          if (!mayAnswer(offer, answer)) continue;
          const result = outcome(offer, answer);
          if (!isWithin(settings, result)) continue;
          const score =
            (result.serverNoContextTakeover ? 0 : 10_000) +
            (result.clientNoContextTakeover ? 0 : 1000) +
            result.serverMaxWindowBits * 20 +
            result.clientMaxWindowBits;
          if (score <= bestScore) continue;
          best = result;
          bestScore = score;
        }
      }
    }
  }
  return best!;
}

function isWithin(settings: CompressionSettings, result: DeflateParams): boolean {
  const { keepsHistory, windowBits, keepsPeerHistory, peerWindowBits } = settings;
  if (!result.serverNoContextTakeover && !(keepsHistory && result.serverMaxWindowBits <= windowBits)) {
    return false;
  }
  return result.clientNoContextTakeover || (keepsPeerHistory && result.clientMaxWindowBits <= peerWindowBits);
}
