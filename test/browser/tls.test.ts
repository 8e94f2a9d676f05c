import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchChromium, openPage } from '../support/browser/browser.ts';
import { example, MillraceProcess } from '../support/servers/millrace-process.ts';
import { makeCertificate } from '../support/tls/certificates.ts';

let browser: Browser;
let server: MillraceProcess;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-browser-'));
  const { key, cert } = makeCertificate('localhost');
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  writeFileSync(keyFile, key);
  writeFileSync(certFile, cert);
  browser = await launchChromium();
  const flags = ['--port', '0', '--shards', '2', '--key', keyFile, '--cert', certFile];
  server = new MillraceProcess(['serve', example('chat.js'), ...flags]);
  await server.ready();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

describe('the chat in Chromium over TLS', () => {
  test('two pages chat over wss', async () => {
    expect(server.url).toMatch(/^https:/);
    const pages = [];
    for (const name of ['Ada', 'Bob']) {
      const page = await openPage(browser, server.url, { ignoreHTTPSErrors: true });
      await page.getByText(/^Shard \d of 2$/).waitFor();
      await page.getByLabel('Your name').fill(name);
      await page.getByLabel('Room', { exact: true }).fill('mill');
      await page.getByRole('button', { name: 'Enter' }).click();
      await page.getByRole('heading', { name: 'mill', exact: true }).waitFor();
      pages.push(page);
    }
    const [ada, bob] = pages as [(typeof pages)[0], (typeof pages)[0]];
    await ada.getByLabel('Message', { exact: true }).fill('Is this line private?');
    await ada.keyboard.press('Enter');
    await bob.getByRole('log').getByText('Is this line private?', { exact: true }).waitFor();
    await bob.getByLabel('Message', { exact: true }).fill('ä'.repeat(400));
    await bob.keyboard.press('Enter');
    await ada.getByRole('log').getByText('ä'.repeat(400), { exact: true }).waitFor();
    const protocol = await ada.evaluate(async (url) => {
      const response = await fetch(url);
      const [entry] = performance.getEntriesByName(response.url) as PerformanceResourceTiming[];
      return [location.protocol, entry?.nextHopProtocol];
    }, server.url);
    expect(protocol).toEqual(['https:', 'http/1.1']);
  });
});
