/** The package's public door. */
export type { AppOptions, ChildAppStats } from './app/app.ts';
export { TemplatedApp } from './app/app.ts';
export type { ParsingErrorHandler, RouteHandler } from './app/app-routes.ts';
export type { ConnectionFilter } from './app/connection-filters.ts';
export {
  _cfg,
  App,
  DEDICATED_COMPRESSOR,
  DEDICATED_COMPRESSOR_3KB,
  DEDICATED_COMPRESSOR_4KB,
  DEDICATED_COMPRESSOR_8KB,
  DEDICATED_COMPRESSOR_16KB,
  DEDICATED_COMPRESSOR_32KB,
  DEDICATED_COMPRESSOR_64KB,
  DEDICATED_COMPRESSOR_128KB,
  DEDICATED_COMPRESSOR_256KB,
  DEDICATED_DECOMPRESSOR,
  DEDICATED_DECOMPRESSOR_1KB,
  DEDICATED_DECOMPRESSOR_2KB,
  DEDICATED_DECOMPRESSOR_4KB,
  DEDICATED_DECOMPRESSOR_8KB,
  DEDICATED_DECOMPRESSOR_16KB,
  DEDICATED_DECOMPRESSOR_32KB,
  DEDICATED_DECOMPRESSOR_512B,
  DISABLED,
  default,
  H3App,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  SHARED_COMPRESSOR,
  SHARED_DECOMPRESSOR,
  SSLApp,
  us_listen_socket_close,
  us_socket_local_port,
} from './app/exports.ts';
export type { HttpHandler } from './app/faces.ts';
export { getParts } from './app/get-parts.ts';
export type { HttpRequest } from './app/http-request.ts';
export type { HttpResponse, UpgradeContext } from './app/http-response.ts';
export * from './app/key-value-store.ts';
export { ListenOptions } from './app/listen-arguments.ts';
export type { ListenCallback, ListenSocket } from './app/listen-socket.ts';
export { serve } from './app/serve.ts';
export type { ServeOptions } from './app/serve-options.ts';
export { type CloseOptions, type ProfileOptions, Server } from './app/server.ts';
export type { AppModule, ShardInfo } from './app/shard-thread.ts';
export type { TlsOptions } from './app/tls-options.ts';
export type {
  CompressOptions,
  us_listen_socket,
  us_socket,
  us_socket_context_t,
} from './app/type-names.ts';
export type { WebSocket } from './app/web-socket.ts';
export type { WebSocketBehavior } from './app/websocket-behavior.ts';
export { type ErrorCode, MillraceError } from './errors.ts';
export type { AppDescriptor } from './group/app-descriptor.ts';
export { DeclarativeResponse, type DeclarativeText } from './http/declarative-response.ts';
export type { MultipartField } from './http/multipart.ts';
export type { HistogramReading, HistogramStats } from './metrics/histogram.ts';
export type { MetricReading, MetricValue } from './metrics/readings.ts';
export type { RecognizedString } from './serving/recognized-string.ts';
export type { ThreadProfile } from './shard/thread-profiler.ts';
export type { FullHeap } from './supervisor/recycler.ts';
export type {
  AcceptorStats,
  AppStats,
  MainStats,
  RingStats,
  ServerStats,
  ShardStats,
} from './supervisor/stats.ts';
export { SendStatus } from './websocket/sending.ts';
