import {
  DEDICATED_COMPRESSOR,
  DEDICATED_DECOMPRESSOR,
  SHARED_COMPRESSOR,
  SHARED_DECOMPRESSOR,
  type TemplatedApp,
} from 'millrace';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PerMessageDeflateOptions } from 'ws';
import { Compression } from '../../../src/protocol/compression.ts';
import { Client, type Received } from '../../support/clients/clients.ts';
import { PAYLOAD_KINDS, type PayloadKind, payloadOf } from '../../support/protocol/deflate-payloads.ts';
import { type Running, startApp } from '../../support/servers/server.ts';

/**
 * permessage-deflate against `ws`, in the manner of Autobahn's cases 12 and 13: every message comes back as it was
 * sent. Autobahn sends 1,000 messages a case; so does this with AUTOBAHN_MESSAGES=1000, which takes minutes.
 */
const MOST_MESSAGES = Number(process.env['AUTOBAHN_MESSAGES'] ?? 100);
/** Bytes of a case, unless all messages are asked for. */
const VOLUME = process.env['AUTOBAHN_MESSAGES'] === undefined ? 128 * 1024 : Number.POSITIVE_INFINITY;

const SIZES = [16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072];
const LONGEST = 131_072;
/** Of the longest message. */
const FRAGMENTS = [64, 256, 1024, 4096, 8192, 16_384, 32_768, 49_152];

const SHARED = SHARED_COMPRESSOR | SHARED_DECOMPRESSOR;
const FULL = DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR;
const COMPRESSORS = Object.entries(Compression).filter(([, value]) => value > 0 && value < 256);
const DECOMPRESSORS = Object.entries(Compression).filter(([, value]) => value >= 256);

let running: Running;

beforeAll(() => {
  running = startApp((app) => {
    for (const [, low] of COMPRESSORS) for (const [, high] of DECOMPRESSORS) echo(app, low | high);
  });
});
afterAll(() => running.stop());

/** A route that sends everything back compressed, and one that does so in fragments. */
function echo(app: TemplatedApp, compression: number): void {
  const options = { compression, compressionThreshold: 0, maxPayloadLength: LONGEST, maxBackpressure: 0 };
  app.ws(`/${compression}`, {
    ...options,
    messageView: (ws, view, isBinary) => {
      ws.send(view, isBinary, true);
    },
  });
  app.ws(`/fragments/${compression}`, {
    ...options,
    message: (ws, message, isBinary) => {
      const third = Math.floor(message.byteLength / 3);
      ws.sendFirstFragment(message.slice(0, third), isBinary, true);
      ws.sendFragment(message.slice(third, 2 * third), true);
      ws.sendLastFragment(message.slice(2 * third), true);
    },
  });
}

function connect(path: string, offer: PerMessageDeflateOptions = {}): Promise<Client> {
  return Client.connect(running.ws(path), { perMessageDeflate: { threshold: 0, ...offer } });
}

/** Sends messages one behind the other; all of them come back, in order. */
async function exchange(client: Client, messages: readonly Received[], fragment = 0): Promise<void> {
  for (const message of messages) {
    if (fragment === 0) client.send(message);
    else sendFragments(client, message, fragment);
  }
  for (const message of messages) {
    const received = await client.next();
    // Not toEqual, which would take longer than all the rest.
    if (typeof message === 'string' ? received !== message : !same(received, message)) {
      expect.fail(`a message of ${message.length} bytes came back differently`);
    }
  }
}

function same(received: Received, message: Uint8Array): boolean {
  return typeof received !== 'string' && Buffer.compare(received, message) === 0;
}

function sendFragments({ socket }: Client, message: Received, size: number): void {
  const bytes = Buffer.from(message as Uint8Array);
  const binary = typeof message !== 'string';
  for (let at = 0; at < bytes.length; at += size) {
    const fin = at + size >= bytes.length;
    socket.send(bytes.subarray(at, at + size), { fin, binary, compress: true });
  }
}

