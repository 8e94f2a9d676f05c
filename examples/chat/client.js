// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** The page of the chat. Whatever comes from other people is put in as text, never as markup. */

/** @import { ClientMessage, ServerMessage } from '../chat.js' */

const ROOMS = ['lobby', 'workshop', 'mill pond'];
/** Messages kept on the page. */
const MAX_LOG = 300;
/** Messages of one person are shown under one name as long as they are not further apart, in ms. */
const GROUP_TIME = 120_000;
/** Wait before connecting anew, in ms: doubled from try to try, and a random part of it, lest all come at once. */
const FIRST_WAIT = 1000;
const LAST_WAIT = 15_000;
/** A connection that lived this long was a good one, in ms: the waits start from the first again. */
const GOOD_LIFE = 5000;
/** The meter: seconds it shows, and seconds its number is the mean of. */
const METER_SECONDS = 60;
const RATE_SECONDS = 5;

/**
 * @template {Element} E
 * @param {string} id
 * @param {{ new (): E }} type
 * @returns {E}
 */
function element(id, type) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`The page has no such #${id}`);
}

const status = element('status', HTMLElement);
const welcome = element('welcome', HTMLElement);
const chat = element('chat', HTMLElement);
const nameInput = element('name', HTMLInputElement);
const roomInput = element('room', HTMLInputElement);
const joinProblem = element('join-problem', HTMLElement);
const otherRoom = element('other-room', HTMLInputElement);
const roomName = element('room-name', HTMLElement);
const presence = element('presence', HTMLElement);
const log = element('log', HTMLOListElement);
const newer = element('newer', HTMLButtonElement);
const textInput = element('text', HTMLInputElement);
const sayProblem = element('say-problem', HTMLElement);

/** @type {WebSocket | null} */
let socket = null;
let failures = 0;
/** Who and where this page wants to be; joined again after every reconnect. @type {{ name: string, room: string } | null} */
let wanted = null;
/** The room this page is in, as the server has it; '' when in none. */
let room = '';
let myName = '';
let myShard = -1;
/** The last text sent, until the server took it. */
let lastSaid = '';
let unread = 0;
const rooms = new Set(ROOMS);

// The connection.

