import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium } from '../support/browser/browser.ts';
import { type Running, startApp } from '../support/servers/server.ts';
import { DEADLINE } from '../support/tools/deadline.ts';

/** Serves a page, and WebSockets for pages of its own, of any, and of a listed origin. */
function startSite(listed: string): Running {
  return startApp((app) => {
    app.get('/page', (res) => {
      res.writeHeader('Content-Type', 'text/html').end('<!doctype html><title>A page</title>');
    });
    app.ws('/any', {});
    app.ws('/same', { origins: 'same-origin' });
    app.ws('/listed', { origins: [listed] });
  });
}

describe('pages of other origins in Chromium (H33)', () => {
  let browser: Browser;
  let page: Page;
  let home: Running;
  let other: Running;
  beforeAll(async () => {
    browser = await launchChromium();
    home = startSite('https://example.com');
    other = startSite(`http://127.0.0.1:${home.port}`);
    page = await browser.newPage();
    page.setDefaultTimeout(DEADLINE);
    await page.goto(home.http('/page'));
  });
  afterAll(async () => {
    await browser?.close();
    await home?.stop();
    await other?.stop();
  });

  /** What becomes of a WebSocket that the page opens. */
  const outcome = (url: string): Promise<string> =>
    page.evaluate(
      (address) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(address);
          socket.onopen = () => resolve('open');
          socket.onclose = () => resolve('refused');
        }),
      url,
    );

  test('connect where origins are not restricted', async () => {
    expect(await outcome(home.ws('/any'))).toBe('open');
    expect(await outcome(other.ws('/any'))).toBe('open');
  });

  test('are refused by a route for pages of its own', async () => {
    expect(await outcome(home.ws('/same'))).toBe('open');
    expect(await outcome(other.ws('/same'))).toBe('refused');
  });

  test('connect where they are listed alone', async () => {
    expect(await outcome(home.ws('/listed'))).toBe('refused');
    expect(await outcome(other.ws('/listed'))).toBe('open');
  });

  test('are refused from a frame without an origin', async () => {
    const framed = await page.evaluate(
      (address) =>
        new Promise<string>((resolve) => {
          addEventListener('message', (event) => resolve(String(event.data)), { once: true });
          const frame = document.createElement('iframe');
          frame.setAttribute('sandbox', 'allow-scripts');
          frame.srcdoc = `<script>const s = new WebSocket(${JSON.stringify(address)});
            s.onopen = () => parent.postMessage('open', '*'); s.onclose = () => parent.postMessage('refused', '*');</script>`;
          document.body.append(frame);
        }),
      home.ws('/same'),
    );
    expect(framed).toBe('refused');
  });
});
