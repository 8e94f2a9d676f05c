import { BENCH_LIMITS, BENCH_OPTIONS } from './bench-options.ts';
import type { Option } from './option.ts';
import { ROUTE_FLAGS, ROUTE_HANDLERS, ROUTE_LIMITS, ROUTE_OPTIONS } from './route-options.ts';
import { SERVE_LIMITS, SERVER_LIMITS } from './server-limits.ts';
import {
  APP_OPTIONS,
  CLOSE_LIMITS,
  HOST_OPTIONS,
  PROFILE_LIMITS,
  SERVE_OPTIONS,
  TLS_OPTIONS,
} from './server-options.ts';
import { STOMP_LIMITS, STOMP_OPTIONS } from './stomp-options.ts';
import { STOMP_QUEUE_LIMITS, STOMP_QUEUE_OPTIONS } from './stomp-queue-options.ts';
import { STOMP_TOPIC_LIMITS } from './stomp-topic-options.ts';

/** All options of each door, for the documentation and for checks of all. */
export const optionTables = {
  serve: { ...SERVE_OPTIONS, ...HOST_OPTIONS, ...SERVE_LIMITS },
  App: { ...SERVER_LIMITS, ...HOST_OPTIONS, ...APP_OPTIONS, ...TLS_OPTIONS },
  tls: TLS_OPTIONS,
  ws: { ...ROUTE_LIMITS, ...ROUTE_FLAGS, ...ROUTE_OPTIONS, ...ROUTE_HANDLERS },
  close: CLOSE_LIMITS,
  profile: PROFILE_LIMITS,
  stompBroker: {
    ...STOMP_OPTIONS,
    ...STOMP_LIMITS,
    ...STOMP_TOPIC_LIMITS,
    ...STOMP_QUEUE_LIMITS,
    ...STOMP_QUEUE_OPTIONS,
  },
  bench: { ...BENCH_LIMITS, ...BENCH_OPTIONS },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Option>>>>;
