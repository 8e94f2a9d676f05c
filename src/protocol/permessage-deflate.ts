/**
 * permessage-deflate: the negotiation (RFC 7692 §5, §7.1), server and client role. What is then done with
 * messages is in message-deflate.ts.
 */
import { MillraceError } from '../errors.ts';
import type { CompressionSettings } from './compression.ts';
import type { ExtensionOffer, ExtensionParam } from './extension.ts';

export const PERMESSAGE_DEFLATE = 'permessage-deflate';

const SERVER_NO_CONTEXT_TAKEOVER = 'server_no_context_takeover';
const CLIENT_NO_CONTEXT_TAKEOVER = 'client_no_context_takeover';
const SERVER_MAX_WINDOW_BITS = 'server_max_window_bits';
const CLIENT_MAX_WINDOW_BITS = 'client_max_window_bits';

/** The smallest and the largest sliding window, as exponents of 2 (RFC 7692 §7.1.2). */
export const MIN_WINDOW_BITS = 8;
export const MAX_WINDOW_BITS = 15;

/** What the two ends agreed on. */
export interface DeflateParams {
  /** The server's messages do not refer to earlier ones of it. */
  readonly serverNoContextTakeover: boolean;
  readonly clientNoContextTakeover: boolean;
  /** The server's messages refer back by at most 2^n bytes. 8 to 15. */
  readonly serverMaxWindowBits: number;
  readonly clientMaxWindowBits: number;
}

/** The parameters of one offer or answer that keep to the grammar of RFC 7692 §7.1. */
interface ReadParams {
  serverNoContextTakeover: boolean;
  clientNoContextTakeover: boolean;
  /** Undefined: not there. */
  serverMaxWindowBits: number | undefined;
  /** True: there without a value, which only an offer may have. */
  clientMaxWindowBits: number | true | undefined;
}

/** Undefined for an unknown name, one that stands twice, or a value that is missing, superfluous or invalid. */
function readParams(params: readonly ExtensionParam[]): ReadParams | undefined {
  const names = new Set<string>();
  const read: ReadParams = {
    serverNoContextTakeover: false,
    clientNoContextTakeover: false,
    serverMaxWindowBits: undefined,
    clientMaxWindowBits: undefined,
  };
  for (const { name, value } of params) {
    if (names.has(name) || !readParam(read, name, value)) return undefined;
    names.add(name);
  }
  return read;
}

function readParam(read: ReadParams, name: string, value: string | true): boolean {
  switch (name) {
    case SERVER_NO_CONTEXT_TAKEOVER:
      read.serverNoContextTakeover = true;
      return value === true;
    case CLIENT_NO_CONTEXT_TAKEOVER:
      read.clientNoContextTakeover = true;
      return value === true;
    case SERVER_MAX_WINDOW_BITS:
      read.serverMaxWindowBits = windowBitsOf(value);
      return read.serverMaxWindowBits !== undefined;
    case CLIENT_MAX_WINDOW_BITS:
      read.clientMaxWindowBits = value === true ? true : windowBitsOf(value);
      return read.clientMaxWindowBits !== undefined;
    default:
      return false;
  }
}

/** A decimal integer without leading zeros, 8 to 15. */
function windowBitsOf(value: string | true): number | undefined {
  if (value === '8' || value === '9') return Number(value);
  if (value === true || value.length !== 2 || value[0] !== '1') return undefined;
  const digit = value.charCodeAt(1) - 0x30;
  return digit >= 0 && digit <= 5 ? 10 + digit : undefined;
}

/** What the server answers to an offer it accepts, and what the two then do. */
export interface DeflateAgreement {
  readonly params: DeflateParams;
  /** For Sec-WebSocket-Extensions of the 101. */
  readonly answer: ExtensionOffer;
}

/**
 * The server's choice (RFC 7692 §5.1): the first offer it can accept. Undefined: there is none, and the answer
 * names no extension. What is wrong with an offer only makes the server pass it over.
 */
export function acceptDeflate(
  offers: readonly ExtensionOffer[],
  settings: CompressionSettings,
): DeflateAgreement | undefined {
  for (const { name, params } of offers) {
    if (name !== PERMESSAGE_DEFLATE) continue;
    const offer = readParams(params);
    if (offer !== undefined) return agree(offer, settings);
  }
  return undefined;
}

function agree(offer: ReadParams, settings: CompressionSettings): DeflateAgreement {
  const params: ExtensionParam[] = [];
  const serverKeeps = settings.keepsHistory && !offer.serverNoContextTakeover;
  if (!serverKeeps) params.push({ name: SERVER_NO_CONTEXT_TAKEOVER, value: true });
  const clientKeeps = keepsClientHistory(offer, settings);
  if (!clientKeeps) params.push({ name: CLIENT_NO_CONTEXT_TAKEOVER, value: true });

  const ownWindow = serverKeeps ? settings.windowBits : MAX_WINDOW_BITS;
  const serverMaxWindowBits = Math.min(ownWindow, offer.serverMaxWindowBits ?? MAX_WINDOW_BITS);
  // Unasked as well (§7.1.2.1): it tells a client how little it has to keep.
  if (offer.serverMaxWindowBits !== undefined || serverMaxWindowBits < MAX_WINDOW_BITS) {
    params.push({ name: SERVER_MAX_WINDOW_BITS, value: String(serverMaxWindowBits) });
  }
  // Without history the window of what the client sends does not matter.
  const offered = typeof offer.clientMaxWindowBits === 'number' ? offer.clientMaxWindowBits : MAX_WINDOW_BITS;
  const clientMaxWindowBits = clientKeeps ? Math.min(settings.peerWindowBits, offered) : offered;
  // Never unasked: §7.1.2.2.
  if (clientKeeps && clientMaxWindowBits < MAX_WINDOW_BITS) {
    params.push({ name: CLIENT_MAX_WINDOW_BITS, value: String(clientMaxWindowBits) });
  }
  return {
    params: {
      serverNoContextTakeover: !serverKeeps,
      clientNoContextTakeover: !clientKeeps,
      serverMaxWindowBits,
      clientMaxWindowBits,
    },
    answer: { name: PERMESSAGE_DEFLATE, params },
  };
}

