import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import {
  asciiPattern,
  binary,
  last,
  more,
  pattern,
  ping,
  SAMPLE_KEY,
  text,
  textStart,
} from '../../support/protocol/frame-bytes.ts';
import { framesBytes } from '../../support/protocol/frame-reader.ts';
import { MODES, type Running, startModule } from '../../support/servers/server.ts';

/** Text of every length of UTF-8 sequence, and what editors get wrong. */
const TEXTS = {
  ASCII: 'Hello, World!',
  empty: '',
  'two bytes': 'Grüße, žluťoučký kůň',
  'three bytes': '今日は € ﻿',
  'four bytes': '😀👩‍👩‍👧‍👦 𝄞',
  'the ends of each range': '\u0000\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}',
  'controls and line ends': 'a\r\nb\u2028c\td\u0000',
  'right to left': 'שלום عليكم',
} as const;

describe.each(MODES)('echo in %s', (mode) => {
  let running: Running;
  beforeAll(async () => {
    running = await startModule(mode, 'main-app.js');
  });
  afterAll(() => running.stop());

  test.each(Object.entries(TEXTS))('text comes back as it was: %s', async (_name, message) => {
    const client = await Client.connect(running.ws('/echo'));
    expect(await client.ask(message)).toBe(message);
    await client.close();
  });

  test('binary messages of all sizes around the length encodings come back as they were', async () => {
    const client = await Client.connect(running.ws('/echo'));
    for (const size of [0, 1, 125, 126, 127, 4095, 4096, 65_535, 65_536, 65_537, 262_144, 1_048_576]) {
      const message = pattern(size, size + 1);
      const answer = await client.ask(message);
      expect(Buffer.compare(answer as Uint8Array, message), `${size} bytes`).toBe(0);
    }
    await client.close();
  });

  test('a text of 1 MiB comes back as it was', async () => {
    const client = await Client.connect(running.ws('/echo'));
    const message = 'größer €uro 😀 '.repeat(60_000).slice(0, 500_000);
    expect((await client.ask(message)) === message).toBe(true);
    await client.close();
  });

  test('a message of many fragments comes back in one', async () => {
    const client = await Client.connect(running.ws('/echo'));
    const bytes = pattern(100_000);
    for (let at = 0; at < bytes.length; at += 1000) {
      client.socket.send(bytes.subarray(at, at + 1000), { binary: true, fin: at + 1000 >= bytes.length });
    }
    expect(Buffer.compare((await client.next()) as Uint8Array, bytes)).toBe(0);
    await client.close();
  });

  test('a code point may be cut by fragments, with a ping in between', async () => {
    const client = await RawClient.webSocket(running.port, '/echo');
    const euro = Buffer.from('€');
    client.send(textStart(euro.subarray(0, 1)), ping('in between'), more(euro.subarray(1, 2)));
    client.send(more(), last(euro.subarray(2)));
    const [pong, echo] = await client.frames(2);
    expect([pong!.opcode, pong!.payload.toString()]).toEqual([10, 'in between']);
    expect([echo!.opcode, echo!.payload.toString()]).toEqual([1, '€']);
    expect(await client.close()).toBe(1000);
  });

  test('a stream that arrives byte by byte is understood', async () => {
    const client = await RawClient.webSocket(running.port, '/echo');
    const stream = framesBytes([text('one'), binary(pattern(130)), ping('two'), text('три')], SAMPLE_KEY);
    for (const byte of stream) {
      await new Promise((resolve) => client.socket.write(Uint8Array.of(byte), resolve));
    }
    const answers = await client.frames(4);
    expect(answers.map(({ opcode }) => opcode)).toEqual([1, 2, 10, 1]);
    expect(Buffer.compare(answers[1]!.payload, pattern(130))).toBe(0);
    expect(answers[3]!.payload.toString()).toBe('три');
    client.destroy();
  });

  test('every ping is answered with its payload, in order with the messages', async () => {
    const client = await RawClient.webSocket(running.port, '/echo');
    const frames = Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0 ? ping(`ping ${i}`) : text(`text ${i}`),
    );
    client.send(...frames);
    const answers = await client.frames(20);
    expect(answers.map(({ opcode, payload }) => `${opcode} ${payload.toString()}`)).toEqual(
      frames.map((_, i) => (i % 2 === 0 ? `10 ping ${i}` : `1 text ${i}`)),
    );
    client.send(ping(pattern(125)), ping());
    const [longest, shortest] = await client.frames(2);
    expect(Buffer.compare(longest!.payload, pattern(125))).toBe(0);
    expect(shortest!.payload).toHaveLength(0);
    await client.close();
  });

  test('messages by the thousand come back in order', async () => {
    const client = await Client.connect(running.ws('/echo'));
    const messages = Array.from({ length: 5000 }, (_, i) => `${i} ${asciiPattern(i % 300)}`);
    for (const message of messages) client.send(message);
    expect(await client.messages.take(messages.length)).toEqual(messages);
    await client.close();
  });

  test('the client of Node.js (undici) is served', async () => {
    const client = await Client.connectUndici(running.ws('/echo'));
    for (const message of Object.values(TEXTS)) expect(await client.ask(message)).toBe(message);
    const large = pattern(200_000);
    expect(Buffer.compare((await client.ask(large)) as Uint8Array, large)).toBe(0);
    expect(await client.close(4321, 'enough')).toEqual({ code: 4321, reason: 'enough' });
  });

  test('messageView echoes as message does', async () => {
    const client = await Client.connect(running.ws('/view'));
    expect(await client.ask('a view')).toBe('a view');
    expect(Buffer.compare((await client.ask(pattern(5000))) as Uint8Array, pattern(5000))).toBe(0);
    expect(await client.ask('')).toBe('');
    await client.close();
  });
});
