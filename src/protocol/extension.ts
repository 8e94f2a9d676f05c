import { assertToken, HeaderCursor } from './header-value.ts';

/** `server_no_context_takeover`, or `server_max_window_bits=10`: a name with a value, or `true` for none. */
export interface ExtensionParam {
  name: string;
  value: string | true;
}

/** One element of Sec-WebSocket-Extensions. Names and order are those sent; a name may occur more than once. */
export interface ExtensionOffer {
  name: string;
  params: ExtensionParam[];
}

/** A header with more offers than this is malformed to us. Browsers send one. */
export const MAX_EXTENSION_OFFERS = 32;

/** An offer with more parameters than this is malformed to us. permessage-deflate knows four. */
export const MAX_EXTENSION_PARAMS = 32;

const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;

/**
 * Parses Sec-WebSocket-Extensions (RFC 6455 §9.1). Returns no offers for '', which is how an absent header
 * reads, and undefined for a malformed header; empty list elements are malformed. Names are only data here:
 * what an extension makes of unknown or repeated parameters is for its negotiation to say.
 */
export function parseExtensions(header: string): ExtensionOffer[] | undefined {
  const offers: ExtensionOffer[] = [];
  if (header === '') return offers;
  const cursor = new HeaderCursor(header);
  do {
    const offer = parseOffer(cursor);
    if (offer === undefined || offers.length === MAX_EXTENSION_OFFERS) return undefined;
    offers.push(offer);
  } while (cursor.take(COMMA));
  return cursor.atEnd() ? offers : undefined;
}

function parseOffer(cursor: HeaderCursor): ExtensionOffer | undefined {
  const name = cursor.token();
  if (name === '') return undefined;
  const params: ExtensionParam[] = [];
  while (cursor.take(SEMICOLON)) {
    const param = parseParam(cursor);
    if (param === undefined || params.length === MAX_EXTENSION_PARAMS) return undefined;
    params.push(param);
  }
  return { name, params };
}

function parseParam(cursor: HeaderCursor): ExtensionParam | undefined {
  const name = cursor.token();
  if (name === '') return undefined;
  if (!cursor.take(EQUALS)) return { name, value: true };
  // A quoted value has to be a token as well once it is unquoted, so an empty one is malformed too.
  const value = cursor.tokenOrQuoted();
  return value === '' ? undefined : { name, value };
}

/**
 * The value of Sec-WebSocket-Extensions for these offers (client) or this answer (server).
 * Throws MILLRACE_INVALID_ARGUMENT if a name or value is not a token.
 */
export function formatExtensions(extensions: readonly ExtensionOffer[]): string {
  return extensions.map(formatOffer).join(', ');
}

function formatOffer(offer: ExtensionOffer): string {
  assertToken('The name of an extension', offer.name);
  let text = offer.name;
  for (const { name, value } of offer.params) {
    assertToken('The name of an extension parameter', name);
    text += `; ${name}`;
    if (value === true) continue;
    assertToken('The value of an extension parameter', value);
    text += `=${value}`;
  }
  return text;
}
