import type { UpgradeContext } from './http-response.ts';
import type { ListenSocket } from './listen-socket.ts';

/** The names that programs for uWebSockets.js have for types of this package. */

/** A mask of compression constants. */
export type CompressOptions = number;
/** What the callback of `listen` gets. */
export type us_listen_socket = ListenSocket;
/** What `us_socket_local_port` takes. */
export type us_socket = ListenSocket;
/** The third argument of an `upgrade` handler. */
export type us_socket_context_t = UpgradeContext;