function connect() {
  const url = new URL('chat', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.hash = '';
  const connection = new WebSocket(url);
  const startedAt = performance.now();
  socket = connection;
  showStatus('connecting', failures === 0 ? 'Connecting…' : 'Reconnecting…');
  connection.addEventListener('message', ({ data }) => {
    countMessage();
    receive(/** @type {ServerMessage} */ (JSON.parse(data)));
  });
  connection.addEventListener('close', () => {
    if (socket !== connection) return;
    socket = null;
    if (performance.now() - startedAt > GOOD_LIFE) failures = 0;
    reconnectLater();
  });
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let retry;

function reconnectLater() {
  if (myShard !== -1 && room !== '') note('The connection was lost.');
  myShard = -1;
  room = '';
  enableSending(false);
  const longest = Math.min(FIRST_WAIT * 2 ** failures, LAST_WAIT);
  const wait = longest * (0.25 + 0.75 * Math.random());
  failures++;
  showStatus('offline', `Offline, next try in ${Math.ceil(wait / 1000)} s`);
  clearTimeout(retry);
  retry = setTimeout(connect, wait);
}

addEventListener('online', () => {
  if (socket !== null) return;
  clearTimeout(retry);
  connect();
});

/** @param {ClientMessage} message */
function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

/** @param {ServerMessage} message */
function receive(message) {
  switch (message.type) {
    case 'welcome':
      myShard = message.shard;
      showShard(message.shard, message.shards);
      showStatus('online', `Shard ${message.shard} of ${message.shards}`);
      if (wanted !== null) send({ type: 'join', ...wanted });
      break;
    case 'joined':
      entered(message.name, message.room);
      break;
    case 'message':
      showMessage(message);
      break;
    case 'arrived':
    case 'left':
      note(`${message.name} ${message.type === 'arrived' ? 'came in' : 'left'} (shard ${message.shard})`);
      break;
    case 'presence':
      showPresence(message);
      break;
    case 'refused':
      refused(message.reason);
      break;
  }
}

let peopleHere = 0;

/** @param {Extract<ServerMessage, { type: 'presence' }>} message */
function showPresence({ people, here, shard }) {
  if (shard === myShard) peopleHere = here;
  presence.textContent = `${people} ${people === 1 ? 'person' : 'people'}, ${peopleHere} on this shard`;
}

// Entering rooms.

/** The person has asked to enter a room; a reconnect enters it anew without being asked. */
let isEntering = false;

/** @param {string} name @param {string} newRoom */
function enter(name, newRoom) {
  wanted = { name, room: newRoom };
  isEntering = true;
  joinProblem.textContent = socket?.readyState === WebSocket.OPEN ? '' : 'Waiting for the server…';
  send({ type: 'join', ...wanted });
}

/** @param {string} name @param {string} newRoom */
function entered(name, newRoom) {
  if (newRoom !== roomName.textContent) log.replaceChildren();
  myName = name;
  room = newRoom;
  wanted = { name, room };
  rooms.add(room);
  remember('name', name);
  if (decodeHash() !== room) history.replaceState(null, '', `#${encodeURIComponent(room)}`);
  roomName.textContent = room;
  sayProblem.textContent = '';
  enableSending(true);
  if (isEntering) {
    isEntering = false;
    welcome.hidden = true;
    chat.hidden = false;
    textInput.focus();
  }
  showRooms();
  note(`You are in ${room} as ${name}.`);
}

/** @param {string} reason */
function refused(reason) {
  isEntering = false;
  wanted = room === '' ? null : { name: myName, room };
  if (room === '') showWelcome();
  (welcome.hidden ? sayProblem : joinProblem).textContent = reason;
  if (textInput.value === '') textInput.value = lastSaid;
  lastSaid = '';
}

function showWelcome() {
  chat.hidden = true;
  welcome.hidden = false;
  nameInput.focus();
}

element('join-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  enter(nameInput.value, roomInput.value);
});

element('room-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  enter(myName, otherRoom.value);
  otherRoom.value = '';
});

element('leave', HTMLButtonElement).addEventListener('click', () => {
  nameInput.value = myName;
  roomInput.value = room;
  showWelcome();
});

addEventListener('hashchange', () => {
  const named = decodeHash();
  if (named !== '' && wanted !== null && named !== wanted.room) enter(wanted.name, named);
});

function decodeHash() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}

function showRooms() {
  const items = Array.from(rooms, (name) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = name;
    button.dir = 'auto';
    if (name === room) button.setAttribute('aria-current', 'page');
    button.addEventListener('click', () => {
      if (name !== room) enter(myName, name);
      else textInput.focus();
    });
    const item = document.createElement('li');
    item.append(button);
    return item;
  });
  const list = element('rooms', HTMLUListElement);
  list.replaceChildren(...items);
  list.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

// Messages.

element('say-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  const text = textInput.value.trim();
  if (text === '' || room === '') return;
  sayProblem.textContent = '';
  lastSaid = text;
  send({ type: 'say', text });
  textInput.value = '';
  log.scrollTop = log.scrollHeight;
});

/** @type {{ name: string, shard: number, time: number } | null} */
let lastShown = null;

/** @param {Extract<ServerMessage, { type: 'message' }>} message */
function showMessage({ name, text, shard, time }) {
  const isGrouped =
    lastShown?.name === name && lastShown.shard === shard && time - lastShown.time < GROUP_TIME;
  lastShown = { name, shard, time };
  const item = document.createElement('li');
  item.className = isGrouped ? 'message grouped' : 'message';
  if (name === myName && shard === myShard) {
    item.classList.add('mine');
    if (text === lastSaid) lastSaid = '';
  }
  item.style.setProperty('--hue', String(hueOf(name)));
  if (!isGrouped) item.append(avatar(name), byline(name, shard, time));
  const body = document.createElement('p');
  body.className = 'text';
  body.dir = 'auto';
  body.textContent = text;
  item.append(body);
  append(item);
  if (document.hidden) {
    unread++;
    showTitle();
  }
}

