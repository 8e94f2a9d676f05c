import { parentPort, workerData } from 'node:worker_threads';
import { runLoadThread } from '../src/load/load-thread.ts';

runLoadThread(workerData, parentPort!);
