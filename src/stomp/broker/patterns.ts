import { StompError, StompFault } from '../codec/frame.ts';

/** Segments that a topic's name may have. */
const MAX_SEGMENTS = 64;

const DOT = 0x2e;
const SLASH = 0x2f;

/**
 * The segments of a name. `.`, which RabbitMQ separates words by, and `/`, as in Spring, are the same here.
 *
 * @param start where the name begins, behind its prefix
 * @throws StompError there are more than 64
 */
export function segmentsOf(name: string, start = 0): string[] {
  const segments: string[] = [];
  let from = start;
  for (let i = start; i <= name.length; i++) {
    const code = i < name.length ? name.charCodeAt(i) : DOT;
    if (code !== DOT && code !== SLASH) continue;
    if (segments.length === MAX_SEGMENTS)
      throw new StompError(StompFault.LIMIT, `a topic has more than ${MAX_SEGMENTS} segments`);
    segments.push(name.slice(from, i));
    from = i + 1;
  }
  return segments;
}

/** The first segment of a name. */
export function firstSegmentOf(name: string, start = 0): string {
  for (let i = start; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code === DOT || code === SLASH) return name.slice(start, i);
  }
  return name.slice(start);
}

/** Stands for one segment. */
export function isAnyOne(segment: string): boolean {
  return segment === '*';
}

/** Stands for any number of segments, none included. */
export function isAnyNumber(segment: string): boolean {
  return segment === '#' || segment === '**';
}

/** Whether some segment is a wildcard. A wildcard is a whole segment: `a*` is the name `a*`. */
export function isPattern(segments: readonly string[]): boolean {
  return segments.some((segment) => isAnyOne(segment) || isAnyNumber(segment));
}

/** A segment of some patterns, and what may follow it. */
class Node<T> {
  value: T | undefined = undefined;
  readonly literals = new Map<string, Node<T>>();
  one: Node<T> | null = null;
  /** This one stays where it is for any number of segments. */
  many: Node<T> | null = null;
  readonly isMany: boolean;
  /** The step of a match that came here last. */
  mark = 0;

  constructor(isMany: boolean) {
    this.isMany = isMany;
  }

  get isEmpty(): boolean {
    return this.value === undefined && this.literals.size === 0 && this.one === null && this.many === null;
  }

  child(segment: string): Node<T> | undefined {
    if (isAnyOne(segment)) return this.one ?? undefined;
    return isAnyNumber(segment) ? (this.many ?? undefined) : this.literals.get(segment);
  }

  /** The segment has no child yet. */
  open(segment: string): Node<T> {
    const node = new Node<T>(isAnyNumber(segment));
    if (isAnyOne(segment)) this.one = node;
    else if (node.isMany) this.many = node;
    else this.literals.set(segment, node);
    return node;
  }

  close(segment: string): void {
    if (isAnyOne(segment)) this.one = null;
    else if (isAnyNumber(segment)) this.many = null;
    else this.literals.delete(segment);
  }
}

/**
 * PatternTrie: what is kept by pattern, matched segment by segment. All patterns that may still match are followed at once, each
 * node once a step, so a name takes at most as many steps as there are nodes for each of its segments, whatever the patterns.
 */
export class PatternTrie<T> {
  readonly #root = new Node<T>(false);
  #size = 0;
  #nodes = 0;
  #step = 0;
  #active: Node<T>[] = [];
  #next: Node<T>[] = [];

  /** Patterns. */
  get size(): number {
    return this.#size;
  }

  /** Segments of all patterns; what patterns begin with alike counts once. */
  get nodes(): number {
    return this.#nodes;
  }

  get(segments: readonly string[]): T | undefined {
    let node: Node<T> | undefined = this.#root;
    for (const segment of segments) {
      node = node.child(segment);
      if (node === undefined) return undefined;
    }
    return node.value;
  }

  /** The pattern must have no value. */
  add(segments: readonly string[], value: T): void {
    let node = this.#root;
    for (const segment of segments) {
      const known = node.child(segment);
      if (known === undefined) this.#nodes++;
      node = known ?? node.open(segment);
    }
    node.value = value;
    this.#size++;
  }

  /** The pattern must have a value. Leaves no nodes behind that lead nowhere. */
  remove(segments: readonly string[]): void {
    const path = [this.#root];
    for (const segment of segments) path.push(path.at(-1)!.child(segment)!);
    path.at(-1)!.value = undefined;
    this.#size--;
    for (let i = segments.length; i > 0 && path[i]!.isEmpty; i--) {
      path[i - 1]!.close(segments[i - 1]!);
      this.#nodes--;
    }
  }

  /** The values of all patterns that match a name, each once. */
  match(segments: readonly string[]): T[] {
    this.#step++;
    this.#active.length = 0;
    this.#enter(this.#root, this.#active);
    for (const segment of segments) {
      this.#step++;
      const next = this.#next;
      next.length = 0;
      for (const node of this.#active) {
        if (node.isMany) this.#enter(node, next);
        const literal = node.literals.get(segment);
        if (literal !== undefined) this.#enter(literal, next);
        if (node.one !== null) this.#enter(node.one, next);
      }
      this.#next = this.#active;
      this.#active = next;
    }
    const found: T[] = [];
    for (const { value } of this.#active) if (value !== undefined) found.push(value);
    return found;
  }

  /** A node is reached, and so is what any number of segments may be between: none. */
  #enter(node: Node<T>, nodes: Node<T>[]): void {
    if (node.mark === this.#step) return;
    node.mark = this.#step;
    nodes.push(node);
    if (node.many !== null) this.#enter(node.many, nodes);
  }
}
