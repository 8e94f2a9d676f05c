import { MillraceError } from '../errors.ts';

/** The method name that stands for every method. */
export const ANY_METHOD = '*';

/** Segments of a pattern at most. Deeper paths match only through a wildcard above. */
export const MAX_SEGMENTS = 100;

const WILDCARD = '*';
const NONE: readonly string[] = Object.freeze([]);

interface Route<T> {
  value: T;
  readonly names: readonly string[];
}

/** A segment of the tree. Maps, never objects: names come from outside. */
class Node<T> {
  readonly statics = new Map<string, Node<T>>();
  parameter: Node<T> | undefined;
  wildcard: Route<T> | undefined;
  route: Route<T> | undefined;
}

class MethodRoutes<T> {
  readonly root = new Node<T>();
  /** Patterns without parameters and wildcard: the pattern is the path. Holds routes alone, never paths of requests. */
  readonly paths = new Map<string, Route<T>>();
}

/** Gets a candidate; returns true when it took the request, false to go on with the next one. */
export type RouteVisitor<T> = (
  value: T,
  params: readonly string[],
  parameterNames: readonly string[],
) => boolean;

/**
 * Finds routes by method and path, in the manner of uWebSockets.js. At every segment a static name comes before a
 * `:parameter`, and that before a `*`, which stands last in a pattern and takes one or more segments, empty ones too:
 * `/a/*` takes `/a/b`, `/a/b/c` and `/a/`, not `/a`; `/a/**` is the same. A parameter takes one segment that is not empty. All routes of
 * the request's own method come before those of `ANY_METHOD`. Paths are compared as sent, without decoding; one that
 * does not start with a slash (`OPTIONS *`) matches `/*` alone.
 *
 * A match costs at most one visit of each node of the tree, whatever the path.
 */
export class Router<T> {
  readonly #methods = new Map<string, MethodRoutes<T>>();

  /**
   * Adds a route, in place of one with the same method and pattern (names of parameters do not count).
   * @throws MillraceError MILLRACE_INVALID_OPTION when the pattern is not valid
   */
  add(method: string, pattern: string, value: T): void {
    const segments = segmentsOf(pattern);
    const names: string[] = [];
    let routes = this.#methods.get(method);
    if (routes === undefined) this.#methods.set(method, (routes = new MethodRoutes<T>()));
    let node = routes.root;
    for (const segment of segments) {
      if (segment === WILDCARD) {
        node.wildcard = { value, names };
        return;
      }
      if (segment.startsWith(':')) names.push(segment.slice(1));
      node = childOf(node, segment);
    }
    node.route = { value, names };
    if (names.length === 0) routes.paths.set(pattern, node.route);
  }

  /**
   * Takes a route away. Returns false if there was none.
   * @throws MillraceError MILLRACE_INVALID_OPTION when the pattern is not valid
   */
  remove(method: string, pattern: string): boolean {
    const segments = segmentsOf(pattern);
    const routes = this.#methods.get(method);
    if (routes === undefined) return false;
    const found = removeFrom(routes.root, segments, 0);
    routes.paths.delete(pattern);
    if (isEmpty(routes.root)) this.#methods.delete(method);
    return found;
  }

  /**
   * Offers the request to the matching routes, best one first, until `visit` returns true. Returns whether one did.
   * `params` are the raw segments, in the order of `parameterNames`; both may be kept.
   */
  match(method: string, path: string, visit: RouteVisitor<T>): boolean {
    const routes = this.#methods.get(method);
    if (routes !== undefined && matchIn(routes, path, visit)) return true;
    if (method === ANY_METHOD) return false;
    const any = this.#methods.get(ANY_METHOD);
    return any !== undefined && matchIn(any, path, visit);
  }

  /** The names of a route's parameters in order; empty if there is no such route. */
  parameterNames(method: string, pattern: string): readonly string[] {
    let node: Node<T> | undefined = this.#methods.get(method)?.root;
    for (const segment of segmentsOf(pattern)) {
      if (segment === WILDCARD) return node?.wildcard?.names ?? NONE;
      node = segment.startsWith(':') ? node?.parameter : node?.statics.get(segment);
    }
    return node?.route?.names ?? NONE;
  }
}

