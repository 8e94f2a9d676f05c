import type { ShardData } from '../src/shard/control-message.ts';

/**
 * The task that a shard's thread runs. CommonJS, because the pool loads it with require(): a thread that is ended
 * while Node.js 20 is inside a require() of an ES module takes the whole process with it.
 */
module.exports = async (data: ShardData): Promise<void> => {
  const { runShard } = await import('../src/app/shard-thread.ts');
  await runShard(data);
};
