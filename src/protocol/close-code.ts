import { UTF8_ACCEPT, validateUtf8 } from './utf8.ts';

/** Close codes (RFC 6455 §7.4.1 and the IANA registry). Applications take theirs from 4000 to 4999. */
export const CloseCode = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL_ERROR: 1002,
  UNSUPPORTED_DATA: 1003,
  /** Never on the wire: a close frame came without a code. */
  NO_STATUS: 1005,
  /** Never on the wire: the connection ended without a close frame. */
  ABNORMAL: 1006,
  INVALID_PAYLOAD: 1007,
  POLICY_VIOLATION: 1008,
  MESSAGE_TOO_BIG: 1009,
  MANDATORY_EXTENSION: 1010,
  INTERNAL_ERROR: 1011,
  SERVICE_RESTART: 1012,
  TRY_AGAIN_LATER: 1013,
  BAD_GATEWAY: 1014,
  /** Never on the wire: the TLS handshake failed. */
  TLS_HANDSHAKE: 1015,
} as const;

export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/** A control frame holds 125 bytes (RFC 6455 §5.5), two of which are the code. */
export const MAX_CLOSE_REASON = 123;

/** Whether a peer may send this code in a close frame: 1000-1003, 1007-1014, 3000-4999. */
export function isValidCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

/**
 * Checks the unmasked payload `bytes[start, end)` of a close frame (RFC 6455 §5.5.1). Returns 0 if it is valid
 * (an empty one is), otherwise the code to fail the connection with.
 */
export function closePayloadError(bytes: Uint8Array, start: number, end: number): 0 | 1002 | 1007 {
  const length = end - start;
  if (length === 0) return 0;
  if (length === 1 || !isValidCloseCode(closePayloadCode(bytes, start, end))) return CloseCode.PROTOCOL_ERROR;
  return validateUtf8(UTF8_ACCEPT, bytes, start + 2, end) === UTF8_ACCEPT ? 0 : CloseCode.INVALID_PAYLOAD;
}

/** The code in a close payload, unchecked. A payload too short for one has the code NO_STATUS (RFC 6455 §7.1.5). */
export function closePayloadCode(bytes: Uint8Array, start: number, end: number): number {
  return end - start < 2 ? CloseCode.NO_STATUS : (bytes[start]! << 8) | bytes[start + 1]!;
}

/** How many bytes writeClosePayload writes for these arguments: 0, or 2 to 125. */
export function closePayloadLength(code: number, reason: Uint8Array): number {
  return isCodeless(code) ? 0 : 2 + reasonLength(reason);
}

/**
 * Writes a close payload of at most 125 bytes into `out` and returns the position after it. The codes 0,
 * NO_STATUS and ABNORMAL make an empty payload, as in uWebSockets.js; other codes are written as given, the
 * low 16 bits of them. A reason above 123 bytes is cut between two code points; one that is not UTF-8 ends
 * before its first invalid byte, so that the frame is valid in any case.
 */
export function writeClosePayload(
  out: Uint8Array,
  position: number,
  code: number,
  reason: Uint8Array,
): number {
  if (isCodeless(code)) return position;
  const length = reasonLength(reason);
  out[position] = code >> 8;
  out[position + 1] = code;
  for (let i = 0; i < length; i++) out[position + 2 + i] = reason[i]!;
  return position + 2 + length;
}

function isCodeless(code: number): boolean {
  return code === 0 || code === CloseCode.NO_STATUS || code === CloseCode.ABNORMAL;
}

/** Length of the longest valid UTF-8 text at the start of `reason` that fits into a close frame. */
function reasonLength(reason: Uint8Array): number {
  const end = Math.min(reason.length, MAX_CLOSE_REASON);
  let complete = 0;
  let state: number = UTF8_ACCEPT;
  for (let i = 0; i < end; i++) {
    state = validateUtf8(state, reason, i, i + 1);
    if (state === UTF8_ACCEPT) complete = i + 1;
  }
  return complete;
}
