// @ts-check

/** @typedef {import('../runs/macro-run.js').MacroRow} MacroRow */

const WORK = { probes: 10, floods: 5 };

/** @type {MacroRow['targets']} */
const TARGETS = [{ metric: 'latency99', must: 50 }];

/** @type {readonly MacroRow[]} */
export const FAIRNESS_ROWS = [
  {
    id: 'F25',
    title: 'echo, 10 connections with 1 in flight, beside 5 that send 1 B without end; message',
    subject: 'message',
    peers: ['ws', 'uws'],
    work: WORK,
    most: 3,
    targets: TARGETS,
  },
  {
    id: 'F25-view',
    title: 'the same; messageView',
    subject: 'messageView',
    peers: [],
    work: WORK,
    most: 3,
    targets: TARGETS,
  },
];
