import type { MessagePort } from 'node:worker_threads';
import type { LinkMemory } from '../bus/link-memory.ts';
import type { Handover } from '../bus/participant.ts';
import type { HandoverReport } from '../bus/state-keepers.ts';
import type { ErrorCode } from '../errors.ts';
import type { HostRules } from '../http/allowed-hosts.ts';
import type { HashKey } from '../keyed-hash.ts';
import type { TlsCredentials } from '../net/tls-context.ts';
import type { ServeLimits } from '../options/server-limits.ts';
import type { DrainTerms } from './drain.ts';
import type { HeapUse } from './heap-watch.ts';
import type { ProfileMessage } from './thread-profiler.ts';
import type { UpgradeRules } from './upgrade.ts';

/**
 * Everything that threads tell each other over MessagePorts. Sockets travel beside, through handoff channels or
 * as transferred sockets; messages of users never come this way.
 */

/** How sockets reach the shards. */
export const HandoffMode = {
  /** Through Unix sockets, with SCM_RIGHTS: the acceptor does the handshakes. */
  CHANNEL: 'channel',
  /** With postMessage, which takes a socket that was never read: the shards do the handshakes. */
  TRANSFER: 'transfer',
} as const;
export type HandoffMode = (typeof HandoffMode)[keyof typeof HandoffMode];

/** How the acceptor chooses a shard. */
export type Balance =
  | 'least-connections'
  | 'round-robin'
  | { readonly sticky: 'ip' | 'url' | { readonly header: string } | { readonly cookie: string } };

/** A WebSocket route as the acceptor needs it. Its place in the table is its name between threads. */
export interface RouteEntry {
  readonly pattern: string;
  readonly rules: UpgradeRules;
  /** The route has an `upgrade` handler: its shard answers the handshake. */
  readonly hasUpgrade: boolean;
}

