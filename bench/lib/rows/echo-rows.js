// @ts-check

/** @typedef {import('../runs/macro-run.js').MacroRow} MacroRow */

const CONNECTIONS = 100;
const SMALL = 20;
const KIB = 1024;
const PEERS = ['ws', 'bun', 'uws'];
/** Masking in JavaScript matters where messages are long. */
const LONG_PEERS = ['ws', 'ws-js', 'bun', 'uws'];

/** @type {readonly MacroRow[]} */
export const ECHO_ROWS = [
  {
    id: 'P1',
    title: 'echo, 20 B, 1 in flight, messageView, 100 connections',
    subject: 'messageView',
    peers: PEERS,
    work: { connections: CONNECTIONS, size: SMALL, inFlight: 1 },
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 1.5 },
      { peer: 'bun', metric: 'messagesPerServerSecond', must: 0.85, aim: 1 },
    ],
  },
  {
    id: 'P2',
    title: 'echo, 20 B, 16 in flight, messageView, 100 connections',
    subject: 'messageView',
    peers: PEERS,
    work: { connections: CONNECTIONS, size: SMALL, inFlight: 16 },
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 12 },
      { peer: 'bun', metric: 'messagesPerSecond', must: 1.1, aim: 1.5 },
    ],
  },
  {
    id: 'P3',
    title: 'echo, 20 B, 16 in flight, message, 100 connections',
    subject: 'message',
    peers: PEERS,
    work: { connections: CONNECTIONS, size: SMALL, inFlight: 16 },
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 7 },
      { peer: 'bun', metric: 'messagesPerSecond', must: 0.5, aim: 0.8 },
    ],
  },
  {
    id: 'P4',
    title: 'echo, 16 KiB, 1 in flight, messageView, 100 connections',
    subject: 'messageView',
    peers: LONG_PEERS,
    work: { connections: CONNECTIONS, size: 16 * KIB, inFlight: 1 },
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 1.8 },
      { peer: 'bun', metric: 'messagesPerSecond', must: 1.2, aim: 1.5 },
    ],
  },
  {
    id: 'P5',
    title: 'echo, 1 MiB, 1 in flight, messageView, 8 connections',
    subject: 'messageView',
    peers: LONG_PEERS,
    work: { connections: 8, size: KIB * KIB, inFlight: 1 },
    targets: [
      { peer: 'ws', metric: 'messagesPerSecond', must: 1.5 },
      { peer: 'bun', metric: 'messagesPerSecond', aim: 1 },
    ],
  },
  {
    id: 'P12',
    title: 'echo over TLS 1.3, 20 B, 1 in flight, messageView, 100 connections',
    subject: 'tls-messageView',
    peers: ['tls-ws', 'tls-bun', 'tls-uws'],
    work: { connections: CONNECTIONS, size: SMALL, inFlight: 1, tls: true },
    targets: [
      { peer: 'tls-ws', metric: 'messagesPerSecond', must: 1.3 },
      { peer: 'tls-bun', metric: 'messagesPerSecond', aim: 1 },
    ],
  },
];
