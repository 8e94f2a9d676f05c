import type { BenchPlan } from '../../options.ts';
import type { ReceivedFrame } from './received-frame.ts';

/** Subprotocols that are asked for where nobody says which: all there are, the newest first. */
export const STOMP_PROTOCOLS = ['v12.stomp', 'v11.stomp', 'v10.stomp'] as const;

/** The id of the one subscription that a connection has. */
export const SUBSCRIPTION_NAME = 'sub-0';

/** Characters of an ERROR's body that are shown. */
const SHOWN_BODY = 200;

const VERSION = Buffer.from('version');
const MESSAGE = Buffer.from('message');

/** A frame with headers and no body. CONNECT escapes nothing (STOMP 1.2, "Value Encoding"). */
export function clientFrame(
  command: string,
  headers: readonly (readonly [name: string, value: string])[],
): string {
  return `${command}\n${headers.map(([name, value]) => `${name}:${value}\n`).join('')}\n\0`;
}

/** The CONNECT of a plan: neither side promises heart-beats. */
export function connectFrame(plan: BenchPlan): string {
  const versions = plan.protocols.flatMap((name) => {
    const known = (STOMP_PROTOCOLS as readonly string[]).includes(name);
    return known ? [`${name[1]}.${name[2]}`] : [];
  });
  const { login, passcode, virtualHost } = plan;
  return clientFrame('CONNECT', [
    ['accept-version', versions.length === 0 ? '1.2,1.1,1.0' : versions.join(',')],
    ['host', virtualHost],
    ['heart-beat', '0,0'],
    ...(login === '' ? [] : [['login', login] as const]),
    ...(passcode === '' ? [] : [['passcode', passcode] as const]),
  ]);
}

/** What a CONNECTED says; 1.0 says nothing. */
export function versionOf(frame: ReceivedFrame): string {
  return frame.text(VERSION) || '1.0';
}

/** An ERROR in words, which are the server's and may be anything. */
export function errorOf(frame: ReceivedFrame): string {
  const message = frame.text(MESSAGE);
  const body = frame.body().trim().slice(0, SHOWN_BODY);
  const said = [message, body === message ? '' : body].filter((text) => text !== '').join(': ');
  return `the broker sent ERROR${said === '' ? '' : ` (${said})`}`;
}
