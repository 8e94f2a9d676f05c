import { clock, counter, difference, elsewhere, histogram, level, shared } from './metric.ts';

const SHARD = ['shard'] as const;
/** Threads that the supervisor starts. */
const HOSTED = ['acceptor', 'shard'] as const;
const ACCEPTING = ['acceptor', 'app'] as const;
/** Threads that serve WebSockets. */
const WEBSOCKETS = ['shard', 'app'] as const;
/** Threads that have sockets. */
const SERVING = ['acceptor', 'shard', 'app'] as const;
/** Threads that publish. */
const PUBLISHING = ['main', 'shard', 'app'] as const;
const ALL = ['main', 'acceptor', 'shard', 'app'] as const;

const BY_MAIN = { writers: ['main'] } as const;

/**
 * The metrics of a thread: all there are. From a row come its place in shared memory (`Counter.MESSAGES_IN` for
 * `messagesIn`, see counter.ts), its field in `stats()`, its line in docs/metrics.md and what exporters read.
 */
export const THREAD_METRICS = {
  sockets: difference(['socketsOpened', 'socketsClosed'], SERVING, 'Sockets taken and not yet closed.'),
  socketsOpened: counter('count', SERVING, 'Sockets accepted or taken over.'),
  socketsClosed: counter('count', SERVING, 'Sockets of these that are closed or were handed over.'),
  bytesIn: counter('bytes', SERVING, 'Bytes received, those that came with a socket from the acceptor too.'),
  bytesOut: counter('bytes', SERVING, 'Bytes given to the kernel, or to TLS.'),
  blockedWrites: counter('count', SERVING, 'Writes that the kernel did not take whole.'),
  yields: counter(
    'count',
    SERVING,
    'Times that a connection had more to be handled than its share of a turn of the event loop, and gave way to others.',
  ),

  requests: counter('count', SERVING, 'HTTP requests, handshakes included.'),
  refused: counter('count', SERVING, 'Handshakes and requests refused with an error status.'),
  timeouts: counter('count', SERVING, 'Connections closed because a deadline passed.'),
  evicted: counter(
    'count',
    SERVING,
    'Connections closed before their first request was whole, because a limit was reached and others came.',
  ),
  overLimit: counter('count', SERVING, 'Connections refused because a connection limit was reached.'),
  acceptErrors: counter(
    'count',
    ACCEPTING,
    'Times that nothing was accepted for a while, mostly because few descriptors were left; the backlog holds who comes. Where `accept` itself found none, libuv closes what waits there, and nobody counts it.',
  ),
  cutShort: counter('count', ACCEPTING, 'Connections cut off at once because few descriptors were left.'),
  handoffFailed: counter(
    'count',
    SERVING,
    'Handoffs of a socket that failed; it was tried on another shard, or given up.',
  ),
  adopted: counter('count', WEBSOCKETS, 'Sockets that came from the acceptor.'),

  webSockets: difference(['opened', 'closed'], WEBSOCKETS, 'Open WebSockets.'),
  opened: counter('count', WEBSOCKETS, 'WebSockets opened.'),
  closed: counter('count', WEBSOCKETS, 'WebSockets closed.'),
  messagesIn: counter('count', WEBSOCKETS, 'Messages received.'),
  messagesOut: counter(
    'count',
    WEBSOCKETS,
    'Messages sent, those published included, once for each subscriber.',
  ),
  dropped: counter('count', WEBSOCKETS, 'Messages not sent because of `maxBackpressure`.'),
  protocolErrors: counter('count', WEBSOCKETS, 'Connections closed because the peer broke a rule.'),
  handlerErrors: counter('count', WEBSOCKETS, 'Handlers that threw or rejected.'),

  published: counter('count', PUBLISHING, 'Messages published by this thread.'),
  delivered: counter('count', WEBSOCKETS, 'Publishes written to a subscriber.'),
  subscriptionsRefused: counter(
    'count',
    WEBSOCKETS,
    'Subscriptions refused because of `maxSubscriptions`, `maxTopics` or `maxTopicLength`.',
  ),
  uncountedTopics: elsewhere(
    'count',
    SHARD,
    'Topics with subscribers here that other threads cannot count, for want of memory. While it is not 0, `numSubscribers` elsewhere may be too low, and `publish` elsewhere may return true for a topic without subscribers.',
  ),

  asks: counter('count', PUBLISHING, 'Requests made to other threads, or to the own one.'),
  asksFailed: counter('count', PUBLISHING, 'Requests of these that have no answer, whatever the reason.'),
  askTimeouts: counter('count', PUBLISHING, 'Requests of these whose answer was not there in time.'),
  lateAnswers: counter('count', PUBLISHING, 'Answers dropped because nobody waited for them any more.'),
  answers: counter('count', PUBLISHING, 'Requests of other threads that were answered, with an error too.'),
  answersFailed: counter('count', PUBLISHING, 'Requests of these whose handler threw or rejected.'),
  answersRefused: counter(
    'count',
    PUBLISHING,
    'Requests of these that were not begun, because too many were under way or nobody takes their kind.',
  ),
  answersDropped: counter(
    'count',
    PUBLISHING,
    'Answers dropped because the thread that asked does not keep up, or is gone.',
  ),
  handovers: counter('count', SHARD, 'Times a successor took over what the shard keeps by name.', BY_MAIN),
  handoverBytes: counter('bytes', SHARD, 'Bytes of that.', BY_MAIN),
  statesLost: counter(
    'count',
    SHARD,
    'Keepers of state that began anew, because it could not be handed over or the shard had crashed.',
    BY_MAIN,
  ),

  tlsHandshakes: counter('count', WEBSOCKETS, 'TLS handshakes that were done.'),
  tlsResumed: counter('count', WEBSOCKETS, 'TLS handshakes of these that resumed a session.'),
  tlsFailed: counter('count', WEBSOCKETS, 'TLS handshakes that failed, timed out or gave way.'),
  tlsEvicted: counter(
    'count',
    WEBSOCKETS,
    'TLS handshakes of these that gave way because of `maxHandshakes`.',
  ),

  deflated: counter('count', PUBLISHING, 'Messages compressed, published ones once for all.'),
  deflateBytesIn: counter('bytes', PUBLISHING, 'Bytes of these before compression.'),
  deflateBytesOut: counter('bytes', PUBLISHING, 'Bytes of these after compression.'),
  deflateTime: counter('ms', PUBLISHING, 'Time that compression took.'),
  inflateBytesIn: counter('bytes', WEBSOCKETS, 'Bytes of compressed messages as they came.'),
  inflateBytesOut: counter('bytes', WEBSOCKETS, 'Bytes of compressed messages, decompressed.'),
  inflateTime: counter('ms', WEBSOCKETS, 'Time that decompression took.'),

  stompSessions: level('count', WEBSOCKETS, 'Connected STOMP clients.'),
  stompSends: counter('count', WEBSOCKETS, 'SEND frames of STOMP clients that were let through.'),
  stompSubscribes: counter('count', WEBSOCKETS, 'SUBSCRIBE frames of STOMP clients that were let through.'),
  stompAcks: counter('count', WEBSOCKETS, 'ACK frames that settled something.'),
  stompNacks: counter('count', WEBSOCKETS, 'NACK frames that settled something.'),
  stompErrors: counter(
    'count',
    WEBSOCKETS,
    'STOMP sessions ended by an ERROR, because their client broke a rule or a limit, or a handler failed.',
  ),
  stompRefused: counter(
    'count',
    WEBSOCKETS,
    'STOMP sessions ended by an ERROR because the client may not connect, send or subscribe.',
  ),
  stompSlowReaders: counter('count', WEBSOCKETS, 'STOMP clients cut off because they read too slowly.'),
  queueMessages: level('count', WEBSOCKETS, 'Messages in STOMP queues that this thread owns.'),
  queueBytes: level('bytes', WEBSOCKETS, 'Bytes of these, with 96 for each message.'),
  queueUnacknowledged: level(
    'count',
    WEBSOCKETS,
    'Messages of these that consumers have and did not acknowledge.',
  ),
  queueStored: counter('count', WEBSOCKETS, 'Messages stored in STOMP queues.'),
  queueRemoved: counter(
    'count',
    WEBSOCKETS,
    'Messages that left them: acknowledged, dropped, dead letters, and those lost in a crash.',
  ),
  queueRedelivered: counter('count', WEBSOCKETS, 'Deliveries of messages that had been delivered before.'),
  queueDeadLettered: counter(
    'count',
    WEBSOCKETS,
    'Messages taken out of their queue as dead letters, because they were rejected or delivered too often.',
  ),
  queueDropped: counter(
    'count',
    WEBSOCKETS,
    'Messages dropped because of their age, or as the oldest of a full queue.',
  ),
  queueRefused: counter(
    'count',
    WEBSOCKETS,
    'Messages refused because a queue was full, all queues were, or there were too many queues.',
  ),
  queueLost: counter(
    'count',
    WEBSOCKETS,
    'Messages that were in queues of a thread that ended unexpectedly; those of `queueRecovered` are not lost.',
  ),
  queueRecovered: counter(
    'count',
    WEBSOCKETS,
    'Messages of these that threads of their consumers had, so that they are in their queue again.',
  ),

  topicSubscriptions: level(
    'count',
    WEBSOCKETS,
    'STOMP subscriptions to topics, to destinations of users and to temporary queues.',
  ),
  topicMessages: counter(
    'count',
    WEBSOCKETS,
    'STOMP messages sent here to topics, to users and to temporary queues, whether or not somebody gets them.',
  ),

  heapUsed: level('bytes', SHARD, 'Bytes of the heap in use, about a second ago.'),
  heapLimit: level('bytes', SHARD, 'Bytes of the heap with which V8 ends the thread.'),
  recycled: counter(
    'count',
    SHARD,
    'Times the shard was replaced because its heap was full, see `heapWatermark`.',
    BY_MAIN,
  ),
  crashes: counter('count', HOSTED, 'Times the thread ended unexpectedly, and was started anew.', BY_MAIN),
  heartbeatAge: clock(
    ALL,
    'Time since the event loop was last seen to turn: up to 50 while it runs, and growing while it stands still.',
  ),

  state: shared(
    'state',
    SHARD,
    'What the shard is doing: 0 down, 1 starting, 2 ready, 3 draining. `stats()` has the word.',
    { writers: ['main', 'acceptor', 'shard'] },
  ),
  live: shared('count', SHARD, 'Sockets given to the shard, also those on their way, and not yet closed.', {
    writers: ['main', 'acceptor', 'shard'],
  }),
  waiting: shared(
    'count',
    SHARD,
    'Sockets of these whose first request is not whole, or whose TLS handshake is not done.',
    { writers: HOSTED },
  ),
  taken: shared(
    'count',
    SHARD,
    'Sockets that the shard has taken by the way that is open from the acceptor to it.',
  ),
  stalled: shared('count', SHARD, '1: the shard has not taken what it was sent for a second.', {
    writers: ['acceptor'],
  }),

  handlerTime: histogram(
    'ms',
    0.0001,
    WEBSOCKETS,
    'Time of `message` handlers until they return, without what they await. Of the first message of each 64th read.',
  ),
  messageSize: histogram(
    'bytes',
    1,
    WEBSOCKETS,
    'Sizes of messages received, decompressed. Of the first message of each 64th read.',
  ),
  handshakeTime: histogram(
    'ms',
    0.001,
    WEBSOCKETS,
    'Time from the accept of a connection to its 101, of connections whose first request was the handshake. The time in which the request came, an `upgrade` handler answered and TLS was agreed on is part of it.',
  ),
  tlsHandshakeTime: histogram(
    'ms',
    0.001,
    WEBSOCKETS,
    'Time from the accept of a connection to the end of its TLS handshake, of handshakes that were done.',
  ),
  loopDelay: histogram(
    'ms',
    0.001,
    ALL,
    'How late timers due each 50 ms were called; those that could not be called while the event loop stood still count too.',
  ),
} as const;

const SENDER = ['sender'] as const;
const RECEIVER = ['receiver'] as const;

/** The metrics of the ring from one thread to another: all there are, see `PairCounter`. */
export const RING_METRICS = {
  depth: elsewhere('bytes', SENDER, 'Bytes in the ring now.'),
  written: counter('count', SENDER, 'Messages written into the ring.'),
  overflowed: counter('count', SENDER, 'Messages that found no room and waited.'),
  overflowBytes: level('bytes', SENDER, 'Bytes that wait for room now.'),
  dropped: counter(
    'count',
    SENDER,
    'Messages given up because `maxOverflow` was reached, or because the receiver died.',
  ),
  wakes: counter('count', SENDER, 'Times the sleeping receiver was woken.'),
  unread: counter('count', SENDER, 'Messages that the receiver had not read when its thread ended.'),
  received: counter('count', RECEIVER, 'Messages that the receiver read.'),
  lost: counter('count', RECEIVER, "Messages missing in the sender's numbering."),
  resets: counter('count', RECEIVER, 'Times the ring was found damaged.'),
  unhandled: counter('count', RECEIVER, 'Records of a kind that the receiver does not take.'),
  stale: counter('count', RECEIVER, "Records addressed to the thread that had the receiver's number before."),
} as const;
