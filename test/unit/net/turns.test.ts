import { describe, expect, it } from 'vitest';
import { writeLatin1 } from '../../../src/net/native-ports.ts';
import { readWaiting, untilQuiet } from '../../../src/net/turns.ts';
import { LONG } from '../../support/tools/deadline.ts';
import { ConnectedTransport } from './connected-transport.ts';

it('readWaiting resolves when what the kernel held was read', async () => {
  const pair = await ConnectedTransport.open();
  try {
    for (const text of ['a', 'bc', 'def']) {
      // What is written to the loopback is at its other end when the call returns.
      pair.transport.beginCork();
      writeLatin1(pair.transport, text);
      pair.transport.endCork();
      await readWaiting();
      expect(pair.length).toBe(text.length);
      await pair.received(text.length);
    }
  } finally {
    pair.close();
  }
});

describe('untilQuiet', () => {
  it('resolves when a whole turn has left the number as it is', async () => {
    let value = 0;
    const step = (): void => {
      if (++value < 50) setImmediate(step);
    };
    setImmediate(step);
    await untilQuiet(() => value, LONG);
    expect(value).toBe(50);
  });

  it('waits one turn for a number that stays', async () => {
    let looks = 0;
    await untilQuiet(() => {
      looks++;
      return 7;
    }, LONG);
    expect(looks).toBe(2);
  });

  it('gives up on one that never stays, when the time is over', async () => {
    let value = 0;
    await untilQuiet(() => ++value, 0);
    expect(value).toBe(2);
  });
});
