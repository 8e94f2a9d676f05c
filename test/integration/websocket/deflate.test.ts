import { deflateRawSync, inflateRawSync, constants as zlib } from 'node:zlib';
import {
  DEDICATED_COMPRESSOR,
  DEDICATED_COMPRESSOR_3KB,
  DEDICATED_DECOMPRESSOR,
  DISABLED,
  SHARED_COMPRESSOR,
  SHARED_DECOMPRESSOR,
  type WebSocket,
} from 'millrace';
import { describe, expect, it } from 'vitest';
import { Client } from '../../support/clients/clients.ts';
import { RawClient } from '../../support/clients/raw-client.ts';
import { payloadOf } from '../../support/protocol/deflate-payloads.ts';
import { deflated, HELLO, RSV1 } from '../../support/protocol/deflated.ts';
import {
  binary,
  close,
  concat,
  type FrameSpec,
  hex,
  last,
  more,
  ping,
  pong,
  text,
  textStart,
} from '../../support/protocol/frame-bytes.ts';
import { closeText, Route } from '../../support/protocol/route.ts';
import { Mailbox } from '../../support/tools/deadline.ts';

const SHARED = SHARED_COMPRESSOR | SHARED_DECOMPRESSOR;
const FULL = DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR;
const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
const LIMIT = 16 * 1024;

function inflated(...payloads: Uint8Array[]): string {
  return inflateRawSync(concat(...payloads, hex('00 00 ff ff')), {
    finishFlush: zlib.Z_SYNC_FLUSH,
  }).toString();
}

/** The next frame, in the terms of what is sent; a message decompressed. */
async function frameOf(client: RawClient): Promise<FrameSpec> {
  const { opcode, payload, rsv } = await client.frame();
  const content = rsv === undefined ? payload : Buffer.from(inflated(payload));
  return { opcode, payload: new Uint8Array(content) };
}

/** A route that echoes what comes as text, and tells how connections end. */
class Echo extends Route {
  readonly closes = new Mailbox<string>('a close handler');

  constructor(compression: number) {
    super({
      compression,
      message: (ws, message, isBinary) => {
        ws.send(message, isBinary, true);
      },
      close: (_ws, code, message) => {
        this.closes.put(`${code} ${closeText(message)}`);
      },
    });
  }

  client(headers: Record<string, string> = OFFER): Promise<RawClient> {
    return RawClient.webSocket(this.port, '/', headers);
  }
}

describe('The handshake', () => {
  it.each<[number, string, string | undefined]>([
    [DISABLED, 'permessage-deflate', undefined],
    [SHARED, '', undefined],
    [SHARED, 'permessage-bzip2', undefined],
    [
      SHARED,
      'permessage-deflate',
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    ],
    [FULL, 'permessage-deflate', 'permessage-deflate'],
    [
      DEDICATED_COMPRESSOR_3KB | DEDICATED_DECOMPRESSOR,
      'permessage-deflate',
      'permessage-deflate; server_max_window_bits=9',
    ],
    [
      FULL,
      'permessage-deflate; server_max_window_bits=7, permessage-deflate; client_max_window_bits="10"',
      'permessage-deflate; client_max_window_bits=10',
    ],
    [FULL, 'permessage-deflate; server_max_window_bits=16', undefined],
  ])('of a route with %i answers an offer of %j by %j', async (compression, offer, answer) => {
    for (const upgrade of [undefined, 'now', 'later']) {
      using route = new Route({
        compression,
        ...(upgrade === undefined
          ? {}
          : {
              upgrade: async (res, req, context) => {
                res.onAborted(() => undefined);
                const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((name) =>
                  req.getHeader(`sec-websocket-${name}`),
                );
                if (upgrade === 'later') await Promise.resolve();
                res.upgrade({}, key, protocol, extensions, context);
              },
            }),
      });
      const client = await RawClient.connect(route.port);
      client.write(
        'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
          `${offer === '' ? '' : `Sec-WebSocket-Extensions: ${offer}\r\n`}\r\n`,
      );
      const { status, headers } = await client.response();
      expect(status).toBe(101);
      expect(headers.get('sec-websocket-extensions')).toBe(answer);
    }
  });

  it.each([
    ['Version/15.0 Safari/605.1.15', false],
    ['Version/15.3 Mobile/15E148 Safari/604.1', false],
    ['Version/15.4 Safari/605.1.15', true],
    ['Version/15.10 Safari/605.1.15', true],
    ['Version/16.1 Safari/605.1.15', true],
    ['Version/15.2 Firefox', true],
    ['Chrome/130.0.0.0 Safari/537.36', true],
  ])('with the user agent %j agrees on compression: %j', async (agent, isAgreed) => {
    using route = new Echo(SHARED);
    const options = { perMessageDeflate: true, headers: { 'User-Agent': `Mozilla/5.0 (KHTML) ${agent}` } };
    const client = await Client.connect(route.running.ws(), options);
    expect(client.socket.extensions).toBe(isAgreed ? 'permessage-deflate' : '');
  });
});

