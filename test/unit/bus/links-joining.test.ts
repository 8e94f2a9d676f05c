import { describe, expect, test } from 'vitest';
import { createGroupMemory, createInbox, type LinkMemory } from '../../../src/bus/link-memory.ts';
import { sleep } from '../../support/tools/deadline.ts';
import { LinkThread, pairStats, quiet } from './link-threads.ts';

/** Threads that join one by one, each with its own copy of the list of inboxes, as if it had been posted. */
class Group {
  readonly memory: LinkMemory = createGroupMemory(5, 4096, 1024 * 1024);
  readonly threads = new Map<number, LinkThread>();

  /** @param isTold the threads that are there are told of the new one */
  join(thread: number, isTold = true): LinkThread {
    const inbox = (this.memory.inboxes[thread] ??= createInbox(this.memory));
    if (isTold) for (const other of this.threads.values()) other.links.addThread(thread, inbox);
    const joined = new LinkThread({ ...this.memory, inboxes: this.memory.inboxes.slice() }, thread);
    this.threads.set(thread, joined.listen());
    return joined;
  }

  async delivered(): Promise<void> {
    for (const thread of this.threads.values()) thread.flush();
    await quiet(this.memory);
  }
}

describe('threads that join one by one', () => {
  test('get what is published by those before and behind them', async () => {
    const group = new Group();
    const first = group.join(0).subscribe('t');
    const second = group.join(40).subscribe('t');
    first.publish('t', 'from 0');
    second.publish('t', 'from 40');
    await group.delivered();
    const third = group.join(63).subscribe('t', 'u');
    for (const [number, thread] of group.threads) thread.publish('t', `again from ${number}`);
    await group.delivered();
    expect(first.texts()).toEqual(['from 40', 'again from 40', 'again from 63']);
    expect(second.texts()).toEqual(['from 0', 'again from 0', 'again from 63']);
    expect(third.texts()).toEqual(['again from 0', 'again from 40']);
    expect([first, second, third].map(({ links }) => links.countElsewhere('t'))).toEqual([2, 2, 2]);
    expect(first.links.countElsewhere('u')).toBe(1);
  });

  test('are found by a publisher that meets their interest before it was told of them', async () => {
    const group = new Group();
    const first = group.join(0);
    const asked: string[] = [];
    first.links.onUnknownThread = (): void => {
      asked.push('who is there?');
      first.links.addThread(1, group.memory.inboxes[1]!);
    };
    const second = group.join(1, false).subscribe('t');
    first.publish('t', 'one');
    first.publish('t', 'two');
    await group.delivered();
    expect(second.texts()).toEqual(['one', 'two']);
    expect(asked).toEqual(['who is there?']);
  });

  test('are heard even when they published before the reader was told of them', async () => {
    const group = new Group();
    const first = group.join(0).subscribe('t');
    const second = group.join(1, false);
    second.publish('t', 'early');
    second.flush();
    await sleep(20);
    expect(first.texts()).toEqual([]);
    first.links.addThread(1, group.memory.inboxes[1]!);
    await group.delivered();
    expect(first.texts()).toEqual(['early']);
  });

  test('leave no interest, no count and no message behind when they close', async () => {
    const group = new Group();
    const first = group.join(0).subscribe('t');
    const second = group.join(1).subscribe('t');
    second.publish('t', 'the last words');
    second.links.close();
    group.threads.delete(1);
    expect(first.links.countElsewhere('t')).toBe(0);
    expect(first.links.isWanted(first.links.hash('t'))).toBe(false);
    first.publish('t', 'for nobody');
    await group.delivered();
    expect(first.texts()).toEqual(['the last words']);
    expect(second.texts()).toEqual([]);
    expect(pairStats(group.memory, 0, 1).WRITTEN).toBe(0);
  });

  test('take over the number of one that ended, at the live edge', async () => {
    const group = new Group();
    const first = group.join(0).subscribe('t');
    const dead = group.join(1).subscribe('t');
    await group.delivered();
    dead.die();
    first.publish('t', 'too late');
    first.flush();
    first.links.clearThread(1);
    const next = group.join(1).subscribe('t');
    first.publish('t', 'in time');
    next.publish('t', 'back');
    await group.delivered();
    expect(next.texts()).toEqual(['in time']);
    expect(first.texts()).toEqual(['back']);
    expect(pairStats(group.memory, 1, 0).LOST).toBe(0);
  });
});