/** A client that cannot be asked for a smaller window than 32 KiB is asked to keep no history instead. */
function keepsClientHistory(offer: ReadParams, settings: CompressionSettings): boolean {
  if (!settings.keepsPeerHistory || offer.clientNoContextTakeover) return false;
  return offer.clientMaxWindowBits !== undefined || settings.peerWindowBits === MAX_WINDOW_BITS;
}

/** What a client offers. All are left out by default but `clientMaxWindowBits`. */
export interface DeflateOfferOptions {
  /** Ask the server not to refer to earlier messages. Default false. */
  readonly serverNoContextTakeover?: boolean;
  /** Tell the server that this client does not refer to earlier messages. Default false. */
  readonly clientNoContextTakeover?: boolean;
  /** Ask the server for a window of at most 2^n bytes. 8 to 15. */
  readonly serverMaxWindowBits?: number;
  /** The window of this client: at most 2^n bytes, 8 to 15, or less if the server asks for it; true: up to the server. Default true. */
  readonly clientMaxWindowBits?: number | true | false;
}

/**
 * The offer of a client, for Sec-WebSocket-Extensions.
 *
 * @throws MillraceError MILLRACE_INVALID_ARGUMENT when a window is not 8 to 15
 */
export function deflateOffer(options: DeflateOfferOptions = {}): ExtensionOffer {
  const { clientMaxWindowBits = true, serverMaxWindowBits } = options;
  const params: ExtensionParam[] = [];
  if (options.serverNoContextTakeover) params.push({ name: SERVER_NO_CONTEXT_TAKEOVER, value: true });
  if (options.clientNoContextTakeover) params.push({ name: CLIENT_NO_CONTEXT_TAKEOVER, value: true });
  if (serverMaxWindowBits !== undefined) {
    params.push({
      name: SERVER_MAX_WINDOW_BITS,
      value: checkedBits('serverMaxWindowBits', serverMaxWindowBits),
    });
  }
  if (clientMaxWindowBits !== false) {
    const value =
      clientMaxWindowBits === true ? true : checkedBits('clientMaxWindowBits', clientMaxWindowBits);
    params.push({ name: CLIENT_MAX_WINDOW_BITS, value });
  }
  return { name: PERMESSAGE_DEFLATE, params };
}

function checkedBits(name: string, bits: number): string {
  if (Number.isInteger(bits) && bits >= MIN_WINDOW_BITS && bits <= MAX_WINDOW_BITS) return String(bits);
  throw new MillraceError(
    'MILLRACE_INVALID_ARGUMENT',
    `${name} must be an integer from 8 to 15; got ${bits}`,
  );
}

/**
 * Checks the server's answer to an offer (RFC 7692 §7.1). Returns what is agreed, null when the server declined,
 * or in words what is wrong, which must fail the connection.
 */
export function checkDeflateAnswer(
  answers: readonly ExtensionOffer[],
  offer: DeflateOfferOptions,
): DeflateParams | null | string {
  const own = answers.filter(({ name }) => name === PERMESSAGE_DEFLATE);
  if (own.length === 0) return null;
  if (own.length > 1) return 'The server accepted permessage-deflate twice';
  const read = readParams(own[0]!.params);
  if (read === undefined || read.clientMaxWindowBits === true) {
    return 'The server answered permessage-deflate with an invalid parameter';
  }
  return answerError(read, offer) ?? agreedParams(read, offer);
}

/** What is in an answer that the offer does not allow, or missing that it demands. */
function answerError(read: ReadParams, offer: DeflateOfferOptions): string | undefined {
  const { clientMaxWindowBits = true, serverMaxWindowBits } = offer;
  if (offer.serverNoContextTakeover === true && !read.serverNoContextTakeover) {
    return `The server accepted permessage-deflate without ${SERVER_NO_CONTEXT_TAKEOVER}`;
  }
  if (serverMaxWindowBits !== undefined && !((read.serverMaxWindowBits ?? 16) <= serverMaxWindowBits)) {
    return `The server accepted permessage-deflate with a larger ${SERVER_MAX_WINDOW_BITS} than offered`;
  }
  if (read.clientMaxWindowBits === undefined) return undefined;
  if (clientMaxWindowBits === false)
    return `The server asked for ${CLIENT_MAX_WINDOW_BITS}, which was not offered`;
  if (clientMaxWindowBits !== true && (read.clientMaxWindowBits as number) > clientMaxWindowBits) {
    return `The server asked for a larger ${CLIENT_MAX_WINDOW_BITS} than offered`;
  }
  return undefined;
}

function agreedParams(read: ReadParams, offer: DeflateOfferOptions): DeflateParams {
  const offered = typeof offer.clientMaxWindowBits === 'number' ? offer.clientMaxWindowBits : MAX_WINDOW_BITS;
  return {
    serverNoContextTakeover: read.serverNoContextTakeover,
    clientNoContextTakeover: read.clientNoContextTakeover || offer.clientNoContextTakeover === true,
    serverMaxWindowBits: read.serverMaxWindowBits ?? MAX_WINDOW_BITS,
    clientMaxWindowBits: (read.clientMaxWindowBits as number | undefined) ?? offered,
  };
}
