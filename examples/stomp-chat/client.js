// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** The page: a room, and the board of jobs. Whatever comes from other people is put in as text, never as markup. */
import { Board, Worker } from './board.js';

/** @import { Client, StompSubscription } from '@stomp/stompjs' */
/** @import { Said, Welcome } from '../stomp-chat.js' */

/** stomp.js is a script of its own, in front of this one. @type {typeof import('@stomp/stompjs')} */
const StompJs = /** @type {any} */ (globalThis).StompJs;

const ROOMS = ['lobby', 'workshop', 'mill pond'];
const WORKERS = ['Wheel', 'Gate'];
const JOBS = [
  'Grind the rye',
  'Sieve the flour',
  'Grease the axle',
  'Mend the sluice',
  'Sharpen the stones',
  'Fill the sacks',
  'Sweep the floor',
  'Weigh the barley',
];
/** Messages kept on the page. */
const MAX_LOG = 300;
/** Wait before connecting anew, in ms. */
const RECONNECT_DELAY = 1000;

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
const nameInput = element('name', HTMLInputElement);
const roomInput = element('room', HTMLInputElement);
const joinProblem = element('join-problem', HTMLElement);
const log = element('log', HTMLOListElement);
const textInput = element('text', HTMLInputElement);
const whatInput = element('what', HTMLInputElement);
const buttons = ['send', 'add', 'add-five'].map((id) => element(id, HTMLButtonElement));

const page = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16)).join('');
const board = new Board();
let name = '';
let room = '';
/** @type {Client | null} */
let client = null;
/** @type {StompSubscription | null} */
let roomSubscription = null;
const rooms = new Set(ROOMS);

// The connection.

/** @returns {Client} */
function makeClient() {
  const url = new URL('stomp', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.hash = '';
  return new StompJs.Client({
    brokerURL: url.href,
    connectHeaders: { login: name },
    reconnectDelay: RECONNECT_DELAY,
  });
}

function connect() {
  const made = makeClient();
  client = made;
  showStatus('connecting', 'Connecting…');
  made.onConnect = () => {
    made.subscribe('/user/queue/welcome', ({ body }) => {
      /** @type {Welcome} */
      const welcome = JSON.parse(body);
      if (welcome.page !== page) return;
      showStatus('online', `Shard ${welcome.shard} of ${welcome.shards}`);
      enableSending(true);
    });
    made.subscribe('/topic/board', ({ body }) => {
      board.show(JSON.parse(body));
    });
    subscribeToRoom(made);
    made.publish({ destination: '/app/hello', body: JSON.stringify({ page }) });
    entered();
  };
  made.onStompError = ({ headers, body }) => {
    const reason = headers['message'] ?? body;
    if (element('place', HTMLElement).hidden) {
      // A name that is refused now is refused again.
      void made.deactivate();
      joinProblem.textContent = reason;
    } else note(reason);
  };
  made.onWebSocketClose = () => {
    roomSubscription = null;
    enableSending(false);
    showStatus(made.active ? 'offline' : 'connecting', made.active ? 'Reconnecting…' : 'Not connected');
  };
  made.activate();
}

/** @param {Client} connected */
function subscribeToRoom(connected) {
  roomSubscription = connected.subscribe(roomDestination(), ({ body }) => {
    showMessage(JSON.parse(body));
  });
}

/** As the server names the topic of a room. */
function roomDestination() {
  return `/topic/room.${room.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-')}`;
}

/** @param {string} destination @param {object} content */
function send(destination, content) {
  if (client?.connected !== true) return false;
  client.publish({ destination, body: JSON.stringify(content) });
  return true;
}

// Rooms.

element('join-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  name = nameInput.value.trim();
  room = roomInput.value.trim();
  if (name === '' || room === '') return;
  joinProblem.textContent = '';
  void client?.deactivate();
  connect();
});

