import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contrastOf, launchChromium, openPage, overflowOf } from '../support/browser/browser.ts';
import { example, MillraceProcess } from '../support/servers/millrace-process.ts';
import { DEADLINE, until } from '../support/tools/deadline.ts';

/** Pages opened at most until two are where they should be. */
const MAX_PAGES = 8;

let browser: Browser;
let server: MillraceProcess;

beforeAll(async () => {
  browser = await launchChromium();
  server = new MillraceProcess(['serve', example('chat.js'), '--port', '0', '--shards', '2']);
  await server.ready();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** A page of the chat. */
class Tab {
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  static async open(options: BrowserContextOptions = {}, hash = ''): Promise<Tab> {
    const page = await openPage(browser, server.url + hash, options);
    page.setDefaultTimeout(DEADLINE);
    await page.getByText(/^Shard \d+ of 2$/).waitFor();
    return new Tab(page);
  }

  async enter(name: string, room: string): Promise<void> {
    await this.page.getByLabel('Your name').fill(name);
    await this.page.getByLabel('Room', { exact: true }).fill(room);
    await this.page.getByRole('button', { name: 'Enter' }).click();
    await this.page.getByRole('heading', { name: room, exact: true }).waitFor();
  }

  /** The shard that the page shows. */
  async shard(): Promise<number> {
    const status = await this.page.getByRole('status').textContent();
    return Number(/^Shard (\d+) of 2$/.exec(status ?? '')?.[1] ?? Number.NaN);
  }

  async say(text: string): Promise<void> {
    await this.page.getByLabel('Message', { exact: true }).fill(text);
    await this.page.keyboard.press('Enter');
  }

  /** Waits for a message in the log. */
  async sees(text: string): Promise<void> {
    await this.page.getByRole('log').getByText(text, { exact: true }).waitFor();
  }

  /** Texts of the messages in the log. */
  texts(): Promise<string[]> {
    return this.page.locator('#log .text').allTextContents();
  }
}

/** Two pages on the same shard and one on the other, in no order known before. */
async function openOnBothShards(): Promise<{ same: [Tab, Tab]; different: [Tab, Tab] }> {
  const byShard: Tab[][] = [[], []];
  for (let i = 0; i < MAX_PAGES; i++) {
    const tab = await Tab.open();
    byShard.at(await tab.shard())?.push(tab);
    const [first, second] = byShard.toSorted((a, b) => b.length - a.length);
    if (first!.length >= 2 && second!.length > 0) {
      return { same: [first![0]!, first![1]!], different: [first![0]!, second![0]!] };
    }
  }
  const counts = byShard.map((tabs) => tabs.length);
  throw new Error(`${MAX_PAGES} pages are spread over the shards as ${counts.join(' and ')}`);
}

describe('the chat in Chromium', () => {
  test.each(['the same shard', 'different shards'])('two pages on %s chat with each other', async (where) => {
    const { same, different } = await openOnBothShards();
    expect(await same[0].shard()).toBe(await same[1].shard());
    expect(await different[0].shard()).not.toBe(await different[1].shard());
    const [ada, bob] = where === 'the same shard' ? same : different;
    await ada.enter('Ada', 'mill');
    await bob.enter('Bob', 'mill');
    await ada.sees(`Bob came in (shard ${await bob.shard()})`);
    await ada.say('Is the gate open?');
    await bob.sees('Is the gate open?');
    await bob.say('Wide open.');
    await ada.sees('Wide open.');
    await bob.sees('Wide open.');
    expect(await ada.texts()).toEqual(['Is the gate open?', 'Wide open.']);
    expect(await bob.texts()).toEqual(['Is the gate open?', 'Wide open.']);
    const names = await ada.page.locator('#log .byline').allTextContents();
    expect(names[0]).toContain(`Ada shard ${await ada.shard()}`);
    expect(names[1]).toContain(`Bob shard ${await bob.shard()}`);
    await ada.page.getByText(/^2 people, [12] on this shard$/).waitFor();
  });

  test('the page shows its shard, and a rate that moves', async () => {
    const tab = await Tab.open();
    await tab.enter('Ada', 'rates');
    expect(await tab.page.locator('#where').textContent()).toBe(`You are on shard ${await tab.shard()} of 2`);
    expect(await tab.page.locator('#shards span').count()).toBe(2);
    for (let i = 0; i < 5; i++) await tab.say(`m${i}`);
    await tab.page
      .locator('#rate')
      .filter({ hasNotText: /^0\.0$/ })
      .waitFor();
  });

  test('markup in names, rooms and messages is shown as text', async () => {
    const [ada, eve] = [await Tab.open(), await Tab.open()];
    const markup = '<img src=x onerror="alert(1)"><b>bold</b>&amp;';
    await ada.enter('Ada', '<i>room</i>');
    await eve.enter('<b id=evil>Eve</b>', '<i>room</i>');
    await eve.say(markup);
    await ada.sees(markup);
    expect(await ada.page.locator('#log .name').allTextContents()).toEqual(['<b id=evil>Eve</b>']);
    expect(await ada.page.locator('#log img, #log b, #log i, #evil, #rooms i, h2 i').count()).toBe(0);
    await ada.page.getByRole('button', { name: '<i>room</i>' }).waitFor();
  });

  test('all is done by the keyboard, and rooms are left for others', async () => {
    const [ada, bob] = [await Tab.open(), await Tab.open()];
    const { keyboard } = ada.page;
    await keyboard.type('Ada'); // The field for the name has the focus.
    await keyboard.press('Enter');
    await ada.page.getByRole('heading', { name: 'lobby' }).waitFor();
    await bob.enter('Bob', 'workshop');
    await keyboard.type('Hello lobby'); // So has the one for messages, once in a room.
    await keyboard.press('Enter');
    await ada.sees('Hello lobby');
    await ada.page.getByRole('button', { name: 'workshop' }).focus();
    await keyboard.press('Enter');
    await ada.page.getByRole('heading', { name: 'workshop' }).waitFor();
    await keyboard.type('Hello workshop');
    await keyboard.press('Enter');
    await bob.sees('Hello workshop');
    await ada.sees('Hello workshop');
    expect(await ada.texts()).toEqual(['Hello workshop']);
    expect(await bob.texts()).toEqual(['Hello workshop']);
    expect(new URL(ada.page.url()).hash).toBe('#workshop');
  });

  test('a link names a room', async () => {
    const tab = await Tab.open({}, '#mill%20pond');
    expect(await tab.page.getByLabel('Room', { exact: true }).inputValue()).toBe('mill pond');
  });

  test('who is refused is told why, and loses nothing', async () => {
    const tab = await Tab.open();
    await tab.page.getByLabel('Your name').fill('   ');
    await tab.page.getByRole('button', { name: 'Enter' }).click();
    await tab.page.getByText('A name has 1 to 24 characters.').waitFor();
    await tab.enter('Ada', 'quick');
    // All at once, however slow this machine is.
    await tab.page.getByLabel('Message', { exact: true }).evaluate((field) => {
      const input = field as HTMLInputElement;
      for (let i = 0; i < 15; i++) {
        input.value = `message ${i}`;
        input.form?.requestSubmit();
      }
    });
    await tab.page.getByText('That was too fast').waitFor();
    expect(await tab.page.getByLabel('Message', { exact: true }).inputValue()).toBe('message 14');
  });

  test.each([
    ['light', { width: 1180, height: 760 }],
    ['dark', { width: 390, height: 700 }],
  ] as const)(
    'in %s, at %j, nothing is wider than the screen, and text stands out',
    async (colorScheme, viewport) => {
      const tab = await Tab.open({ colorScheme, viewport });
      await tab.enter('W'.repeat(24), 'm'.repeat(24));
      await tab.say('x'.repeat(500));
      await tab.sees('x'.repeat(500));
      expect(await overflowOf(tab.page)).toBe(0);
      for (const selector of [
        '#log .text',
        '#log .shard',
        '#log time',
        '#presence',
        '.rate',
        '#send',
        '.note',
      ]) {
        expect(await contrastOf(tab.page, selector), selector).toBeGreaterThan(4.5);
      }
    },
  );

  test('a page comes back by itself, into its room, when the server was away', async () => {
    const { port } = server;
    const tab = await Tab.open();
    await tab.enter('Ada', 'harbour');
    await tab.say('before');
    await tab.sees('before');
    server.kill('SIGTERM');
    await tab.page.getByText(/^Offline, next try in \d+ s$/).waitFor();
    expect(await server.exit()).toEqual({ code: 0, signal: null });
    expect(await tab.page.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true);
    await tab.page.getByLabel('Message', { exact: true }).fill('kept while away');
    server = new MillraceProcess(['serve', example('chat.js'), '--port', String(port), '--shards', '2']);
    await server.ready();
    await tab.page.getByText(/^Shard \d of 2$/).waitFor();
    await tab.page.getByText('1 person, 1 on this shard').waitFor();
    await tab.page.getByRole('button', { name: 'Send' }).click();
    await until(() => server.child.exitCode === null, 'the server runs');
    await tab.sees('kept while away');
    expect(await tab.texts()).toEqual(['before', 'kept while away']);
  });
});