function segmentsOf(pattern: string): string[] {
  if (!pattern.startsWith('/')) {
    throw invalid(pattern, `must start with a slash: use '/${pattern}'`);
  }
  const segments = pattern.slice(1).split('/');
  if (segments.length > MAX_SEGMENTS) {
    throw invalid(pattern, `has ${segments.length} segments: use at most ${MAX_SEGMENTS}, or end it in '/*'`);
  }
  // Many programs write it so, and uWebSockets.js takes it.
  if (segments.at(-1) === '**') segments[segments.length - 1] = WILDCARD;
  const star = segments.findIndex((segment) => segment.startsWith(WILDCARD));
  if (star >= 0 && (star < segments.length - 1 || segments[star] !== WILDCARD)) {
    throw invalid(
      pattern,
      `has a '*' that is not its whole last segment: end it in '/*', or use ':name' for one segment`,
    );
  }
  return segments;
}

function invalid(pattern: string, remedy: string): MillraceError {
  const shown = pattern.length > 80 ? `${pattern.slice(0, 80)}…` : pattern;
  return new MillraceError('MILLRACE_INVALID_OPTION', `The route pattern '${shown}' ${remedy}.`);
}

function childOf<T>(node: Node<T>, segment: string): Node<T> {
  if (segment.startsWith(':')) return (node.parameter ??= new Node<T>());
  let child = node.statics.get(segment);
  if (child === undefined) node.statics.set(segment, (child = new Node<T>()));
  return child;
}

function isEmpty<T>(node: Node<T>): boolean {
  return (
    node.route === undefined &&
    node.wildcard === undefined &&
    node.parameter === undefined &&
    node.statics.size === 0
  );
}

/** Removes the route and the nodes that then hold nothing. */
function removeFrom<T>(node: Node<T>, segments: readonly string[], depth: number): boolean {
  const segment = segments[depth];
  if (segment === undefined || segment === WILDCARD) {
    const key = segment === undefined ? 'route' : 'wildcard';
    const found = node[key] !== undefined;
    node[key] = undefined;
    return found;
  }
  const isParameter = segment.startsWith(':');
  const child = isParameter ? node.parameter : node.statics.get(segment);
  if (child === undefined) return false;
  const found = removeFrom(child, segments, depth + 1);
  if (isEmpty(child)) {
    if (isParameter) node.parameter = undefined;
    else node.statics.delete(segment);
  }
  return found;
}

function matchIn<T>(routes: MethodRoutes<T>, path: string, visit: RouteVisitor<T>): boolean {
  const exact = routes.paths.get(path);
  if (exact !== undefined && visit(exact.value, NONE, NONE)) return true;
  if (path.startsWith('/')) return walk(routes.root, path, 1, [], exact, visit);
  return routes.root.wildcard !== undefined && offer(routes.root.wildcard, NONE, exact, visit);
}

/** `start` is where the next segment begins; it is behind the path's end when there is none left. */
function walk<T>(
  node: Node<T>,
  path: string,
  start: number,
  params: string[],
  tried: Route<T> | undefined,
  visit: RouteVisitor<T>,
): boolean {
  if (start > path.length) return node.route !== undefined && offer(node.route, params, tried, visit);
  if (node.statics.size > 0 || node.parameter !== undefined) {
    const slash = path.indexOf('/', start);
    const end = slash < 0 ? path.length : slash;
    const segment = path.slice(start, end);
    const child = node.statics.get(segment);
    if (child !== undefined && walk(child, path, end + 1, params, tried, visit)) return true;
    if (node.parameter !== undefined && end > start) {
      params.push(segment);
      if (walk(node.parameter, path, end + 1, params, tried, visit)) return true;
      params.pop();
    }
  }
  return node.wildcard !== undefined && offer(node.wildcard, params, tried, visit);
}

function offer<T>(
  route: Route<T>,
  params: readonly string[],
  tried: Route<T> | undefined,
  visit: RouteVisitor<T>,
): boolean {
  return route !== tried && visit(route.value, params.slice(), route.names);
}
