import { parentPort, workerData } from 'node:worker_threads';
import { runAcceptor } from '../src/shard/acceptor-thread.ts';

runAcceptor(workerData, parentPort!);
