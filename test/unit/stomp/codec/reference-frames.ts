import type { FrameLimits } from '../../../../src/stomp/codec/frame-parser.ts';

/** What bytes say: whole frames, then why no more can be read, or '' when more may come. */
export interface Reading {
  readonly frames: { command: string; headers: [string, string][]; body: string }[];
  readonly fault: string;
}

const CLIENT = 'CONNECT STOMP SEND SUBSCRIBE UNSUBSCRIBE ACK NACK BEGIN COMMIT ABORT DISCONNECT'.split(' ');
const WITH_BODY = new Set(['SEND', 'MESSAGE', 'ERROR']);
const PLAIN: Record<string, string> = { n: '\n', c: ':', '\\': '\\', r: '\r' };

class Fault extends Error {}
class Incomplete extends Error {}

/**
 * A slow and obvious reader of the frames of clients, written from the text of the STOMP specifications: it looks at all
 * bytes at once and knows no state. Bytes are characters here.
 */
export function referenceFrames(text: string, version: string | null, limits: FrameLimits): Reading {
  const frames: Reading['frames'] = [];
  let rest = text;
  try {
    for (;;) {
      rest = rest.replace(/^(?:\n|\r\n)+/, '');
      if (rest === '' || rest === '\r') return { frames, fault: '' };
      if (rest.startsWith('\r')) throw new Fault('command');
      const { frame, size } = readFrame(rest, version, limits);
      frames.push(frame);
      rest = rest.slice(size);
    }
  } catch (error) {
    if (error instanceof Incomplete) return { frames, fault: '' };
    if (error instanceof Fault) return { frames, fault: error.message };
    throw error;
  }
}

function readFrame(text: string, version: string | null, limits: FrameLimits) {
  const commandEnd = text.search(/[\n\0]/);
  if (text[commandEnd] === '\0') throw new Fault('command');
  if (commandEnd > 12 || (commandEnd < 0 && text.length > 12)) throw new Fault('command');
  if (commandEnd < 0) throw new Incomplete();
  const commandLine = text.slice(0, commandEnd);
  const command = version === null || version === '1.2' ? commandLine.replace(/\r$/, '') : commandLine;
  if (!CLIENT.includes(command)) throw new Fault('command');
  const isConnect = command === 'CONNECT' || command === 'STOMP';
  const takesCrLf = version === null || version === '1.2' || isConnect;
  const headers: [string, string][] = [];
  let at = commandEnd + 1;
  for (;;) {
    const stop = text.slice(at).search(/[\n\0]/);
    const end = stop < 0 ? text.length : at + stop;
    const most = Math.min(at + limits.maxLineLength + 2, limits.maxFrameLength);
    if (end >= most) throw new Fault('limit');
    if (stop < 0) throw new Incomplete();
    if (text[end] === '\0') throw new Fault('header');
    const raw = text.slice(at, end);
    const line = takesCrLf ? raw.replace(/\r$/, '') : raw;
    if (line.length > limits.maxLineLength) throw new Fault('limit');
    if (takesCrLf && line.includes('\r')) throw new Fault('header');
    at = end + 1;
    if (line === '') break;
    if (headers.length === limits.maxHeaders) throw new Fault('limit');
    const colon = line.indexOf(':');
    if (colon < 1) throw new Fault('header');
    const decode = (part: string): string =>
      unescape(utf8(part), command === 'CONNECT' ? '1.0' : (version ?? '1.2'));
    headers.push([decode(line.slice(0, colon)), decode(line.slice(colon + 1))]);
  }
  const has = (wanted: string): boolean => headers.some(([name]) => name === wanted);
  if (version === '1.0' || (version === null && !has('accept-version') && !has('version'))) {
    for (const header of headers) {
      header[0] = header[0].trim();
      header[1] = header[1].trim();
    }
  }
  const length = headers.find(([name]) => name === 'content-length')?.[1];
  if (length !== undefined && !/^[0-9]{1,15}$/.test(length)) throw new Fault('length');
  const takesBody = version === '1.0' || WITH_BODY.has(command);
  if (Number(length ?? 0) > 0 && !takesBody) throw new Fault('body');
  if (Number(length ?? 0) > limits.maxBodyLength) throw new Fault('limit');
  if (at + 1 > limits.maxFrameLength) throw new Fault('limit');
  let end = at + Number(length);
  if (length === undefined) {
    const found = text.indexOf('\0', at);
    end = found < 0 ? text.length : found;
    if (end > at && !takesBody) throw new Fault('body');
    if (end - at > limits.maxBodyLength) throw new Fault('limit');
  }
  if (end + 1 > limits.maxFrameLength) throw new Fault('limit');
  if (end >= text.length) throw new Incomplete();
  if (text[end] !== '\0') throw new Fault('length');
  return { frame: { command, headers, body: text.slice(at, end) }, size: end + 1 };
}

function utf8(bytes: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, 'latin1'));
  } catch {
    throw new Fault('header');
  }
}

function unescape(text: string, version: string): string {
  if (version === '1.0') return text;
  return text.replace(/\\([^]?)/g, (_all, letter: string) => {
    const plain = PLAIN[letter];
    if (plain === undefined || (letter === 'r' && version === '1.1')) throw new Fault('header');
    return plain;
  });
}
