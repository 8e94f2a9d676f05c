// @ts-check
/**
 * STOMP: rooms, and a queue of jobs whose workers acknowledge them, with @stomp/stompjs in the page.
 *
 *     npm install @stomp/stompjs
 *     npx millrace serve examples/stomp-chat.js --port 9001
 *
 * Pages send to /app/… alone: what is below checks it, adds who and where, and sends it on to a topic or the queue. A
 * worker is a subscription to /queue/jobs with one message at a time. A job whose worker goes away before it has
 * acknowledged is given to another one.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { stompBroker } from 'millrace/stomp';

/**
 * What pages send, as JSON, and to where.
 *
 * @typedef {{ page: string }} Hello /app/hello
 * @typedef {{ room: string, text: string }} Say /app/say
 * @typedef {{ what: string }} NewJob /app/jobs
 * @typedef {Job & { type: 'taken' | 'done', worker: string, isAgain: boolean }} Progress /app/board
 */

/**
 * What pages get: from /user/queue/welcome, /topic/room.…, /queue/jobs and /topic/board.
 *
 * @typedef {{ page: string, shard: number, shards: number }} Welcome
 * @typedef {{ name: string, text: string, shard: number, time: number }} Said
 * @typedef {{ id: string, what: string, by: string, takes: number }} Job `takes` is in ms
 * @typedef {({ type: 'queued' } & Job) | (Progress & { shard: number })} BoardEvent
 */

/** What came in as JSON: any field may hold anything. @typedef {Record<string, unknown>} Fields */

/** Characters of a name, a room, a message and a job; how long a job takes, in ms. */
const LIMITS = { name: 24, room: 24, text: 500, what: 60, shortest: 1500, longest: 4000 };

const FILES = /** @type {const} */ ([
  ['/', 'stomp-chat/index.html', 'text/html; charset=utf-8'],
  ['/client.js', 'stomp-chat/client.js', 'text/javascript; charset=utf-8'],
  ['/board.js', 'stomp-chat/board.js', 'text/javascript; charset=utf-8'],
  ['/style.css', 'stomp-chat/style.css', 'text/css; charset=utf-8'],
]);
/** The client library, as the page gets it from here. */
const STOMPJS = createRequire(import.meta.url).resolve('@stomp/stompjs');
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Where pages may subscribe. */
const OPEN_TO_PAGES = ['/topic/room.', '/topic/board', '/queue/jobs', '/user/queue/welcome'];

/** @type {import('millrace').AppModule} */
export default (app, shard) => {
  for (const [path, file, type] of FILES) serveFile(path, new URL(file, import.meta.url), type);
  serveFile('/stomp.js', STOMPJS, 'text/javascript; charset=utf-8');

  const broker = stompBroker(app, {
    path: '/stomp',
    // Whoever has a name may come in. A real one would look at the passcode, or at a cookie of the request.
    authenticate: ({ login }) => {
      const user = clean(login, LIMITS.name);
      return user === null ? false : { user };
    },
    authorize: (_session, action, destination) =>
      action === 'send'
        ? destination.startsWith('/app/')
        : OPEN_TO_PAGES.some((open) =>
            open.endsWith('.')
              ? destination.startsWith(open) && !/[*#>]/.test(destination)
              : destination === open,
          ),
  });

  broker.on('/app/hello', (message, session) => {
    const page = clean(fieldsOf(message.body)['page'], 64) ?? '';
    /** @type {Welcome} */
    const welcome = { page, shard: shard.index, shards: shard.count };
    return broker.sendToUser(session.user ?? '', '/queue/welcome', JSON.stringify(welcome));
  });

  broker.on('/app/say', async (message, session) => {
    const { room, text } = fieldsOf(message.body);
    const where = roomOf(clean(room, LIMITS.room) ?? '');
    const said = clean(text, LIMITS.text);
    if (where === '' || said === null) return;
    /** @type {Said} */
    const line = { name: session.user ?? '', text: said, shard: shard.index, time: Date.now() };
    await broker.publish(`/topic/room.${where}`, JSON.stringify(line));
  });

  let jobs = 0;
  broker.on('/app/jobs', async (message, session) => {
    const what = clean(fieldsOf(message.body)['what'], LIMITS.what);
    if (what === null) return;
    const takes = Math.round(LIMITS.shortest + Math.random() * (LIMITS.longest - LIMITS.shortest));
    /** @type {Job} */
    const job = { id: `${shard.index}-${process.pid}-${++jobs}`, what, by: session.user ?? '', takes };
    await tellBoard({ type: 'queued', ...job });
    await broker.publish('/queue/jobs', JSON.stringify(job));
  });

  broker.on('/app/board', async (message) => {
    const { type, worker, isAgain, takes, ...texts } = fieldsOf(message.body);
    const [id, what, by] = [
      clean(texts['id'], 64),
      clean(texts['what'], LIMITS.what),
      clean(texts['by'], LIMITS.name),
    ];
    const who = clean(worker, LIMITS.name + 16);
    if (id === null || what === null || by === null || who === null) return;
    if (typeof takes !== 'number' || (type !== 'taken' && type !== 'done')) return;
    await tellBoard({
      type,
      id,
      what,
      by,
      takes,
      worker: who,
      isAgain: isAgain === true,
      shard: shard.index,
    });
  });

  /** @param {BoardEvent} event */
  function tellBoard(event) {
    return broker.publish('/topic/board', JSON.stringify(event));
  }

  /** @param {string} path @param {string | URL} file @param {string} type */
  function serveFile(path, file, type) {
    const body = readFileSync(file);
    app.get(path, (res) => {
      res.writeHeader('Content-Type', type).writeHeader('Cache-Control', 'no-cache');
      res.writeHeader('X-Content-Type-Options', 'nosniff').writeHeader('Referrer-Policy', 'no-referrer');
      res.writeHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY).end(body);
    });
  }
};

/** As part of a destination: lower case, and nothing that has a meaning there. @param {string} name */
function roomOf(name) {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-');
}

/** No fields when it is no JSON object. @param {Uint8Array | string} body @returns {Fields} */
function fieldsOf(body) {
  try {
    const value = JSON.parse(Buffer.from(body).toString());
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/**
 * A text of 1 to `max` characters with something to see in it and no control characters, or null.
 *
 * @param {unknown} value
 * @param {number} max
 */
function clean(value, max) {
  if (typeof value !== 'string') return null;
  const text = value.normalize('NFC').trim();
  const isVisible = /[\p{L}\p{N}\p{P}\p{S}]/u.test(text) && !/\p{Cc}/u.test(text);
  return isVisible && Array.from(text).length <= max ? text : null;
}