/** @param {string} name */
function avatar(name) {
  const circle = document.createElement('span');
  circle.className = 'avatar';
  circle.ariaHidden = 'true';
  circle.textContent = (Array.from(name)[0] ?? '').toUpperCase();
  return circle;
}

/** @param {string} name @param {number} shard @param {number} time */
function byline(name, shard, time) {
  const line = document.createElement('p');
  line.className = 'byline';
  const who = document.createElement('bdi');
  who.className = 'name';
  who.textContent = name;
  const where = document.createElement('span');
  where.className = 'shard';
  where.textContent = `shard ${shard}`;
  where.style.setProperty('--hue', String(shardHue(shard)));
  const when = document.createElement('time');
  const date = new Date(time);
  when.dateTime = date.toISOString();
  when.textContent = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  line.append(who, ' ', where, ' ', when);
  return line;
}

/** A line that nobody said. @param {string} text */
function note(text) {
  lastShown = null;
  const item = document.createElement('li');
  item.className = 'note';
  item.dir = 'auto';
  item.textContent = text;
  append(item);
}

/** @param {HTMLLIElement} item */
function append(item) {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.append(item);
  while (log.childElementCount > MAX_LOG) log.firstElementChild?.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
  else newer.hidden = false;
}

log.addEventListener('scroll', () => {
  if (log.scrollHeight - log.scrollTop - log.clientHeight < 80) newer.hidden = true;
});

newer.addEventListener('click', () => {
  log.scrollTop = log.scrollHeight;
  textInput.focus();
});

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  unread = 0;
  showTitle();
});

function showTitle() {
  document.title = `${unread === 0 ? '' : `(${unread}) `}millrace chat`;
}

// What surrounds the messages.

/** @param {'connecting' | 'online' | 'offline'} state @param {string} text */
function showStatus(state, text) {
  status.dataset['state'] = state;
  status.textContent = text;
}

/** @param {boolean} canSend */
function enableSending(canSend) {
  element('send', HTMLButtonElement).disabled = !canSend;
  textInput.placeholder = canSend ? `Say something in ${room}` : 'Waiting for the server…';
  if (!canSend) presence.textContent = '';
}

/** @param {number} shard @param {number} count */
function showShard(shard, count) {
  const blocks = Array.from({ length: count }, (_, index) => {
    const block = document.createElement('span');
    block.style.setProperty('--hue', String(shardHue(index)));
    if (index === shard) block.className = 'mine';
    return block;
  });
  element('shards', HTMLElement).replaceChildren(...blocks);
  element('where', HTMLElement).textContent = `You are on shard ${shard} of ${count}`;
}

/** Hues that lie far apart for neighbours. @param {number} shard */
function shardHue(shard) {
  return Math.round(200 + shard * 137.5) % 360;
}

/** @param {string} name */
function hueOf(name) {
  let hash = 7;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return hash;
}

/** Messages of each of the last seconds, the current one last. */
const perSecond = new Array(METER_SECONDS + 1).fill(0);

function countMessage() {
  perSecond[METER_SECONDS]++;
}

setInterval(() => {
  const recent = perSecond.slice(-RATE_SECONDS).reduce((sum, count) => sum + count, 0);
  element('rate', HTMLElement).textContent = (recent / RATE_SECONDS).toFixed(1);
  const highest = Math.max(4, ...perSecond);
  const points = perSecond.map((count, second) => `${second},${(19 - (count / highest) * 18).toFixed(2)}`);
  const line = `M${points.join('L')}`;
  element('meter-line', SVGPathElement).setAttribute('d', line);
  element('meter-area', SVGPathElement).setAttribute('d', `${line}V20H0Z`);
  perSecond.shift();
  perSecond.push(0);
}, 1000);

/** Storage may be forbidden; then nothing is remembered. @param {string} key @param {string} value */
function remember(key, value) {
  try {
    localStorage.setItem(`millrace-chat-${key}`, value);
  } catch {}
}

/** @param {string} key */
function recall(key) {
  try {
    return localStorage.getItem(`millrace-chat-${key}`) ?? '';
  } catch {
    return '';
  }
}

nameInput.value = recall('name');
roomInput.value = decodeHash() || 'lobby';
connect();
