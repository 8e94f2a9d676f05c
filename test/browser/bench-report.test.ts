import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contrastOf, launchChromium, openPage, overflowOf } from '../support/browser/browser.ts';
import { example, MillraceProcess } from '../support/servers/millrace-process.ts';

let browser: Browser;
let folder: string;
let file: string;

beforeAll(async () => {
  browser = await launchChromium();
  folder = mkdtempSync(join(tmpdir(), 'millrace-report-'));
  file = join(folder, 'report.html');
  const server = new MillraceProcess(['serve', example('echo.js'), '--port', '0', '--shards', '1']);
  await server.ready();
  const title = 'A <b>title</b> & more';
  const args = ['bench', server.ws(), '-d', '3', '-c', '20', '-p', '2', '--html', file, '--title', title];
  const bench = new MillraceProcess(args);
  expect((await bench.exit()).code).toBe(0);
  await server.stop();
});

afterAll(async () => {
  await browser?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

function open(options: BrowserContextOptions = {}): Promise<Page> {
  return openPage(browser, pathToFileURL(file).href, options);
}

describe('the report of millrace bench in Chromium', () => {
  test('opens from a file, without a network, with its charts drawn', async () => {
    const page = await open({ offline: true });
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('A <b>title</b> & more');
    const titles = await page.getByRole('heading', { level: 2 }).allTextContents();
    expect(titles).toEqual([
      'Messages a second',
      'Latency over time',
      'Latency by percentile',
      'Messages of each connection',
      'Mean latency of each connection',
    ]);
    // A line has a length: it is drawn, and from more than one point.
    const lengths = await page.$$eval('path.line', (paths) =>
      paths.map((path) => (path as unknown as SVGPathElement).getTotalLength()),
    );
    expect(lengths).toHaveLength(7);
    for (const length of lengths) expect(length).toBeGreaterThan(50);
    const image = await page.locator('#throughput').screenshot();
    expect(image.length).toBeGreaterThan(2000);
  });

  test('shows the values that are pointed at', async () => {
    const page = await open();
    const readout = page.locator('#latency .readout');
    const before = await readout.textContent();
    await page.locator('#latency svg').hover();
    expect(await readout.textContent()).toMatch(
      /^[\d.]+ s: 50 % [\d.]+ ms, 99 % [\d.]+ ms, longest [\d.]+ ms$/,
    );
    expect(await page.locator('#latency .cursor').getAttribute('hidden')).toBeNull();
    await page.locator('h1').hover();
    expect(await readout.textContent()).toBe(before);
  });

  test('fits on a phone, and its letters can be read there', async () => {
    const page = await open({ viewport: { width: 360, height: 740 } });
    expect(await overflowOf(page)).toBe(0);
    const sizes = await page.$$eval('svg text', (texts) =>
      texts.map((text) => text.getBoundingClientRect().height),
    );
    for (const height of sizes) expect(height).toBeGreaterThan(11);
    for (const summary of await page.locator('summary').all()) await summary.click();
    expect(await page.getByRole('cell', { name: '99.999 %' }).isVisible()).toBe(true);
    expect(await overflowOf(page)).toBe(0);
  });

  test.each(['light', 'dark'] as const)('has contrast in %s', async (colorScheme) => {
    const page = await open({ colorScheme });
    for (const selector of ['h1', 'header p', '.tiles dt', '.tiles dd', '.readout', 'footer', 'summary']) {
      expect(await contrastOf(page, selector), selector).toBeGreaterThan(4.5);
    }
    const back = await page.$eval('body', (body) => getComputedStyle(body).backgroundColor);
    expect(back).toBe(colorScheme === 'light' ? 'rgb(246, 247, 249)' : 'rgb(17, 21, 27)');
  });
});
