import { MillraceError } from '../errors.ts';
import { Counter } from '../metrics/counter.ts';
import { FIN } from '../protocol/frame-header.ts';
import { Opcode } from '../protocol/opcode.ts';
import { bytesOf, type RecognizedString } from '../serving/recognized-string.ts';
import { sendDeflated } from './deflated-frames.ts';
import { FragmentState } from './fragment-state.ts';
import type { Session } from './session.ts';

/** What `send` and its like return. */
export const SendStatus = {
  /** Queued in user space: the peer reads slower than this. */
  BACKPRESSURE: 0,
  /** On its way. */
  SUCCESS: 1,
  /** Not sent: more than `maxBackpressure` is queued already, or the connection is closing. */
  DROPPED: 2,
} as const;
export type SendStatus = (typeof SendStatus)[keyof typeof SendStatus];

// Constants of this module: of imported ones, and of properties, the compiler does not know the values.
const { BACKPRESSURE, SUCCESS, DROPPED } = SendStatus;
const { MESSAGES_OUT } = Counter;

/** Bytes of a message in fragments that may wait beyond `maxBackpressure`; with more the connection is closed. */
const MAX_FRAGMENTS_QUEUED = 64 * 1024 * 1024;

/** Sends a frame, or drops it, when the peer takes too little or the connection closes. */
export function sendFrame(
  session: Session,
  firstByte: number,
  message: RecognizedString,
  isBinary: boolean,
  compress = false,
): SendStatus {
  if (!session.isClear && !clearTheWay(session, firstByte, message, isBinary)) return DROPPED;
  const { transport, route } = session;
  if (message instanceof Uint8Array && !compress) route.protocol.sender.bytes(transport, firstByte, message);
  else sendOther(session, firstByte, message, compress);
  transport.io.counters[MESSAGES_OUT]!++;
  return transport.blocked ? BACKPRESSURE : SUCCESS;
}

/** Brings a message about to its turn; false: it is dropped. */
function clearTheWay(
  session: Session,
  firstByte: number,
  message: RecognizedString,
  isBinary: boolean,
): boolean {
  if (!session.isOpen) return false;
  sendPublished(session);
  if (!session.isOpen) return false;
  if (!session.isOverLimit || (firstByte & 0x0f) === Opcode.CONTINUATION) return true;
  session.route.drop(session, bytesOf(message), isBinary);
  return false;
}

function sendOther(session: Session, firstByte: number, message: RecognizedString, compress: boolean): void {
  const { sender } = session.route.protocol;
  if (compress && session.canDeflate) sendDeflated(session, firstByte, message);
  else if (typeof message === 'string') sender.text(session.transport, firstByte, message);
  else sender.bytes(session.transport, firstByte, bytesOf(message));
}

/** Sends what was published to this socket before, which must leave first. That may call handlers, which may do anything. */
function sendPublished(session: Session): void {
  const { bus } = session.route.shard;
  if (bus.hasPending && session.subscriptions !== null) bus.flushTo(session);
}

/** Sends the first fragment of a message. */
export function sendFirst(
  session: Session,
  firstByte: number,
  message: RecognizedString,
  isBinary: boolean,
  compress: boolean,
): SendStatus {
  if (session.isHolding) throw inFragments('sendFirstFragment');
  const status = sendFrame(session, firstByte, message, isBinary, compress);
  session.beginFragments(status === SendStatus.DROPPED);
  return status;
}

/** Sends a further fragment, the last one when `firstByte` has FIN. */
export function sendNext(
  session: Session,
  method: string,
  firstByte: number,
  message: RecognizedString,
): SendStatus {
  sendPublished(session);
  const { fragments, route } = session;
  if (!session.isOpen) return SendStatus.DROPPED;
  if (fragments === null || fragments.state === FragmentState.NONE) {
    throw new MillraceError('MILLRACE_APP_STATE', `ws.${method}: call sendFirstFragment() first`);
  }
  const isLast = (firstByte & FIN) !== 0;
  if (fragments.state === FragmentState.SKIPPED) {
    if (isLast) fragments.state = FragmentState.NONE;
    return SendStatus.DROPPED;
  }
  // The message cannot be sent without this part, and nothing else can be sent before the message is done.
  if (session.bufferedAmount > route.behavior.maxBackpressure + MAX_FRAGMENTS_QUEUED && session.isOverLimit) {
    route.shard.count(Counter.DROPPED);
    session.transport.destroy();
    return SendStatus.DROPPED;
  }
  const status = sendFrame(session, firstByte, message, true, fragments.isDeflating);
  if (isLast) {
    fragments.state = FragmentState.NONE;
    session.releaseHeld();
  }
  return status;
}

export function inFragments(method: string): MillraceError {
  return new MillraceError(
    'MILLRACE_APP_STATE',
    `ws.${method}: a message in fragments is under way; end it with sendLastFragment() first`,
  );
}
