const EMPTY = new Map<never, never>();

/** Stands for a map that has never had anything in it, as most of an idle session are: a Map of its own takes some 250 bytes. */
export function emptyMap<Key, Value>(): Map<Key, Value> {
  return EMPTY;
}

/** The same map, or a new one if it only stood for one: something can be put into it. */
export function ownMap<Key, Value>(map: Map<Key, Value>): Map<Key, Value> {
  return map === EMPTY ? new Map() : map;
}
