import { type Server, serve } from 'millrace';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { contrastOf, launchChromium, openPage, overflowOf } from '../support/browser/browser.ts';
import { DEADLINE } from '../support/tools/deadline.ts';

const EXAMPLES = new URL('../../examples/', import.meta.url);
/** Pages opened at most until two are on different shards. */
const MAX_PAGES = 8;

let browser: Browser;
let server: Server;
let url: string;

beforeAll(async () => {
  browser = await launchChromium();
  server = await serve({
    app: new URL('stomp-chat.js', EXAMPLES),
    host: '127.0.0.1',
    port: 0,
    shards: 2,
    balance: 'round-robin',
  });
  url = `http://127.0.0.1:${server.port}/`;
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

class Tab {
  readonly page: Page;
  readonly name: string;

  private constructor(page: Page, name: string) {
    this.page = page;
    this.name = name;
  }

  static async open(name: string, room: string, options: BrowserContextOptions = {}): Promise<Tab> {
    const page = await openPage(browser, url, options);
    page.setDefaultTimeout(DEADLINE);
    const tab = new Tab(page, name);
    await page.getByLabel('Your name').fill(name);
    await page.getByLabel('Room', { exact: true }).fill(room);
    await page.getByRole('button', { name: 'Enter' }).click();
    await tab.online();
    return tab;
  }

  async online(): Promise<void> {
    await this.page.getByText(/^Shard \d of 2$/).waitFor();
  }

  async shard(): Promise<string> {
    return (await this.page.getByRole('status').textContent()) ?? '';
  }

  async say(text: string): Promise<void> {
    await this.page.getByLabel('Message', { exact: true }).fill(text);
    await this.page.getByRole('button', { name: 'Send' }).click();
  }

  async sees(text: string): Promise<void> {
    await this.page.getByRole('log').getByText(text, { exact: true }).waitFor();
  }

  /** One of the two workers of this page. */
  worker(kind: 'Wheel' | 'Gate'): Locator {
    return this.page.getByRole('article', { name: `${this.name}’s ${kind}` });
  }

  /** Jobs that a worker has done. */
  async done(kind: 'Wheel' | 'Gate'): Promise<number> {
    const state = await this.worker(kind).locator('.worker-state').textContent();
    return Number(/(\d+) done$/.exec(state ?? '')?.[1]);
  }

  async queue(what: string): Promise<void> {
    await this.page.getByLabel('New job').fill(what);
    await this.page.getByRole('button', { name: 'Queue it' }).click();
  }

  /** The card of a job in a column of the board. */
  job(column: 'queued' | 'taken' | 'done', what: string): Locator {
    return this.page.locator(`#${column} .job`, { hasText: what });
  }
}

async function openOnBothShards(room: string): Promise<[Tab, Tab]> {
  const first = await Tab.open('Ada', room);
  for (let i = 1; i < MAX_PAGES; i++) {
    const other = await Tab.open(`Bob ${i}`, room);
    if ((await other.shard()) !== (await first.shard())) return [first, other];
    // Shards get connections in turn. Where each page has an even number of them, one more makes the difference.
    if (i % 2 === 1) await (await fetch(url, { headers: { Connection: 'close' } })).text();
  }
  throw new Error(`${MAX_PAGES} pages are all on ${await first.shard()}`);
}

describe('the chat over STOMP in Chromium', () => {
  test('two pages on different shards hear each other, in their room alone', async () => {
    const [ada, bob] = await openOnBothShards('mill');
    await ada.say('Is the gate open?');
    await bob.sees('Is the gate open?');
    await bob.say('Wide open.');
    await ada.sees('Wide open.');
    expect(await ada.page.locator('#log .text').allTextContents()).toEqual([
      'Is the gate open?',
      'Wide open.',
    ]);
    await bob.page.getByRole('button', { name: 'workshop' }).click();
    await ada.say('Still there?');
    await ada.sees('Still there?');
    await bob.say('In the workshop.');
    await bob.sees('In the workshop.');
    expect(await bob.page.locator('#log .text').allTextContents()).toEqual(['In the workshop.']);
  });

  test('markup is shown as text', async () => {
    const tab = await Tab.open('<b id=evil>Eve</b>', '<i>room</i>');
    const markup = '<img src=x onerror="alert(1)">';
    await tab.say(markup);
    await tab.sees(markup);
    await tab.queue(markup);
    await tab.job('done', markup).waitFor();
    expect(await tab.page.locator('main img, main b, main i, #evil').count()).toBe(0);
  });

  test('jobs are done once each, by both workers; what one leaves undone is redelivered to the other', async () => {
    const tab = await Tab.open('Ada', 'jobs');
    for (const kind of ['Wheel', 'Gate'] as const)
      await tab.worker(kind).getByText('waiting, 0 done').waitFor();
    await tab.queue('first');
    await tab.queue('second');
    await tab.job('done', 'first').waitFor();
    await tab.job('done', 'second').waitFor();
    for (const kind of ['Wheel', 'Gate'] as const)
      await tab.worker(kind).getByText('waiting, 1 done').waitFor();
    expect(await tab.page.locator('.again').count()).toBe(0);

    await tab.worker('Gate').getByRole('button', { name: 'Unplug' }).click();
    await tab.queue('dropped');
    await tab.job('taken', 'dropped').waitFor();
    await tab.worker('Wheel').getByRole('button', { name: 'Unplug' }).click();
    await tab.worker('Gate').getByRole('button', { name: 'Plug in' }).click();
    const again = tab.job('done', 'dropped');
    await again.getByText('Ada’s Gate, shard').waitFor();
    await again.getByText('redelivered').waitFor();
    expect(await tab.page.locator('#done .job').count()).toBe(3);
    expect(await tab.page.locator('#queued .job, #taken .job').count()).toBe(0);
  });

  test('a name that is none is refused', async () => {
    const page = await openPage(browser, url);
    page.setDefaultTimeout(DEADLINE);
    await page.getByLabel('Your name').fill('\u200B');
    await page.getByRole('button', { name: 'Enter' }).click();
    await page.locator('#join-problem:not(:empty)').waitFor();
    expect(await page.locator('#place').isHidden()).toBe(true);
  });

  test('pages and workers come back when the server is reloaded, and no job is lost', async () => {
    const tab = await Tab.open('Ada', 'harbour');
    await tab.worker('Wheel').getByText('waiting').waitFor();
    await tab.worker('Gate').getByText('waiting').waitFor();
    await tab.say('before');
    await tab.sees('before');
    for (let i = 0; i < 5; i++) await tab.queue(`job ${i}`);
    await tab.page.locator('#taken .job').first().waitFor();
    const reconnects = tab.page.getByText('Reconnecting…').waitFor();
    await server.reload();
    await reconnects;
    await tab.online();
    await tab.say('after');
    await tab.sees('after');
    await tab.queue('last');
    // The board may have missed what happened meanwhile; the queue has not.
    await vi.waitUntil(async () => (await tab.done('Wheel')) + (await tab.done('Gate')) >= 6, {
      timeout: DEADLINE,
    });
    await tab.worker('Wheel').getByText('waiting').waitFor();
    await tab.worker('Gate').getByText('waiting').waitFor();
    expect((await tab.done('Wheel')) + (await tab.done('Gate'))).toBe(6);
  });

  test.each([
    ['light', { width: 1180, height: 760 }],
    ['dark', { width: 390, height: 700 }],
  ] as const)(
    'in %s, at %j, nothing is wider than the screen, and text stands out',
    async (colorScheme, viewport) => {
      const tab = await Tab.open('W'.repeat(24), 'm'.repeat(24), { colorScheme, viewport });
      await tab.say('x'.repeat(500));
      await tab.sees('x'.repeat(500));
      const selectors = ['#log .text', '#log .shard', '#log time', '#room-destination', '#send'];
      for (const selector of selectors)
        expect(await contrastOf(tab.page, selector), selector).toBeGreaterThan(4.5);
      expect(await overflowOf(tab.page)).toBe(0);
      if (viewport.width < 500) await tab.page.getByRole('button', { name: 'Jobs' }).click();
      await tab.queue('y'.repeat(60));
      await tab.job('done', 'y'.repeat(60)).waitFor();
      expect(await overflowOf(tab.page)).toBe(0);
      for (const selector of ['#done .what', '#done .by', '.worker-state', '.count', '#add']) {
        expect(await contrastOf(tab.page, selector), selector).toBeGreaterThan(4.5);
      }
    },
  );
});
