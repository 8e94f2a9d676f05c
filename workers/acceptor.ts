import { parentPort, workerData } from 'node:worker_threads';
import { runAcceptor } from '../src/acceptor/acceptor-thread.ts';

runAcceptor(workerData, parentPort!);
