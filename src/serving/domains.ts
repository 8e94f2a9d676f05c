/** One value for each host name, and for `*.` in front of one. */
export class Domains<T> {
  readonly #values = new Map<string, T>();

  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  /** The value of a name or wildcard, made when there is none. */
  take(name: string, make: () => T): T {
    let value = this.#values.get(name);
    if (value === undefined) this.#values.set(name, (value = make()));
    return value;
  }

  /** Forgets the value of a name or wildcard. */
  remove(name: string): void {
    this.#values.delete(name);
  }

  /** The value of the name in lower case, or else of the wildcard it falls under. */
  find(name: string): T | undefined {
    const exact = this.#values.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf('.');
    return dot < 1 ? undefined : this.#values.get(`*${name.slice(dot)}`);
  }
}

/** The name in a valid Host header, in lower case, without the port. */
export function hostName(host: string): string {
  const colon = host.endsWith(']') ? -1 : host.lastIndexOf(':');
  return (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
}
