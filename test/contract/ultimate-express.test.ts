import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'ultimate-express';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

describe('ultimate-express', () => {
  let folder = '';
  let base = '';
  let close = (): void => {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-express-'));
    await writeFile(join(folder, 'page.html'), '<p>page</p>');
    await writeFile(join(folder, 'large.bin'), Buffer.alloc(3_000_000, 7));
    const app = express();
    app.use(express.json({ limit: '5mb' }), express.urlencoded({ extended: true }), express.text());
    app.use('/files', express.static(folder));
    app.use((_req, res, next) => {
      res.set('X-Middleware', 'ran');
      next();
    });
    const users = express.Router();
    users.get('/:id', (req, res) => {
      res.json({ id: req.params['id'], query: req.query, host: req.hostname, ip: req.ip });
    });
    app.use('/users', users);
    app.get('/hello', (_req, res) => {
      res.send('hello world');
    });
    app.get('/later', async (req, res) => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      res.status(202).send(`${req.method} ${req.path} ${req.get('x-name') ?? ''}`);
    });
    app.post('/echo', (req, res) => {
      res.cookie('seen', '1').json(req.body);
    });
    app.get('/pieces', async (_req, res) => {
      for (const piece of ['one,', 'two,', 'three']) {
        res.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      res.end();
    });
    app.get('/fresh', (_req, res) => {
      res.set('ETag', '"v1"').send('fresh');
    });
    app.get('/away', (_req, res) => {
      res.redirect('/hello');
    });
    app.get('/throws', () => {
      throw new Error('on purpose');
    });
    app.use((error: Error, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
      res.status(500).send(`caught ${error.message}`);
    });
    await new Promise<void>((resolve) => {
      const server = app.listen(0, () => resolve());
      close = () => void server.close();
    });
    const { port } = (app as unknown as { address(): { port: number } }).address();
    base = `http://127.0.0.1:${port}`;
  });
  afterAll(async () => {
    close();
    await rm(folder, { recursive: true, force: true });
  });

  const get = (path: string, init?: RequestInit): Promise<Response> => fetch(`${base}${path}`, init);

  /** By Node.js, as fetch hides some and adds other headers. */
  async function head(path: string, method = 'HEAD', headers = {}): Promise<IncomingMessage> {
    const sent = httpRequest(`${base}${path}`, { method, headers }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response;
  }

  it('routes, with parameters, queries and middleware', async () => {
    const response = await get('/users/7?a=1&b[]=x');
    expect(response.headers.get('x-middleware')).toBe('ran');
    expect(await response.json()).toEqual({
      id: '7',
      query: { a: '1', b: ['x'] },
      host: '127.0.0.1',
      // It listens to IPv6, too, and shows the address as it is there.
      ip: '0000:0000:0000:0000:0000:ffff:7f00:0001',
    });
    expect((await get('/nothing')).status).toBe(404);
  });

  it('answers HEAD with the length of what GET sends', async () => {
    const response = await head('/hello');
    expect([response.statusCode, response.headers['content-length']]).toEqual([200, '11']);
    const file = await head('/files/large.bin');
    expect([file.statusCode, file.headers['content-length']]).toEqual([200, '3000000']);
  });

  it('answers later', async () => {
    const response = await get('/later', { headers: { 'X-Name': 'Ada' } });
    expect([response.status, await response.text()]).toEqual([202, 'GET /later Ada']);
  });

  it('reads bodies', async () => {
    const value = { list: Array.from({ length: 100_000 }, (_, i) => i) };
    const json = {
      method: 'POST',
      body: JSON.stringify(value),
      headers: { 'content-type': 'application/json' },
    };
    const response = await get('/echo', json);
    expect(response.headers.get('set-cookie')).toContain('seen=1');
    expect(await response.json()).toEqual(value);
    const form = await get('/echo', { method: 'POST', body: new URLSearchParams({ a: 'ä b' }) });
    expect(await form.json()).toEqual({ a: 'ä b' });
  });

  it('sends files, whole and in part', async () => {
    const page = await get('/files/page.html');
    expect([page.headers.get('content-type'), await page.text()]).toEqual([
      'text/html; charset=utf-8',
      '<p>page</p>',
    ]);
    const large = new Uint8Array(await (await get('/files/large.bin')).arrayBuffer());
    expect([large.length, large.every((byte) => byte === 7)]).toEqual([3_000_000, true]);
    const part = await get('/files/large.bin', { headers: { range: 'bytes=10-19' } });
    expect([part.status, part.headers.get('content-range'), (await part.arrayBuffer()).byteLength]).toEqual([
      206,
      'bytes 10-19/3000000',
      10,
    ]);
  });

  it('streams, redirects, is not modified, and reports errors', async () => {
    expect(await (await get('/pieces')).text()).toBe('one,two,three');
    expect(await (await get('/away')).text()).toBe('hello world');
    const same = await head('/fresh', 'GET', { 'if-none-match': '"v1"' });
    expect([same.statusCode, same.headers['content-length']]).toEqual([304, undefined]);
    const failed = await get('/throws');
    expect([failed.status, await failed.text()]).toEqual([500, 'caught on purpose']);
  });

  it('keeps a connection over all kinds of answers', async () => {
    for (let i = 0; i < 20; i++) {
      expect((await head('/hello')).statusCode).toBe(200);
      expect(await (await get('/hello')).text()).toBe('hello world');
    }
  });
});
