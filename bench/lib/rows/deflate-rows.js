// @ts-check

/** @typedef {import('../runs/macro-run.js').MacroRow} MacroRow */

/** @type {readonly MacroRow[]} */
export const DEFLATE_ROWS = [
  {
    id: 'P11',
    title:
      'permessage-deflate echo, 1 KiB of JSON, no context takeover, 1 in flight, messageView, 100 connections',
    subject: 'messageView',
    peers: ['ws', 'bun', 'uws'],
    work: { connections: 100, size: 1024 },
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 2 },
      { peer: 'bun', metric: 'messagesPerSecond', aim: 1 },
    ],
  },
];