function messagesOf(kind: PayloadKind, size: number): Received[] {
  const count = Math.max(2, Math.min(MOST_MESSAGES, Math.ceil(VOLUME / size)));
  return Array.from({ length: count }, (_, i) => payloadOf(kind, size, i));
}

describe.each(PAYLOAD_KINDS)('Autobahn 12: %s, no context takeover and all defaults', (kind) => {
  it.each(SIZES)('messages of %i bytes', async (size) => {
    for (const mask of [SHARED, FULL]) {
      const client = await connect(`/${mask}`);
      await exchange(client, messagesOf(kind, size));
      await client.close();
    }
  });

  it.each(FRAGMENTS)('messages of 128 KiB in fragments of %i bytes', async (size) => {
    for (const mask of [SHARED, FULL]) {
      const client = await connect(`/fragments/${mask}`);
      await exchange(client, messagesOf(kind, LONGEST), size);
      await client.close();
    }
  });
});

/** What Autobahn's client asks for in 13.1 to 13.7. */
const OFFERS: readonly (readonly [string, PerMessageDeflateOptions])[] = [
  ['13.1: nothing', { clientMaxWindowBits: 15 }],
  ['13.2: no context takeover', { serverNoContextTakeover: true }],
  ['13.3: a window of 9 bits', { serverMaxWindowBits: 9 }],
  ['13.4: a window of 15 bits', { serverMaxWindowBits: 15 }],
  ['13.5: no context takeover, 9 bits', { serverNoContextTakeover: true, serverMaxWindowBits: 9 }],
  ['13.6: no context takeover, 15 bits', { serverNoContextTakeover: true, serverMaxWindowBits: 15 }],
  [
    '13.7: all of it, 8 bits',
    {
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
      serverMaxWindowBits: 8,
      clientMaxWindowBits: 8,
    },
  ],
];

describe.each(OFFERS)('Autobahn %s', (_name, offer) => {
  it.each(SIZES)('messages of %i bytes', async (size) => {
    const client = await connect(`/${FULL}`, offer);
    expect(client.socket.extensions).toBe('permessage-deflate');
    await exchange(client, messagesOf('long JSON', size));
    await client.close();
  });

  it.each(FRAGMENTS)('messages of 128 KiB in fragments of %i bytes', async (size) => {
    const client = await connect(`/fragments/${FULL}`, offer);
    await exchange(client, messagesOf('prose', LONGEST), size);
    await client.close();
  });
});

describe.each(COMPRESSORS)('%s', (_low, low) => {
  it.each(DECOMPRESSORS)('with %s and every offer', async (_high, high) => {
    const bits = [8, 9, 12, 15];
    const offers: PerMessageDeflateOptions[] = [
      {},
      { serverNoContextTakeover: true },
      { clientNoContextTakeover: true },
      ...bits.map((serverMaxWindowBits) => ({ serverMaxWindowBits })),
      ...bits.map((clientMaxWindowBits) => ({ clientMaxWindowBits })),
      {
        serverMaxWindowBits: 10,
        clientMaxWindowBits: 10,
        serverNoContextTakeover: true,
        clientNoContextTakeover: true,
      },
    ];
    const messages = [
      payloadOf('long JSON', 40_000, 1),
      payloadOf('prose', 300, 2),
      payloadOf('prose', 300, 2),
      payloadOf('noise', 2000, 3),
      '',
      payloadOf('many scripts', 3000, 4),
      payloadOf('long JSON', 40_000, 1),
    ];
    const clients = await Promise.all(
      offers.flatMap((offer) => [
        connect(`/${low | high}`, offer),
        connect(`/fragments/${low | high}`, offer),
      ]),
    );
    await Promise.all(clients.map((client) => exchange(client, messages)));
    for (const client of clients) expect(client.socket.extensions).toBe('permessage-deflate');
    await Promise.all(clients.map((client) => client.close()));
  });
});
