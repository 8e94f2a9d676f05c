// @ts-check
/**
 * Chat: rooms over all shards, and the page for it.
 *
 *     npm start
 *     npx millrace serve examples/chat.js --port 9001
 *
 * Every message is a JSON text; the types below are the whole protocol. A room is a topic, so `publish` is all that
 * is needed to reach everybody in it.
 */
import { readFileSync } from 'node:fs';

/**
 * What a page sends.
 *
 * @typedef {{ type: 'join', name: string, room: string } | { type: 'say', text: string }} ClientMessage
 */

/**
 * What a page gets. Of a room's `people`, `here` are on `shard`.
 *
 * @typedef {{ type: 'welcome', shard: number, shards: number }
 *   | { type: 'joined', name: string, room: string }
 *   | { type: 'message', name: string, text: string, shard: number, time: number }
 *   | { type: 'arrived', name: string, shard: number }
 *   | { type: 'left', name: string, shard: number }
 *   | { type: 'presence', people: number, here: number, shard: number }
 *   | { type: 'refused', reason: string }} ServerMessage
 */

/**
 * One connection. `room` is '' before it has joined one.
 *
 * @typedef {{ name: string, room: string, tokens: number, refilledAt: number, refusals: number }} Member
 * @typedef {import('millrace').WebSocket<Member> & Member} Socket
 */

/** What came in as JSON: any field may hold anything. @typedef {{ [field in 'type' | 'name' | 'room' | 'text']?: unknown }} Fields */

/** Characters of a name, a room and a message; messages a second of one connection, and how many at once. */
const LIMITS = { name: 24, room: 24, text: 500, perSecond: 5, burst: 10 };
/** Messages refused in a row until the connection is closed. */
const MAX_REFUSALS = 50;
/** Who comes and goes is told in rooms up to this size. */
const MAX_NOTICES = 50;
/** Changes of a room's count are gathered for so long, in ms: a thousand people arriving is one message. */
const PRESENCE_DELAY = 100;

const FILES = /** @type {const} */ ([
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/client.js', 'client.js', 'text/javascript; charset=utf-8'],
  ['/style.css', 'style.css', 'text/css; charset=utf-8'],
]);
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** @type {import('millrace').AppModule} */
export default (app, shard) => {
  for (const [path, file, type] of FILES) {
    const body = readFileSync(new URL(`chat/${file}`, import.meta.url));
    app.get(path, (res) => {
      res.writeHeader('Content-Type', type).writeHeader('Cache-Control', 'no-cache');
      res.writeHeader('X-Content-Type-Options', 'nosniff').writeHeader('Referrer-Policy', 'no-referrer');
      res.writeHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY).end(body);
    });
  }

  /** @type {import('millrace').WebSocketBehavior<Member>} */
  const behavior = {
    maxPayloadLength: 4096,
    origins: 'same-origin',
    open: (ws) => {
      const refilledAt = performance.now();
      Object.assign(ws, { name: '', room: '', tokens: LIMITS.burst, refilledAt, refusals: 0 });
      send(ws, { type: 'welcome', shard: shard.index, shards: shard.count });
    },
    message: (ws, data, isBinary) => {
      if (!takeToken(ws)) return;
      const message = isBinary ? null : parse(data);
      if (message?.type === 'join') join(ws, message);
      else if (message?.type === 'say') say(ws, message);
      else refuse(ws, 'That is no message of this chat.');
    },
    close: (ws) => {
      // Its subscriptions are gone already.
      if (ws.room !== '') departed(ws.room, ws.name);
    },
  };
  app.ws('/chat', behavior);

  /** Its people on this shard, to count them: no other shard subscribes to it. @param {string} room */
  const here = (room) => `shard ${shard.index}:${room}`;

  /** @param {Socket} ws @param {Fields} message */
  function join(ws, message) {
    const name = clean(message.name, LIMITS.name);
    const room = clean(message.room, LIMITS.room)?.toLowerCase();
    if (name === null) return refuse(ws, `A name has 1 to ${LIMITS.name} characters.`);
    if (room === undefined) return refuse(ws, `A room's name has 1 to ${LIMITS.room} characters.`);
    const before = { name: ws.name, room: ws.room };
    if (before.room !== '') {
      ws.unsubscribe(everybody(before.room));
      ws.unsubscribe(here(before.room));
      departed(before.room, before.name);
    }
    ws.name = name;
    ws.room = room;
    send(ws, { type: 'joined', name, room });
    notify(room, { type: 'arrived', name, shard: shard.index });
    ws.subscribe(everybody(room));
    ws.subscribe(here(room));
    countChanged(room);
  }

  /** @param {Socket} ws @param {Fields} message */
  function say(ws, message) {
    const text = clean(message.text, LIMITS.text);
    if (ws.room === '') return refuse(ws, 'Enter a room first.');
    if (text === null) return refuse(ws, `A message has 1 to ${LIMITS.text} characters, on one line.`);
    publish(everybody(ws.room), {
      type: 'message',
      name: ws.name,
      text,
      shard: shard.index,
      time: Date.now(),
    });
  }

  /** @param {string} room @param {string} name */
  function departed(room, name) {
    notify(room, { type: 'left', name, shard: shard.index });
    countChanged(room);
  }

  /** @param {string} room @param {ServerMessage} message */
  function notify(room, message) {
    if (app.numSubscribers(everybody(room)) <= MAX_NOTICES) publish(everybody(room), message);
  }

  /** @type {Set<string>} */
  const changedRooms = new Set();

  /** @param {string} room */
  function countChanged(room) {
    if (changedRooms.size === 0) setTimeout(tellCounts, PRESENCE_DELAY);
    changedRooms.add(room);
  }

  function tellCounts() {
    for (const room of changedRooms) {
      const people = app.numSubscribers(everybody(room));
      const onThisShard = app.numSubscribers(here(room));
      publish(everybody(room), { type: 'presence', people, here: onThisShard, shard: shard.index });
    }
    changedRooms.clear();
  }

  /** @param {string} topic @param {ServerMessage} message */
  function publish(topic, message) {
    app.publish(topic, JSON.stringify(message));
  }
};

/** The topic of all people in a room, whatever their shard. @param {string} room */
function everybody(room) {
  return `room:${room}`;
}

/** @param {Socket} ws @param {ServerMessage} message */
function send(ws, message) {
  ws.send(JSON.stringify(message));
}

/** @param {Socket} ws @param {string} reason */
function refuse(ws, reason) {
  send(ws, { type: 'refused', reason });
}

/** Token bucket: whether the connection may send a message now. @param {Socket} ws */
function takeToken(ws) {
  const now = performance.now();
  ws.tokens = Math.min(LIMITS.burst, ws.tokens + ((now - ws.refilledAt) / 1000) * LIMITS.perSecond);
  ws.refilledAt = now;
  const isAllowed = ws.tokens >= 1;
  ws.tokens -= isAllowed ? 1 : 0;
  ws.refusals = isAllowed ? 0 : ws.refusals + 1;
  if (ws.refusals > MAX_REFUSALS) ws.end(1008, 'too many messages');
  else if (!isAllowed) refuse(ws, 'That was too fast: wait a second.');
  return isAllowed;
}

/** Null when it is no JSON object. @param {ArrayBuffer} data */
function parse(data) {
  try {
    const value = JSON.parse(Buffer.from(data).toString());
    return typeof value === 'object' ? /** @type {Fields | null} */ (value) : null;
  } catch {
    return null;
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