/** A raw endpoint as the main thread needs it, see `serving/raw-endpoint.ts`. Its place in the table is its name between threads. */
export interface RawEntry {
  /** What users find the port by. */
  readonly name: string;
  /** The option that asks for it, as errors name it. */
  readonly option: string;
  /** An IP address, or 'localhost'. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** What all shards of a server do TLS with. */
export interface TlsSetup {
  readonly credentials: TlsCredentials;
  /** What session tickets are sealed with, so that any shard can open them. */
  readonly ticketKey: Uint8Array;
}

/** What the acceptor thread is started with. */
export interface AcceptorData {
  readonly mode: HandoffMode;
  readonly control: SharedArrayBuffer;
  /** Memory of the address table; null: addresses are not limited. */
  readonly addresses: SharedArrayBuffer | null;
  readonly shards: number;
  /** Those of the server: all of them travel, and each thread enforces its own. */
  readonly limits: Readonly<ServeLimits>;
  readonly hosts: HostRules;
  readonly balance: Balance;
  /** Key of the hash that connections are spread by: the same for all acceptors of a server. */
  readonly hashKey: HashKey;
  /** Connections go to the shards unread. */
  readonly isTls: boolean;
  /** Descriptor of the channel its listening sockets come through; -1 in transfer mode. */
  readonly listenFd: number;
}

export type ToAcceptor =
  | ProfileMessage
  /** The shard takes connections, through the channel whose sending end has this descriptor, or through the port. */
  | {
      readonly type: 'shard-up';
      readonly index: number;
      readonly routes: readonly RouteEntry[];
      readonly end: number | MessagePort;
    }
  | { readonly type: 'shard-down'; readonly index: number }
  /** The shard is to end: no more connections, and the end of the channel behind those it was sent. */
  | { readonly type: 'shard-retires'; readonly index: number }
  /**
   * Transfer mode: listen. In channel mode a listening socket itself says so, with the number in digits beside it. Number 0 is
   * for HTTP, each other for the raw endpoint before it: 1 for that in place 0.
   */
  | { readonly type: 'listen'; readonly number: number; readonly host: string; readonly port: number }
  /** Accept no more, and pass on each client that sends its head within the grace. */
  | { readonly type: 'stop'; readonly terms: DrainTerms };

export type FromAcceptor =
  /** The thread is there; it accepts nothing yet. */
  | { readonly type: 'started' }
  | { readonly type: 'listening'; readonly number: number; readonly port: number }
  | { readonly type: 'listen-failed'; readonly number: number; readonly error: string }
  /** Connections go to the shard from now on. */
  | { readonly type: 'shard-known'; readonly index: number }
  /** The channel to the shard broke: it is dead, or needs another one. */
  | { readonly type: 'shard-lost'; readonly index: number }
  /** The shard does not take what it is sent, or takes it again. */
  | { readonly type: 'shard-stalled'; readonly index: number; readonly isStalled: boolean }
  /** No connection is accepted any more, and none is left. */
  | { readonly type: 'stopped' }
  /** `accept` failed and the listening socket was closed; send it again. */
  | { readonly type: 'listener-lost'; readonly number: number };

/** What a shard is started with. */
export interface ShardData {
  readonly index: number;
  readonly count: number;
  readonly control: SharedArrayBuffer;
  /** Memory of the address table; null: addresses are not limited. */
  readonly addresses: SharedArrayBuffer | null;
  /** URL of the user's module. */
  readonly module: string;
  /** `data` of `serve()`. */
  readonly data: unknown;
  /** Those of the server: all of them travel, and each thread enforces its own. */
  readonly limits: Readonly<ServeLimits>;
  readonly hosts: HostRules;
  /** Null: connections are plain. */
  readonly tls: TlsSetup | null;
  readonly links: LinkMemory;
  /** Another thread is this shard still: load the module, say so, and wait for `take-over`. */
  readonly isSuccessor: boolean;
  /** What V8 was told of the size of all heaps, see `oldSpaceFlag`. */
  readonly heapFlag: number;
  readonly port: MessagePort;
}

export type ToShard =
  | ProfileMessage
  /** Take sockets from this channel, once all is taken from the one before. */
  | { readonly type: 'channel'; readonly fd: number }
  | { readonly type: 'transfer-port'; readonly port: MessagePort }
  /** Use these credentials from now on. */
  | { readonly type: 'tls'; readonly credentials: TlsCredentials }
  /** The thread that was this shard is gone. `handover`: what it has left; null: it could leave nothing. */
  | { readonly type: 'take-over'; readonly handover: Handover | null }
  /** End all connections, then the shard. A successor waits if `isReplaced`: hand over to it. */
  | { readonly type: 'drain'; readonly terms: DrainTerms; readonly isReplaced: boolean };

/** The module cannot be used. */
export interface ModuleFailure {
  readonly type: 'failed';
  readonly message: string;
  readonly stack: string;
  /** When it is no fault of the module. */
  readonly code?: ErrorCode;
}

export type FromShard =
  /** The thread is there, and loads the module. */
  | { readonly type: 'started' }
  /** The module of a successor is loaded. */
  | { readonly type: 'prepared'; readonly endpoints: readonly RawEntry[] }
  | {
      readonly type: 'ready';
      readonly routes: readonly RouteEntry[];
      readonly endpoints: readonly RawEntry[];
    }
  | ModuleFailure
  /** The channel with this descriptor is open; -1: the port is. */
  | { readonly type: 'connected'; readonly fd: number }
  /** The channel with this descriptor was overtaken by another before it was open, and is closed. */
  | { readonly type: 'discarded'; readonly fd: number }
  /** The credentials it was sent are in use; what was wrong with those of its server names. */
  | { readonly type: 'tls-loaded'; readonly errors: readonly string[] }
  /** The connections of a shard that is replaced are gone; it packs what it keeps by name. */
  | { readonly type: 'hands-over' }
  /** That is done, and the thread ends. */
  | { readonly type: 'handed-over'; readonly handover: Handover }
  /** What the successor has taken over, or could not. */
  | { readonly type: 'took-over'; readonly isHandedOver: boolean; readonly report: HandoverReport }
  /** A full collection has left the heap fuller than it is to be. */
  | { readonly type: 'heap-full'; readonly heap: HeapUse }
  /** Messages for another shard were dropped. */
  | { readonly type: 'overflow'; readonly to: number; readonly dropped: number };
