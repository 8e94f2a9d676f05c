import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium, openPage } from '../support/browser/browser.ts';
import { example, MillraceProcess } from '../support/servers/millrace-process.ts';

const THREADS = ['main', 'acceptor', 'shard 0', 'shard 1'];

let browser: Browser;
let folder = '';
let run: MillraceProcess;

beforeAll(async () => {
  browser = await launchChromium();
  folder = mkdtempSync(join(tmpdir(), 'millrace-profile-'));
  const load = ['-c', '20', '-p', '8', '-d', '2', '-W', '1', '--shards', '2'];
  run = new MillraceProcess(['profile', example('echo.js'), ...load, '-o', folder]);
  const { code } = await run.exit(100_000);
  if (code !== 0) throw new Error(`No profile was made:\n${run.stderr}`);
});

afterAll(async () => {
  await browser?.close();
  await run?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What a page draws: the flamegraph is a canvas. */
async function textsOf(page: Page): Promise<string[]> {
  await page.waitForFunction(() => ((globalThis as { drawn?: string[] }).drawn?.length ?? 0) > 0);
  return page.evaluate(() => (globalThis as { drawn?: string[] }).drawn ?? []);
}

async function watchCanvas(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const drawn: string[] = [];
    Object.assign(globalThis, { drawn });
    const { prototype } = CanvasRenderingContext2D;
    const draw = Reflect.get(prototype, 'fillText') as (...args: unknown[]) => void;
    prototype.fillText = function fillText(...args) {
      drawn.push(args[0]);
      Reflect.apply(draw, this, args);
    };
  });
}

describe('millrace profile', () => {
  test('prints the path of a page with a flamegraph and the hottest functions of each thread', async () => {
    expect(run.stdout.trim()).toBe(join(folder, 'index.html'));
    const page = await openPage(browser, pathToFileURL(run.stdout.trim()).href);
    expect(await page.locator('h2').allTextContents()).toEqual(THREADS);
    const links = page.getByRole('link', { name: 'flamegraph' });
    expect(await links.count()).toBe(THREADS.length);
    await links.nth(2).click();
    await page.waitForURL(/shard-0\.html$/);
  });

  test.each(THREADS)('draws what %s did', async (thread) => {
    const file = join(folder, `${thread.replace(' ', '-')}.html`);
    const page = await openPage(browser, pathToFileURL(file).href, {}, watchCanvas);
    const texts = await textsOf(page);
    expect(texts.some((text) => text.includes('(root)'))).toBe(true);
    // A frame that is too narrow for its name has it in the page only.
    const hasFrames =
      texts.some((text) => text.includes('millrace/src/protocol/frame-parser.js')) ||
      (await page.content()).includes('FrameParser');
    expect(hasFrames).toBe(thread.startsWith('shard'));
  });

  test('finds functions by the search of the page', async () => {
    const page = await openPage(browser, pathToFileURL(join(folder, 'shard-0.html')).href);
    const before = await page.locator('canvas').screenshot();
    await page.getByPlaceholder('search functions').fill('FrameParser');
    await expect.poll(async () => (await page.locator('canvas').screenshot()).equals(before)).toBe(false);
  });
});
