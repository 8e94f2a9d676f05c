import { isIP } from 'node:net';
import { MillraceError } from '../errors.ts';
import { withoutPassword } from '../printable.ts';

/** Where a WebSocket URL leads. */
export interface Target {
  /** The URL as it is shown: without a fragment. */
  readonly url: string;
  readonly secure: boolean;
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Value of Host. */
  readonly hostHeader: string;
  /** Name for TLS (SNI); '' for an address. */
  readonly servername: string;
  /** Path and query. */
  readonly path: string;
  /** `Authorization` from a user name and password in the URL, or ''. */
  readonly authorization: string;
}

const EXAMPLE = 'such as ws://localhost:9001/ or wss://example.com/chat';

/**
 * Takes a ws:// or wss:// URL apart. A host and port without a scheme is ws://.
 *
 * @throws MillraceError MILLRACE_INVALID_OPTION
 */
export function parseTarget(text: string): Target {
  const url = parse(/^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `ws://${text}`, text);
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    const scheme = url.protocol === 'https:' ? 'wss' : 'ws';
    const rest = /^https?:$/.test(url.protocol)
      ? `; did you mean ${scheme}${withoutPassword(url.href).slice(url.protocol.length - 1)}?`
      : '';
    throw invalid(`the URL must begin with ws:// or wss://; got '${withoutPassword(text)}'${rest}`);
  }
  const secure = url.protocol === 'wss:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  url.hash = '';
  return {
    url: withoutCredentials(url),
    secure,
    host,
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    hostHeader: url.host,
    servername: isIP(host) === 0 ? host : '',
    path: `${url.pathname}${url.search}`,
    authorization: authorizationOf(url),
  };
}

function parse(url: string, text: string): URL {
  if (URL.canParse(url)) return new URL(url);
  throw invalid(`'${withoutPassword(text)}' is no URL: give one ${EXAMPLE}`);
}

/** RFC 7617. */
function authorizationOf({ username, password }: URL): string {
  if (username === '' && password === '') return '';
  return `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(
      "the user name or password in the URL has a '%' that is no percent-encoding: write it as %25",
    );
  }
}

function withoutCredentials(url: URL): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.href;
}

function invalid(message: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', message);
}
