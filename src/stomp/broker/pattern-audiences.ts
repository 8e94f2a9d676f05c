import { StompError, StompFault } from '../codec/frame.ts';
import type { Audience } from './audience.ts';
import { PatternTrie } from './patterns.ts';

/** PatternAudiences: the audiences of patterns, by virtual host. */
export class PatternAudiences {
  readonly #byHost = new Map<string, PatternTrie<Audience>>();
  readonly #maxSegments: number;
  #segments = 0;

  /** @param maxSegments of all patterns */
  constructor(maxSegments: number) {
    this.#maxSegments = maxSegments;
  }

  /** Segments of all patterns, those that they begin with alike counted once. */
  get segments(): number {
    return this.#segments;
  }

  get(host: string, pattern: readonly string[]): Audience | undefined {
    return this.#byHost.get(host)?.get(pattern);
  }

  /** @throws StompError there are too many */
  add(host: string, pattern: readonly string[], audience: Audience): void {
    if (this.#segments + pattern.length > this.#maxSegments)
      throw new StompError(StompFault.LIMIT, 'too many patterns are subscribed to');
    let trie = this.#byHost.get(host);
    if (trie === undefined) this.#byHost.set(host, (trie = new PatternTrie()));
    const before = trie.nodes;
    trie.add(pattern, audience);
    this.#segments += trie.nodes - before;
  }

  remove(host: string, pattern: readonly string[]): void {
    const trie = this.#byHost.get(host)!;
    const before = trie.nodes;
    trie.remove(pattern);
    this.#segments += trie.nodes - before;
    if (trie.size === 0) this.#byHost.delete(host);
  }

  has(host: string): boolean {
    return this.#byHost.has(host);
  }

  match(host: string, name: readonly string[]): Audience[] {
    return this.#byHost.get(host)?.match(name) ?? [];
  }
}
