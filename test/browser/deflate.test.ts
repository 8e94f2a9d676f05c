import {
  App,
  DEDICATED_COMPRESSOR,
  DEDICATED_COMPRESSOR_3KB,
  DEDICATED_DECOMPRESSOR,
  DEDICATED_DECOMPRESSOR_512B,
  SHARED_COMPRESSOR,
  SHARED_DECOMPRESSOR,
  type TemplatedApp,
} from 'millrace';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium, openPage } from '../support/browser/browser.ts';
import { HOST } from '../support/servers/server.ts';

const ROUTES = {
  shared: SHARED_COMPRESSOR | SHARED_DECOMPRESSOR,
  full: DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR,
  small: DEDICATED_COMPRESSOR_3KB | DEDICATED_DECOMPRESSOR_512B,
};

let browser: Browser;
let app: TemplatedApp;
let url = '';
/** Bytes of messages as they came, and how many of them did. */
let received = 0;

beforeAll(async () => {
  browser = await launchChromium();
  app = App();
  for (const [name, compression] of Object.entries(ROUTES)) {
    app.ws(`/${name}`, {
      compression,
      maxPayloadLength: 1024 * 1024,
      maxBackpressure: 0,
      open: (ws) => {
        ws.subscribe('all');
      },
      messageView: (ws, view, isBinary) => {
        received++;
        ws.send(view, isBinary, true);
        if (received % 10 === 0) app.publish('all', `published ${'again '.repeat(200)}`, false, true);
      },
    });
  }
  app.get('/', (res) => {
    res
      .writeHeader('Content-Type', 'text/html')
      .end('<!doctype html><link rel="icon" href="data:,"><title>deflate</title>');
  });
  app.listen(HOST, 0, (socket) => {
    if (socket !== false) url = `http://${HOST}:${socket.port}/`;
  });
});

afterAll(async () => {
  await browser?.close();
  app?.close();
});

/** Sends messages of many kinds and sizes, and says how the connection went. */
function exchange(
  page: Page,
  path: string,
): Promise<{ extensions: string; echoed: number; published: number }> {
  return page.evaluate(
    async (target) => {
      const socket = new WebSocket(target);
      socket.binaryType = 'arraybuffer';
      await new Promise((resolve, reject) => {
        socket.onopen = resolve;
        socket.onerror = reject;
      });
      const messages: (string | Uint8Array<ArrayBuffer>)[] = [];
      for (const size of [0, 1, 10, 100, 1000, 10_000, 65_536, 131_072]) {
        for (let i = 0; i < 15; i++) {
          const text = `${i} grüße 👋 ${JSON.stringify({ size, i, list: [1, 2, 3] })} `;
          messages.push(
            text
              .repeat(Math.ceil(size / text.length))
              .slice(0, size)
              .replace(/[\ud800-\udbff]$/u, ''),
          );
          messages.push(Uint8Array.from({ length: size }, (_, at) => (at * at * i + (at >> 3)) & 255));
        }
      }
      let echoed = 0;
      let published = 0;
      const done = new Promise<void>((resolve, reject) => {
        socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
        socket.onmessage = ({ data }) => {
          if (typeof data === 'string' && data.startsWith('published ')) {
            published++;
            return;
          }
          const wanted = messages[echoed++]!;
          const isSame =
            typeof wanted === 'string'
              ? data === wanted
              : data instanceof ArrayBuffer &&
                data.byteLength === wanted.length &&
                new Uint8Array(data).every((byte, at) => byte === wanted[at]);
          if (!isSame) reject(new Error(`message ${echoed - 1} came back differently`));
          if (echoed === messages.length) resolve();
        };
      });
      for (const message of messages) socket.send(message);
      await done;
      socket.onclose = null;
      socket.close();
      return { extensions: socket.extensions, echoed, published };
    },
    `${url.replace('http', 'ws')}${path}`,
  );
}

test.each(Object.keys(ROUTES))(
  'Chromium and a route with the %s compressor understand each other',
  async (path) => {
    const page = await openPage(browser, url);
    const { extensions, echoed, published } = await exchange(page, path);
    expect(extensions).toContain('permessage-deflate');
    expect(echoed).toBe(240);
    expect(published).toBeGreaterThan(10);
  },
);

test('what Chromium agrees on is what the route is for', async () => {
  const page = await openPage(browser, url);
  const agreed = await page.evaluate(
    async (base) => {
      const found: string[] = [];
      for (const path of ['shared', 'full', 'small']) {
        const socket = new WebSocket(`${base}${path}`);
        await new Promise((resolve) => {
          socket.onopen = resolve;
        });
        found.push(socket.extensions);
        socket.close();
      }
      return found;
    },
    url.replace('http', 'ws'),
  );
  expect(agreed).toEqual([
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    'permessage-deflate',
    'permessage-deflate; server_max_window_bits=9; client_max_window_bits=9',
  ]);
});