function entered() {
  const place = element('place', HTMLElement);
  showRoom();
  if (!place.hidden) return;
  place.hidden = false;
  element('welcome', HTMLElement).hidden = true;
  const parent = element('workers', HTMLElement);
  for (const kind of WORKERS) new Worker(`${name}’s ${kind}`, parent, makeClient).plugIn();
  textInput.focus();
}

/** @param {string} other */
function enter(other) {
  room = other;
  log.replaceChildren();
  roomSubscription?.unsubscribe();
  roomSubscription = null;
  if (client?.connected === true) subscribeToRoom(client);
  showRoom();
  textInput.focus();
}

function showRoom() {
  rooms.add(room);
  history.replaceState(null, '', `#${encodeURIComponent(room)}`);
  element('room-name', HTMLElement).textContent = room;
  element('room-destination', HTMLElement).textContent = roomDestination();
  const items = Array.from(rooms, (other) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.dir = 'auto';
    button.textContent = other;
    if (other === room) button.setAttribute('aria-current', 'page');
    button.addEventListener('click', () => {
      if (other !== room) enter(other);
    });
    const item = document.createElement('li');
    item.append(button);
    return item;
  });
  element('rooms', HTMLUListElement).replaceChildren(...items);
}

element('say-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  const text = textInput.value.trim();
  if (text !== '' && send('/app/say', { room, text })) textInput.value = '';
});

/** @param {Said} said */
function showMessage({ name: who, text, shard, time }) {
  const item = document.createElement('li');
  item.className = who === name ? 'message mine' : 'message';
  item.style.setProperty('--hue', String(hueOf(who)));
  const line = document.createElement('p');
  line.className = 'byline';
  const date = new Date(time);
  const when = document.createElement('time');
  when.dateTime = date.toISOString();
  when.textContent = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  line.append(span('name', who), ' ', span('shard', `shard ${shard}`), ' ', when);
  const body = document.createElement('p');
  body.className = 'text';
  body.dir = 'auto';
  body.textContent = text;
  item.append(line, body);
  append(item);
}

/** A line that nobody said. @param {string} text */
function note(text) {
  const item = document.createElement('li');
  item.className = 'note';
  item.textContent = text;
  append(item);
}

/** @param {HTMLLIElement} item */
function append(item) {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.append(item);
  while (log.childElementCount > MAX_LOG) log.firstElementChild?.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

/** @param {string} className @param {string} content */
function span(className, content) {
  const made = document.createElement('span');
  made.className = className;
  made.dir = 'auto';
  made.textContent = content;
  return made;
}

/** @param {string} text */
function hueOf(text) {
  let hash = 7;
  for (const character of text) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return hash;
}

// Jobs.

let suggested = Math.floor(Math.random() * JOBS.length);

function suggestion() {
  return JOBS[suggested++ % JOBS.length] ?? '';
}

element('job-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  const what = whatInput.value.trim() || suggestion();
  if (send('/app/jobs', { what })) whatInput.value = '';
});

element('add-five', HTMLButtonElement).addEventListener('click', () => {
  for (let i = 0; i < 5; i++) send('/app/jobs', { what: suggestion() });
});

// What surrounds them.

/** On a narrow screen one of the two is seen. */
for (const view of /** @type {const} */ (['room', 'jobs'])) {
  element(`show-${view}`, HTMLButtonElement).addEventListener('click', () => {
    element('place', HTMLElement).dataset['view'] = view;
    for (const other of ['room', 'jobs']) {
      element(`show-${other}`, HTMLButtonElement).ariaPressed = String(other === view);
    }
  });
}

/** @param {'connecting' | 'online' | 'offline'} state @param {string} text */
function showStatus(state, text) {
  status.dataset['state'] = state;
  status.textContent = text;
}

/** @param {boolean} canSend */
function enableSending(canSend) {
  for (const button of buttons) button.disabled = !canSend;
}

function namedRoom() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}

roomInput.value = namedRoom() || 'lobby';
