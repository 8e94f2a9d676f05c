import { BodyDecoder, type BodyLimits, BodyStatus } from '../../../src/http/body-decoder.ts';
import { latin1, textOf } from './feed-head.ts';

/** All that can be seen of a body; two ways of feeding the same bytes must give the same. */
export interface BodyOutcome {
  status: number;
  reason: string;
  data: string;
  /** Bytes taken in. */
  consumed: number;
  /** Bytes still to come by the decoder's own word. */
  remaining: number;
}

/** A Content-Length, or 'chunked'. */
export type Framing = number | 'chunked';

/** Feeds the pieces until a verdict, each through one shared buffer that is wiped after the call. */
export function feedBody(framing: Framing, pieces: readonly string[], limits?: BodyLimits): BodyOutcome {
  return feedBodyTo(new BodyDecoder(limits), framing, pieces);
}

export function feedBodyTo(decoder: BodyDecoder, framing: Framing, pieces: readonly string[]): BodyOutcome {
  const offset = 5;
  const shared = new Uint8Array(2 * offset + Math.max(0, ...pieces.map((piece) => piece.length)));
  const chunked = framing === 'chunked';
  let status = decoder.start(chunked ? -1 : framing, chunked);
  let data = '';
  let before = 0;
  for (const piece of pieces) {
    if (status >= 400 || decoder.isComplete) break;
    shared.fill(0x30);
    shared.set(latin1(piece), offset);
    const end = offset + piece.length;
    let position = offset;
    do {
      status = decoder.feed(shared, position, end);
      if (decoder.consumed < position || decoder.consumed > end) throw new Error('consumed is out of range');
      position = decoder.consumed;
      if (status >= 400) break;
      if (status !== BodyStatus.INCOMPLETE) {
        data += textOf(shared.subarray(decoder.dataStart, decoder.dataEnd));
      } else if (decoder.dataStart !== decoder.dataEnd) {
        throw new Error('data without DATA');
      }
      if (status === BodyStatus.DATA && decoder.dataStart === decoder.dataEnd) throw new Error('empty DATA');
    } while (status === BodyStatus.DATA);
    if (status === BodyStatus.INCOMPLETE && position !== end) throw new Error('bytes were left over');
    before += position - offset;
  }
  if (data.length !== decoder.received) throw new Error('received is wrong');
  return { status, reason: decoder.reason, data, consumed: before, remaining: decoder.remaining };
}
