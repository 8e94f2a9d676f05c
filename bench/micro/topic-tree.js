// @ts-check
/** The topic tree of one shard: joining and leaving, and finding who is to get a message. */

/** @typedef {typeof import('../../src/pubsub/topic-tree.ts')} TopicTreeModule */
/** @typedef {{ subscriptions: Set<import('../../src/pubsub/topic-tree.ts').Topic<any>> | null, got: number }} Member */

const MEMBERS = 1000;
const ROOMS = 100;

/** @returns {Member} */
const newMember = () => ({ subscriptions: null, got: 0 });
const members = () => Array.from({ length: MEMBERS }, newMember);
const rooms = Array.from({ length: ROOMS }, (_, i) => `room/${i}`);

/** @param {number} i */
const roomOf = (i) => rooms[i % ROOMS] ?? '';

/** @type {import('../lib/runs/micro-run.js').MicroSuite} */
export default {
  name: 'topic-tree',
  title: 'Topic tree of a shard',
  cases: [
    {
      name: 'subscribe and unsubscribe, 1,000 members in 100 rooms',
      unit: 'pairs',
      prepare: async (load) => {
        /** @type {TopicTreeModule} */
        const { TopicTree } = await load('pubsub/topic-tree.js');
        const tree = new TopicTree();
        const all = members();
        return () => {
          for (const [i, member] of all.entries()) tree.subscribe(member, roomOf(i));
          const most = tree.size;
          for (const [i, member] of all.entries()) tree.unsubscribe(member, roomOf(i));
          if (most !== ROOMS || tree.size !== 0) throw new Error('the tree has lost count of its topics');
          return MEMBERS;
        };
      },
    },
    {
      name: 'look up a topic, 100 topics',
      unit: 'lookups',
      prepare: async (load) => {
        /** @type {TopicTreeModule} */
        const { TopicTree } = await load('pubsub/topic-tree.js');
        const tree = new TopicTree();
        for (const [i, member] of members().entries()) tree.subscribe(member, roomOf(i));
        // As they come from outside: strings that are equal, not the same.
        const names = rooms.map((name) => Buffer.from(name).toString());
        return () => {
          let found = 0;
          for (let i = 0; i < 10_000; i++) found += tree.subscriberCount(names[i % ROOMS] ?? '');
          if (found !== 10_000 * (MEMBERS / ROOMS)) throw new Error('a subscriber is missing');
          return 10_000;
        };
      },
    },
    {
      name: 'visit the subscribers of a topic, 1,000 members',
      unit: 'visits',
      prepare: async (load) => {
        /** @type {TopicTreeModule} */
        const { TopicTree } = await load('pubsub/topic-tree.js');
        /** @type {import('../../src/pubsub/topic-tree.ts').TopicTree<Member>} */
        const tree = new TopicTree();
        const all = members();
        for (const member of all) tree.subscribe(member, 'all');
        return () => {
          const before = all[0]?.got ?? 0;
          for (let i = 0; i < 10; i++) {
            for (const member of tree.get('all')?.subscribers ?? []) member.got++;
          }
          return ((all[0]?.got ?? 0) - before) * MEMBERS;
        };
      },
    },
  ],
};