describe.each([
  ['SHARED', SHARED],
  ['DEDICATED', FULL],
])('A hostile peer of a route with %s', (_name, compression) => {
  const far = deflateRawSync(new Uint8Array(64 * 1024 * 1024), { finishFlush: zlib.Z_SYNC_FLUSH });
  const FAILED = '1006 Received too big message, or other inflation error';
  const INVALID = '1006 Received invalid WebSocket frame';

  it.each<[string, FrameSpec[], number, string]>([
    // The frame itself is longer than a message may be.
    ['D01: a bomb of 64 MiB in one frame', [binary(far, RSV1)], 1009, '1006 Received too big message'],
    [
      'D01: a bomb just below that',
      [binary(deflated(new Uint8Array(16_000_000)).subarray(0, 15_000), RSV1)],
      1009,
      FAILED,
    ],
    ['D02: one byte too much', [binary(deflated(new Uint8Array(LIMIT + 1)), RSV1)], 1009, FAILED],
    ['D05: garbage', [text(hex('ff'), RSV1)], 1007, FAILED],
    ['D05: a cut message', [text(HELLO.subarray(0, 3), RSV1)], 1007, FAILED],
    ['D05: a reserved block type', [text(hex('06 00'), RSV1)], 1007, FAILED],
    ['D09: a distance behind the beginning', [text(hex('f2 00 11 00 00'), RSV1)], 1007, FAILED],
    [
      'U06: text that is not UTF-8',
      [text(deflated(hex('61 ff')), RSV1)],
      1007,
      '1006 Received invalid UTF-8',
    ],
    ['F05: RSV1 on a ping', [ping('', RSV1)], 1002, INVALID],
    ['F05: RSV1 on a continuation', [textStart('a'), { ...last('b'), ...RSV1 }], 1002, INVALID],
    ['F03: RSV2', [text('', { rsv: 2 })], 1002, INVALID],
  ])('%s', async (_case, frames, code, told) => {
    using route = new Echo(compression);
    const client = await route.client();
    client.send(text('before'), ...frames);
    expect(await frameOf(client)).toEqual(text('before'));
    expect(await frameOf(client)).toEqual(close(code));
    expect(await route.closes.next()).toBe(told);
    // The thread's contexts serve the next.
    const next = await route.client();
    next.send(text(HELLO, RSV1));
    expect(await frameOf(next)).toEqual(text('Hello'));
  });

  it('D03: a bomb in 10,000 fragments with pings between is given up, and the pings are answered', async () => {
    using route = new Echo(compression);
    const client = await route.client();
    const payload = deflated(new Uint8Array(16_000_000)).subarray(0, 10_000);
    client.send({ ...binary(hex(''), RSV1), fin: false });
    for (let i = 0; i < payload.length; i += 500) {
      client.send(
        ...Array.from(payload.subarray(i, i + 500), (byte) => more(Uint8Array.of(byte))),
        ping(`${i}`),
      );
      expect(await frameOf(client)).toEqual(pong(`${i}`));
    }
    client.send(last());
    expect(await frameOf(client)).toEqual(close(1009));
    expect(await route.closes.next()).toBe(FAILED);
  });

  it('D05, D06: legal oddities come back, and so does what follows', async () => {
    using route = new Echo(compression);
    const client = await route.client();
    client.send(
      text('', RSV1),
      text(hex('00'), RSV1),
      text(hex('f3 48 cd c9 c9 07 00 00'), RSV1),
      text('plain'),
      text(hex('00 05 00 fa ff 48 65 6c 6c 6f 00'), RSV1),
      text(''),
      text(HELLO, RSV1),
    );
    for (const message of ['', '', 'Hello', 'plain', 'Hello', '', 'Hello']) {
      expect(await frameOf(client)).toEqual(text(message));
    }
  });
});

describe('RSV1 without permessage-deflate', () => {
  it.each([DISABLED, SHARED, FULL])('fails with 1002 on a route with %i', async (compression) => {
    using route = new Echo(compression);
    const client = await route.client({});
    client.send(text(HELLO, RSV1));
    expect(await frameOf(client)).toEqual(close(1002));
  });
});

