// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** The board of jobs, and the workers of this page. Whatever comes from other people is put in as text. */

/** @import { Client, IMessage } from '@stomp/stompjs' */
/** @import { BoardEvent, Job, Progress } from '../stomp-chat.js' */

/** Jobs that are kept under "Done". */
const MAX_DONE = 40;

/** The jobs as /topic/board tells of them: queued, in work, done. */
export class Board {
  /** What is not done. @type {Map<string, HTMLLIElement>} */
  #cards = new Map();
  #columns = { queued: column('queued'), taken: column('taken'), done: column('done') };

  /** @param {BoardEvent} event */
  show(event) {
    if (event.type === 'queued') this.#queue(event);
    else this.#move(event);
    for (const { list, count } of Object.values(this.#columns))
      count.textContent = String(list.childElementCount);
  }

  /** @param {Job} job */
  #queue({ id, what, by }) {
    const item = document.createElement('li');
    item.className = 'job';
    const title = text('p', 'what', what);
    const line = text('p', 'by', `from ${by}`);
    item.append(title, line);
    this.#cards.set(id, item);
    this.#columns.queued.list.append(item);
    return item;
  }

  /** @param {Progress & { shard: number }} event */
  #move(event) {
    const { type, id, worker, isAgain, shard, takes } = event;
    // This page may have come after it was queued.
    const item = this.#cards.get(id) ?? this.#queue(event);
    const line = item.querySelector('.by');
    if (line !== null) line.textContent = `${worker}, shard ${shard}`;
    if (isAgain && item.querySelector('.again') === null) item.append(text('p', 'again', 'redelivered'));
    item.querySelector('.bar-of-work')?.remove();
    if (type === 'taken') {
      const bar = document.createElement('div');
      bar.className = 'bar-of-work';
      bar.style.animationDuration = `${takes}ms`;
      item.append(bar);
      this.#columns.taken.list.append(item);
      return;
    }
    const { list } = this.#columns.done;
    list.prepend(item);
    this.#cards.delete(id);
    while (list.childElementCount > MAX_DONE) list.lastElementChild?.remove();
  }
}

/**
 * A worker: a connection of its own, subscribed to the queue with one job at a time, which it acknowledges when it is done.
 * Unplugged, it is gone in the middle of its job, and the broker gives the job to another one.
 */
export class Worker {
  /** @readonly */
  name;
  #makeClient;
  /** @type {Client | null} */
  #client = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #work;
  #done = 0;
  #state;
  #button;

  /**
   * @param {string} name
   * @param {HTMLElement} parent
   * @param {() => Client} makeClient
   */
  constructor(name, parent, makeClient) {
    this.name = name;
    this.#makeClient = makeClient;
    const box = document.createElement('article');
    box.className = 'worker';
    box.setAttribute('aria-label', name);
    this.#state = text('p', 'worker-state', '');
    this.#button = document.createElement('button');
    this.#button.type = 'button';
    this.#button.addEventListener('click', () => {
      if (this.#client === null) this.plugIn();
      else this.unplug();
    });
    box.append(text('h3', 'worker-name', name), this.#state, this.#button);
    parent.append(box);
    this.#show('unplugged');
  }

  plugIn() {
    const client = this.#makeClient();
    this.#client = client;
    this.#show('connecting');
    client.onConnect = () => {
      this.#show('waiting');
      client.subscribe('/queue/jobs', (message) => this.#take(client, message), {
        ack: 'client-individual',
        'prefetch-count': '1',
      });
    };
    client.onWebSocketClose = () => {
      clearTimeout(this.#work);
      if (this.#client === client) this.#show('connecting');
    };
    client.activate();
  }

  /** Without a word to the broker. */
  unplug() {
    const client = this.#client;
    this.#client = null;
    clearTimeout(this.#work);
    void client?.deactivate({ force: true });
    this.#show('unplugged');
  }

  /** @param {Client} client @param {IMessage} message */
  #take(client, message) {
    /** @type {Job} */
    const job = JSON.parse(message.body);
    const isAgain = message.headers['redelivered'] === 'true';
    this.#show('working');
    this.#tell(client, { ...job, type: 'taken', worker: this.name, isAgain });
    this.#work = setTimeout(() => {
      // The connection is the one that the job came by: where it is lost the timer is cleared.
      message.ack();
      this.#done++;
      this.#tell(client, { ...job, type: 'done', worker: this.name, isAgain });
      this.#show('waiting');
    }, job.takes);
  }

  /** @param {Client} client @param {Progress} progress */
  #tell(client, progress) {
    client.publish({ destination: '/app/board', body: JSON.stringify(progress) });
  }

  /** @param {'unplugged' | 'connecting' | 'waiting' | 'working'} state */
  #show(state) {
    this.#state.dataset['state'] = state;
    this.#state.textContent = `${state}, ${this.#done} done`;
    this.#button.textContent = state === 'unplugged' ? 'Plug in' : 'Unplug';
  }
}

/** @param {string} tag @param {string} className @param {string} content */
function text(tag, className, content) {
  const made = document.createElement(tag);
  made.className = className;
  made.dir = 'auto';
  made.textContent = content;
  return made;
}

/** @param {string} id */
function column(id) {
  const list = document.getElementById(id);
  const count = document.getElementById(`${id}-count`);
  if (list === null || count === null) throw new Error(`The page has no column ${id}`);
  return { list, count };
}
