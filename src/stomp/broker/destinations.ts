import { StompError, StompFault } from '../codec/frame.ts';
import type { DestinationKind } from './destination-kind.ts';

/** Destinations: the kinds of destinations that a broker has, by prefix. */
export class Destinations {
  /** By what stands between the first two slashes. */
  readonly #kinds = new Map<string, DestinationKind>();

  constructor(kinds: readonly DestinationKind[]) {
    for (const kind of kinds) this.#kinds.set(kind.prefix, kind);
  }

  all(): Iterable<DestinationKind> {
    return this.#kinds.values();
  }

  /** @throws StompError there is none for this destination */
  kindOf(destination: string): DestinationKind {
    const end = destination.indexOf('/', 1) + 1;
    const kind = end === 0 ? undefined : this.#kinds.get(destination.slice(0, end));
    if (kind === undefined) throw new StompError(StompFault.PROTOCOL, 'there is no such destination');
    return kind;
  }
}
