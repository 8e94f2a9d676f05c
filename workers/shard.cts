import type { ShardData } from '../src/shard/control-message.ts';

/**
 * The task that a shard's thread runs. CommonJS, because the pool loads it with require(): a thread that is ended
 * while Node.js 20 is inside a require() of an ES module takes the whole process with it.
 */
module.exports = async (data: ShardData): Promise<void> => {
  const { runShard } = await import('../src/app/shard-thread.ts').catch((error: Error) => {
    data.port.postMessage({ type: 'failed', message: error.message, stack: error.stack });
    // Node.js keeps what a failed import() left for as long as the thread lives: the next try gets a fresh one.
    process.exit(1);
  });
  await runShard(data);
};
