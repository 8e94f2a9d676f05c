import { describe, expect, test } from 'vitest';
import { binary, last, pattern, SAMPLE_KEY, text, textStart } from '../../support/protocol/frame-bytes.ts';
import { framesBytes } from '../../support/protocol/frame-reader.ts';
import { Route } from '../../support/protocol/route.ts';
import { until } from '../../support/tools/deadline.ts';

describe('message', () => {
  test('gives an ArrayBuffer of its own that may be kept, changed and transferred', async () => {
    const kept: ArrayBuffer[] = [];
    using route = new Route({ message: (_ws, message) => void kept.push(message) });
    const [one, two] = await route.pairs(2);
    const messages = Array.from({ length: 100 }, (_, i) => pattern(10 + i * 7, i));
    one!.client.write(
      framesBytes(
        messages.map((bytes) => binary(bytes)),
        SAMPLE_KEY,
      ),
    );
    await until(() => kept.length === 100, 'all came');
    // Other traffic goes through the same receive buffer.
    two!.client.write(
      framesBytes(
        messages.map(() => binary(new Uint8Array(10_000))),
        SAMPLE_KEY,
      ),
    );
    await until(() => kept.length === 200, 'all came');
    for (const [i, message] of messages.entries()) {
      expect(kept[i]).toBeInstanceOf(ArrayBuffer);
      expect(Buffer.compare(new Uint8Array(kept[i]!), message)).toBe(0);
    }
    expect(new Set(kept).size).toBe(200);
    new Uint8Array(kept[0]!).fill(0xff);
    structuredClone(kept[1], { transfer: [kept[1]!] });
    expect(Buffer.compare(new Uint8Array(kept[2]!), messages[2]!)).toBe(0);
    one!.client.send(text('goes on'));
    await until(() => kept.length === 201, 'the next came');
    expect(Buffer.from(kept[200]!).toString()).toBe('goes on');
  });

  test('gives an ArrayBuffer of its own for a message of several pieces, too', async () => {
    const kept: ArrayBuffer[] = [];
    using route = new Route({ message: (_ws, message) => void kept.push(message) });
    const { client } = await route.pair();
    for (const word of ['first', 'other', 'third']) {
      client.send(textStart(word), last(`, ${word}`));
      client.write(framesBytes([text(word)], SAMPLE_KEY).subarray(0, 5));
      await new Promise((resolve) => setTimeout(resolve, 5));
      client.write(framesBytes([text(word)], SAMPLE_KEY).subarray(5));
    }
    await until(() => kept.length === 6, 'all came');
    expect(kept.map((bytes) => Buffer.from(bytes).toString())).toEqual([
      'first, first',
      'first',
      'other, other',
      'other',
      'third, third',
      'third',
    ]);
  });
});

describe('messageView', () => {
  test('is called instead of message, with a view over memory that is not copied', async () => {
    const views: { view: Uint8Array; text: string; isBinary: boolean }[] = [];
    using route = new Route({
      message: () => {
        throw new Error('message was called');
      },
      messageView: (_ws, view, isBinary) => {
        views.push({ view, text: Buffer.from(view).toString(), isBinary });
      },
    });
    const { client } = await route.pair();
    client.write(framesBytes([text('one'), binary(Buffer.from('two'))], SAMPLE_KEY));
    await until(() => views.length === 2, 'both came');
    expect(views.map(({ text: word, isBinary }) => [word, isBinary])).toEqual([
      ['one', false],
      ['two', true],
    ]);
    expect(views[0]!.view.constructor).toBe(Uint8Array);
    // Both lie in the receive buffer, one behind the other.
    expect(views[0]!.view.buffer).toBe(views[1]!.view.buffer);
    expect(views[1]!.view.byteOffset).toBeGreaterThan(views[0]!.view.byteOffset);
  });

  test('is valid during the call only: the next read overwrites it', async () => {
    const views: Uint8Array[] = [];
    using route = new Route({ messageView: (_ws, view) => void views.push(view) });
    const [one, two] = await route.pairs(2);
    one!.client.send(text('aaaaaaaa'));
    await until(() => views.length === 1, 'it came');
    expect(Buffer.from(views[0]!).toString()).toBe('aaaaaaaa');
    two!.client.send(text('bbbbbbbb'));
    await until(() => views.length === 2, 'it came');
    expect(Buffer.from(views[0]!).toString()).not.toBe('aaaaaaaa');
  });

  test('may be changed, sent and published during the call', async () => {
    using route = new Route({
      messageView: (ws, view) => {
        ws.send(view, true);
        view.reverse();
        ws.send(view, true);
        ws.publish('others', view, true);
        view.fill(0);
      },
    });
    const [one, two] = await route.pairs(2);
    for (const { ws } of [one!, two!]) ws.subscribe('others');
    one!.client.write(framesBytes([binary(Uint8Array.of(1, 2, 3)), binary(Uint8Array.of(4, 5))], SAMPLE_KEY));
    expect((await one!.client.frames(4)).map(({ payload }) => Array.from(payload))).toEqual([
      [1, 2, 3],
      [3, 2, 1],
      [4, 5],
      [5, 4],
    ]);
    expect((await two!.client.frames(2)).map(({ payload }) => Array.from(payload))).toEqual([
      [3, 2, 1],
      [5, 4],
    ]);
  });

  test('has memory that cannot be transferred away from under the other connections', async () => {
    const results: string[] = [];
    using route = new Route({
      messageView: (ws, view) => {
        if (Buffer.from(view).toString() === 'take it') {
          try {
            structuredClone(view, { transfer: [view.buffer as ArrayBuffer] });
          } catch (error) {
            results.push((error as Error).name);
          }
        }
        ws.send(view);
      },
    });
    const [one, two] = await route.pairs(2);
    one!.client.send(text('take it'));
    expect(await one!.client.text()).toBe('take it');
    two!.client.send(text('goes on'));
    expect(await two!.client.text()).toBe('goes on');
    // Node.js 20 makes a copy instead.
    expect(results.every((name) => name === 'DataCloneError')).toBe(true);
  });

  test('shows exactly the message: neither its header nor its neighbours', async () => {
    const seen: number[][] = [];
    using route = new Route({ messageView: (_ws, view) => void seen.push([...view]) });
    const { client } = await route.pair();
    const messages = Array.from({ length: 70 }, (_, i) => [...pattern(i, i + 1)]);
    client.write(
      framesBytes(
        messages.map((bytes) => binary(Uint8Array.from(bytes))),
        SAMPLE_KEY,
      ),
    );
    await until(() => seen.length === 70, 'all came');
    expect(seen).toEqual(messages);
  });
});
