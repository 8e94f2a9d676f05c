export { runShard as default } from '../src/app/shard-thread.ts';
