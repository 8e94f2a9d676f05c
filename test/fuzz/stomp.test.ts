import { describe, expect, it } from 'vitest';
import { StompVersion } from '../../src/stomp/codec/frame.ts';
import type { Subscription } from '../../src/stomp/session/subscriptions.ts';
import { chunksOf, Random, randomCuts } from '../support/protocol/chunked.ts';
import { LIMITS, readFrames } from '../unit/stomp/codec/read-frames.ts';
import { referenceFrames } from '../unit/stomp/codec/reference-frames.ts';
import { DrivenSession } from '../unit/stomp/session/driven-session.ts';
import { fuzz, RUNS, SEED } from './fuzz-run.ts';
import { mutatedStomp } from './stomp-corpus.ts';

/**
 * Fuzzing of STOMP: frames are read as a slow reader reads them, in any split, and a session does and says the same
 * whatever its bytes come in, and whether its handler decides now or later.
 */

const VERSIONS = [null, StompVersion.V1_0, StompVersion.V1_1, StompVersion.V1_2];
const SMALL = { maxHeaders: 3, maxLineLength: 24, maxBodyLength: 12, maxFrameLength: 80 };

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A session whose subscriptions get two messages each, and whose handler answers at once, or later. */
class FuzzedSession extends DrivenSession {
  constructor(isLate: boolean) {
    super({ maxHeldBytes: 10_000, maxPendingEffects: 3 });
    if (!isLate) return;
    this.onConnect = () => Promise.resolve(true);
    this.onAuthorize = () => Promise.resolve(true);
    this.onSend = () => Promise.resolve();
    this.onSettle = () => Promise.resolve();
  }

  override subscribe(subscription: Subscription<string>): void {
    super.subscribe(subscription);
    for (const text of ['one', 'two']) this.deliver(subscription, `${subscription.destination} ${text}`);
  }
}

interface Outcome {
  readonly said: string[];
  readonly log: string[];
  readonly finished: boolean | undefined;
}

async function outcomeOf(chunks: readonly Uint8Array[], isLate: boolean): Promise<Outcome> {
  const driven = new FuzzedSession(isLate);
  for (const chunk of chunks) {
    const copy = chunk.slice();
    driven.session.receive(copy, driven.now);
    copy.fill(0xee);
  }
  if (isLate) await turn();
  if (driven.failures.length > 0) throw driven.failures[0];
  return { said: driven.taken(), log: driven.log, finished: driven.finished };
}

/** What no client may ever see, or the broker. */
function faultOf({ said, log, finished }: Outcome): string {
  const error = said.findIndex((frame) => frame.startsWith('ERROR'));
  if (error >= 0 && error !== said.length - 1) return 'something was said behind an ERROR';
  if (error >= 0 && finished !== false) return 'an ERROR did not end the session';
  if (log.filter((entry) => entry === 'ended').length !== (finished === undefined ? 0 : 1)) {
    return 'the session did not end once';
  }
  if (log.indexOf('ended') >= 0 && log.at(-1) !== 'ended') return 'something was done behind the end';
  const settled = log.flatMap((entry) => /^n?ack \[(.*)\]/.exec(entry)?.[1]?.split(',') ?? []);
  const taken = log.filter((entry) => entry.startsWith('subscribe')).length * 2;
  return settled.length > taken ? 'more was settled than was delivered' : '';
}

describe('frames of a mutated corpus', () => {
  it.each([
    ['usual limits', LIMITS],
    ['small ones', SMALL],
  ])('are read as the reference reads them, however they are cut, within %s', async (_name, limits) => {
    const cuts = new Random(SEED + 1);
    await fuzz(mutatedStomp, (text) => {
      const version = VERSIONS[cuts.below(VERSIONS.length)]!;
      const bytes = bytesOf(text);
      const expected = JSON.stringify(referenceFrames(text, version, limits));
      for (const cut of [[], randomCuts(bytes.length, 1 + cuts.below(40), cuts)]) {
        const { frames, fault } = readFrames(chunksOf(bytes, cut), version, limits);
        const got = JSON.stringify({ frames, fault });
        if (got !== expected) return `as ${version}: ${got} is not ${expected}`;
      }
      return '';
    });
  });
});

describe('a session', () => {
  it('does and says the same however its bytes are cut, and does the same when its handler is late', async () => {
    const cuts = new Random(SEED + 2);
    await fuzz(mutatedStomp, async (text) => {
      const bytes = bytesOf(text);
      const chunks = chunksOf(bytes, randomCuts(bytes.length, 1 + cuts.below(60), cuts));
      const whole = await outcomeOf([bytes], false);
      const cut = await outcomeOf(chunks, false);
      const late = await outcomeOf(chunks, true);
      const fault = faultOf(whole) || faultOf(late);
      if (fault !== '') return `${fault}: ${JSON.stringify([whole, late])}`;
      if (JSON.stringify(whole) !== JSON.stringify(cut)) return JSON.stringify([whole, cut]);
      // A RECEIPT that is due when a later frame is wrong does not come any more.
      const isSame =
        JSON.stringify(late.log) === JSON.stringify(whole.log) &&
        late.finished === whole.finished &&
        late.said.every((frame) => whole.said.includes(frame));
      return isSame ? '' : JSON.stringify([whole, late]);
    });
  });

  it('is neither always refused nor always content', async () => {
    const random = new Random(SEED);
    const counts = { connected: 0, refused: 0, receipts: 0, settled: 0 };
    for (let i = 0; i < RUNS; i++) {
      const { said, log } = await outcomeOf([bytesOf(mutatedStomp(random))], false);
      if (said[0]?.startsWith('CONNECTED')) counts.connected++;
      if (said.at(-1)?.startsWith('ERROR')) counts.refused++;
      if (said.some((frame) => frame.startsWith('RECEIPT'))) counts.receipts++;
      if (log.some((entry) => entry.startsWith('ack'))) counts.settled++;
    }
    expect(counts.connected).toBeGreaterThan(RUNS / 2);
    expect(counts.refused).toBeGreaterThan(RUNS / 10);
    expect(counts.refused).toBeLessThan((RUNS * 9) / 10);
    expect(counts.receipts).toBeGreaterThan(RUNS / 10);
    expect(counts.settled).toBeGreaterThan(RUNS / 200);
  });
});