describe('ws.send', () => {
  const long = payloadOf('prose', 2000, 1) as string;

  async function sent(
    compression: number,
    action: (ws: WebSocket) => void,
    count: number,
  ): Promise<FrameSpec[]> {
    using route = new Route({ compression });
    const client = await RawClient.webSocket(route.port, '/', OFFER);
    action(await route.opened());
    const frames: FrameSpec[] = [];
    while (frames.length < count) {
      const frame = await client.frame();
      frames.push({ ...frame, payload: new Uint8Array(frame.payload) });
    }
    return frames;
  }

  it.each([SHARED, FULL])('compresses when it is told to, with %i', async (compression) => {
    const [first, second, third] = await sent(
      compression,
      (ws) => {
        ws.send(long, false, true);
        ws.send(long, false, false);
        ws.send(Buffer.from(long), true, true);
      },
      3,
    );
    expect([first!.rsv, second!.rsv ?? 0, third!.rsv]).toEqual([4, 0, 4]);
    expect(inflated(first!.payload)).toBe(long);
    expect(Buffer.from(second!.payload).toString()).toBe(long);
    expect(third!.opcode).toBe(2);
    // With history the second one is next to nothing.
    expect(third!.payload.length < 50).toBe(compression === FULL);
  });

  it('sends as they are what is short, and what becomes no shorter', async () => {
    const noise = payloadOf('noise', 500, 1) as Uint8Array;
    const short = 'a'.repeat(63);
    const frames = await sent(
      SHARED,
      (ws) => {
        ws.send(short, false, true);
        ws.send(`${short}a`, false, true);
        ws.send('ü'.repeat(32), false, true);
        ws.send(noise, true, true);
        ws.send('', false, true);
      },
      5,
    );
    expect(frames.map(({ rsv = 0 }) => rsv)).toEqual([0, 4, 4, 0, 0]);
    expect(frames[3]!.payload).toEqual(noise);
  });

  it.each([SHARED, FULL])('compresses all fragments of a message, or none, with %i', async (compression) => {
    const frames = await sent(
      compression,
      (ws) => {
        ws.sendFirstFragment(long, false, true);
        ws.sendFragment('', false);
        ws.sendFragment('middle');
        ws.sendLastFragment(long);
        ws.sendFirstFragment('a');
        ws.sendLastFragment('b', true);
        ws.sendFirstFragment('', false, true);
        ws.sendLastFragment('', true);
      },
      8,
    );
    expect(frames.map(({ rsv = 0 }) => rsv)).toEqual([4, 0, 0, 0, 0, 0, 4, 0]);
    expect(inflated(...frames.slice(0, 4).map(({ payload }) => payload))).toBe(`${long}middle${long}`);
    expect(frames.slice(4, 6).map(({ payload }) => Buffer.from(payload).toString())).toEqual(['a', 'b']);
    expect(inflated(...frames.slice(6).map(({ payload }) => payload))).toBe('');
  });

  it('does not compress where only a decompressor is asked for', async () => {
    const [frame] = await sent(DEDICATED_DECOMPRESSOR, (ws) => ws.send(long, false, true), 1);
    expect(frame).toEqual({ ...text(long), fin: true });
  });

  it('keeps the order of compressed and plain messages (D12)', async () => {
    using route = new Route({ compression: FULL, maxBackpressure: 0 });
    const client = await Client.connect(route.running.ws(), { perMessageDeflate: true });
    const ws = await route.opened();
    const messages = Array.from({ length: 300 }, (_, i) => `${i} ${long.slice(0, (i * 37) % 2000)}`);
    for (const [i, message] of messages.entries()) ws.send(message, false, i % 3 !== 0);
    for (const message of messages) expect(await client.next()).toBe(message);
  });

  it('tells `dropped` the message, not what was made of it', async () => {
    const dropped = new Mailbox<string>('a dropped message');
    using route = new Route({
      compression: SHARED,
      maxBackpressure: 1024,
      dropped: (_ws, message) => {
        dropped.put(closeText(message));
      },
    });
    const client = await RawClient.webSocket(route.port, '/', OFFER);
    client.pause();
    const ws = await route.opened();
    ws.subscribe('t');
    const noise = payloadOf('noise', 4 * 1024 * 1024, 1);
    while (ws.send(noise, true, true) !== 2);
    await dropped.next();
    route.app.publish('t', long, false, true);
    expect(await dropped.next()).toBe(long);
  });
});

describe('The option', () => {
  it.each([-1, 2, 255, 257 + 512, 0x10001, 2.5, '2', 'on', '', {}])(
    'compression: %j is refused',
    (compression) => {
      expect(() => new Route({ compression: compression as number })).toThrow(
        expect.objectContaining({
          code: 'MILLRACE_INVALID_OPTION',
          message: expect.stringContaining("'compression'") as string,
        }),
      );
    },
  );

  it.each([-1, 0.5, 'x'])('compressionThreshold: %j is refused', (compressionThreshold) => {
    expect(() => new Route({ compressionThreshold: compressionThreshold as number })).toThrow(
      /compressionThreshold/u,
    );
  });
});
