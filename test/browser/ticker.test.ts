import type { Browser, BrowserContextOptions, Page, WebSocketRoute } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Notice, Update } from '../../examples/ticker.js';
import { contrastOf, launchChromium, OTHER_NAME, openPage, overflowOf } from '../support/browser/browser.ts';
import { example, MillraceProcess } from '../support/servers/millrace-process.ts';
import { DEADLINE } from '../support/tools/deadline.ts';

/** Pages opened at most until there is one on each shard. */
const MAX_PAGES = 8;
/** Updates of a symbol after which a page has something to show. */
const ENOUGH = 100;
const LATENCY = /^\d+(\.\d)? m?s$/;

let browser: Browser;
let server: MillraceProcess;

beforeAll(async () => {
  browser = await launchChromium();
  server = new MillraceProcess(['serve', example('ticker.js'), '--port', '0', '--shards', '2']);
  await server.ready();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

async function open(
  hash = '',
  options: BrowserContextOptions = {},
  prepare?: (page: Page) => Promise<void>,
): Promise<Page> {
  const page = await openPage(browser, server.url + hash, options, prepare);
  await page.getByText(/^Shard \d of 2$/).waitFor();
  return page;
}

async function shardOf(page: Page): Promise<number> {
  const status = await page.getByRole('status').textContent();
  return Number(/^Shard (\d) of 2$/.exec(status ?? '')?.[1] ?? Number.NaN);
}

/** The symbols in the table. */
function symbolsOf(page: Page): Promise<string[]> {
  return page.locator('#values th').allTextContents();
}

/** Waits until the table has exactly these symbols. */
async function shows(page: Page, symbols: readonly string[]): Promise<void> {
  await page.waitForFunction((wanted) => {
    const shown = Array.from(document.querySelectorAll('#values th'), (cell) => cell.textContent);
    return shown.join(' ') === wanted;
  }, symbols.join(' '));
}

/** Updates of the symbol in the table with the fewest; 0 when there is none. */
function fewestUpdates(page: Page): Promise<number> {
  return page.evaluate(() => {
    const cells = Array.from(document.querySelectorAll('#values td:nth-of-type(3)'));
    const updates = cells.map((cell) => Number(cell.textContent.replaceAll(',', '')));
    return updates.length === 0 ? 0 : Math.min(...updates);
  });
}

/** Waits until each symbol of the table has this many updates. */
async function hasUpdates(page: Page, count = ENOUGH): Promise<void> {
  await expect.poll(() => fewestUpdates(page), { timeout: DEADLINE }).toBeGreaterThanOrEqual(count);
}

/** The hues of the plot left of its labels, in steps of 30 degrees, that have at least 50 pixels. */
function huesOf(page: Page): Promise<number[]> {
  return page.evaluate(() => {
    const canvas = document.querySelector('canvas')!;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width - 60, canvas.height);
    const pixels = new Array<number>(12).fill(0);
    for (let i = 0; i < data.length; i += 4) {
      const [red, green, blue] = [data[i]!, data[i + 1]!, data[i + 2]!];
      const range = Math.max(red, green, blue) - Math.min(red, green, blue);
      if (data[i + 3]! < 200 || range < 60) continue;
      const hue = Math.atan2(Math.sqrt(3) * (green - blue), 2 * red - green - blue);
      pixels[Math.floor((((hue * 180) / Math.PI + 360) % 360) / 30)]!++;
    }
    return pixels.flatMap((count, hue) => (count >= 50 ? [hue * 30] : []));
  });
}

function pictureOf(page: Page): Promise<string> {
  return page.evaluate(() => document.querySelector('canvas')!.toDataURL());
}

async function figure(page: Page, id: string): Promise<string> {
  return (await page.locator(`#${id}`).textContent()) ?? '';
}

describe('the ticker in Chromium', () => {
  test('two pages on different shards plot every update, and show rate and latency', async () => {
    const pages: (Page | undefined)[] = [undefined, undefined];
    for (let i = 0; i < MAX_PAGES && pages.includes(undefined); i++) {
      const page = await open('#MILL,RACE,WEIR');
      const shard = await shardOf(page);
      pages[shard] ??= page;
    }
    expect(pages).not.toContain(undefined);
    for (const [shard, page] of (pages as Page[]).entries()) {
      await page.bringToFront(); // Only what is seen is drawn.
      await hasUpdates(page);
      await page.locator('#latency').getByText(LATENCY).waitFor();
      expect(await symbolsOf(page)).toEqual(['MILL', 'RACE', 'WEIR']);
      expect((await huesOf(page)).length).toBeGreaterThanOrEqual(3);
      const before = await pictureOf(page);
      await page.waitForFunction(
        (before) => document.querySelector('canvas')!.toDataURL() !== before,
        before,
      );
      expect(await figure(page, 'where')).toContain(`You are on shard ${shard} of 2.`);
      expect(Number(await figure(page, 'rate'))).toBeGreaterThan(0);
      expect(await figure(page, 'latency-high')).toMatch(LATENCY);
      expect([await figure(page, 'gaps'), await figure(page, 'dropped')]).toEqual(['0', '0']);
      expect(await page.locator('#values td:nth-of-type(4)').allTextContents()).toEqual(['0', '0', '0']);
    }
  });

  test('updates that do not come are shown as gaps, what the server dropped as dropped, and a new start as neither', async () => {
    let toLose = 0;
    let isNew = false;
    let before = 0;
    let toPage: WebSocketRoute | undefined;
    const page = await open('#MILL,RACE', {}, (page) =>
      page.routeWebSocket(/\/ticker$/, (route) => {
        toPage = route;
        route.connectToServer().onMessage((message) => {
          const parsed = JSON.parse(String(message)) as Update | Notice;
          if (!Array.isArray(parsed) || parsed[0] !== 'RACE') {
            route.send(message);
          } else if (toLose > 0) {
            toLose--;
          } else {
            if (isNew && before === 0) before = parsed[1] - 1;
            route.send(JSON.stringify(parsed.with(1, parsed[1] - before)));
          }
        });
      }),
    );
    await hasUpdates(page, 20);
    expect(await figure(page, 'gaps')).toBe('0');
    toLose = 3;
    await page.locator('#gaps').getByText('3', { exact: true }).waitFor();
    expect(await page.locator('#values td:nth-of-type(4)').allTextContents()).toEqual(['0', '3']);
    toPage!.send('{"type":"dropped","count":3}');
    await page.locator('#dropped').getByText('3', { exact: true }).waitFor();
    isNew = true;
    await hasUpdates(page, (await fewestUpdates(page)) + 20);
    expect(before).toBeGreaterThan(0);
    expect(await figure(page, 'gaps')).toBe('3');
  });

  test('symbols are chosen by the keyboard, eight at most, and the address keeps them', async () => {
    const page = await open();
    await shows(page, ['MILL', 'RACE', 'WEIR', 'GATE', 'POND']);
    const { keyboard } = page;
    await keyboard.press('Tab'); // Pause
    await keyboard.press('Tab');
    expect(await page.evaluate(() => (document.activeElement as HTMLInputElement).value)).toBe('MILL');
    await keyboard.press('Space');
    await shows(page, ['RACE', 'WEIR', 'GATE', 'POND']);
    expect(new URL(page.url()).hash).toBe('#RACE,WEIR,GATE,POND');
    for (const symbol of ['QUAY', 'CART', 'SACK', 'HOPS']) await page.getByLabel(symbol).check();
    await shows(page, ['RACE', 'WEIR', 'GATE', 'POND', 'QUAY', 'CART', 'SACK', 'HOPS']);
    expect(await page.getByLabel('MILL').isDisabled()).toBe(true);
    await page.getByText('8 of at most 8').waitFor();
    await page.reload();
    await shows(page, ['RACE', 'WEIR', 'GATE', 'POND', 'QUAY', 'CART', 'SACK', 'HOPS']);
    await hasUpdates(page, 10);
    expect(await figure(page, 'gaps')).toBe('0');
  });

  test('without a symbol there is a hint instead of a plot', async () => {
    const page = await open('#HULL');
    await shows(page, ['HULL']);
    await page.getByLabel('HULL').uncheck();
    await shows(page, []);
    await page.getByText('Choose a symbol.').waitFor();
    await page.locator('#rate').getByText('0', { exact: true }).waitFor();
  });

  test('the plot stands still while it is paused, and messages go on', async () => {
    const page = await open();
    await hasUpdates(page, 20);
    const pause = page.getByRole('button', { name: 'Pause' });
    await pause.click();
    expect(await pause.getAttribute('aria-pressed')).toBe('true');
    const before = await pictureOf(page);
    const values = await page.locator('#values').textContent();
    await page.waitForTimeout(1500);
    expect(await pictureOf(page)).toBe(before);
    expect(await page.locator('#values').textContent()).toBe(values);
    expect(Number(await figure(page, 'rate'))).toBeGreaterThan(0);
    await pause.click();
    await page.waitForFunction((before) => document.querySelector('canvas')!.toDataURL() !== before, before);
    expect(await figure(page, 'gaps')).toBe('0');
  });

  test('a screen reader gets names for all, and no news of prices', async () => {
    const page = await open();
    await hasUpdates(page, 1);
    await page.getByRole('img', { name: 'Lines of the chosen symbols' }).waitFor();
    await page.getByRole('group', { name: 'Symbols 5 of at most 8' }).waitFor();
    await page.getByRole('table', { name: 'Last values of the chosen symbols' }).waitFor();
    await page.getByRole('rowheader', { name: 'MILL' }).waitFor();
    expect(await page.getByRole('table').getAttribute('aria-live')).toBe('off');
    expect(await page.locator('table output, aside output, [aria-live=polite]').count()).toBe(0);
  });

  test('where the page has another clock than the server, it shows no latency', async () => {
    const url = new URL(server.url);
    url.hostname = OTHER_NAME;
    const page = await openPage(browser, url.href);
    await hasUpdates(page, 100);
    expect(await figure(page, 'latency')).toBe('–');
    expect(await figure(page, 'latency-note')).toBe('known where server and page share a clock');
    expect(Number(await figure(page, 'rate'))).toBeGreaterThan(0);
  });

  test.each([
    ['light', { width: 1180, height: 800 }],
    ['dark', { width: 1180, height: 800 }],
    ['light', { width: 320, height: 640 }],
    ['dark', { width: 390, height: 844 }],
  ] as const)(
    'in %s, at %j, nothing is wider than the screen, and text stands out',
    async (colorScheme, viewport) => {
      const page = await open('#MILL,RACE,WEIR,GATE,POND,REED,SILT', { colorScheme, viewport });
      await hasUpdates(page, 20);
      expect(await overflowOf(page)).toBe(0);
      const selectors = [
        '.rate',
        '#rate',
        '#latency',
        '.figures dt',
        '#status',
        '#pause',
        'thead th',
        'tbody th',
      ];
      const texts = [
        '#values td:nth-of-type(2)',
        '.symbols .plotted',
        '.symbols label:last-child',
        '#choice-hint',
      ];
      for (const selector of [...selectors, ...texts]) {
        expect(await contrastOf(page, selector), selector).toBeGreaterThan(4.5);
      }
    },
  );

  test('a page comes back by itself when the server was away, and sees no gap in what is numbered anew', async () => {
    const { port } = server;
    const page = await open('#MILL,CART');
    await hasUpdates(page, 20);
    server.kill('SIGTERM');
    await page.getByText(/^Offline, next try in \d+ s$/).waitFor();
    expect(await server.exit()).toEqual({ code: 0, signal: null });
    const before = await fewestUpdates(page);
    server = new MillraceProcess(['serve', example('ticker.js'), '--port', String(port), '--shards', '2']);
    await server.ready();
    await page.getByText(/^Shard \d of 2$/).waitFor();
    await hasUpdates(page, before + 20);
    expect(await symbolsOf(page)).toEqual(['MILL', 'CART']);
    expect(await figure(page, 'gaps')).toBe('0');
  });
});
