import { type HashKey, KeyedHash } from '../keyed-hash.ts';

/** Tells which thread owns a name. All threads of a server, or of joined Apps, come to the same one without asking. */
export interface Ownership {
  /** Number of the thread that keeps what has this name. It stays the same for as long as the server runs. */
  ownerOf(name: string): number;
}

/** How names are spread; posted to all threads. */
export interface OwnershipTerms {
  readonly key: HashKey;
  /** The owners are threads 0 to `threads` - 1. */
  readonly threads: number;
}

/**
 * Names spread over the shards of a server by a keyed hash: a client that chooses names must not be able to choose
 * that one shard owns them all. The key is the server's, so a name stays where it is when a shard is replaced or starts anew; another
 * run of the server spreads names differently.
 *
 * Of joined Apps the one that the others were joined to owns all names. The others come and go, and with them names would
 * have to move while they are in use; that one stays for as long as there is a group.
 */
export class SharedOwnership implements Ownership {
  readonly #hash: KeyedHash;
  readonly #threads: number;

  constructor({ key, threads }: OwnershipTerms) {
    this.#hash = new KeyedHash(key);
    this.#threads = threads;
  }

  ownerOf(name: string): number {
    return this.#hash.text(name) % this.#threads;
  }
}

/** One thread owns all names: an App by itself. */
export class SoleOwnership implements Ownership {
  readonly #owner: number;

  constructor(owner: number) {
    this.#owner = owner;
  }

  ownerOf(_name: string): number {
    return this.#owner;
  }
}
