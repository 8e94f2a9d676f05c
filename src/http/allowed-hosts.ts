/** What a server knows of the names it is called by. It crosses threads, so it is plain data. */
export interface HostRules {
  /** Names that requests may call it by, in lower case; null: any. */
  readonly allowedHosts: readonly string[] | null;
  /** A proxy in front ends TLS: clients reach it by https. */
  readonly behindTls: boolean;
}

/**
 * AllowedHosts: whether a request may call this server by the name in its Host. A page of another site can have its own
 * name lead here (DNS rebinding) and is then of one origin with this server; its requests have its name in Host, which no
 * page can choose. So IP addresses, `localhost` and names below it, which no page of another site has, are always allowed,
 * and so is a request without Host (HTTP/1.0), which no browser sends.
 */
export class AllowedHosts {
  readonly #names = new Set<string>();
  /** Each with the dot in front. */
  readonly #suffixes: string[] = [];

  /** @param names in lower case; a dot in front stands for the name and all below it */
  constructor(names: readonly string[]) {
    for (const name of names) {
      this.#names.add(name.startsWith('.') ? name.slice(1) : name);
      if (name.startsWith('.')) this.#suffixes.push(name);
    }
  }

  /** @param host the value of Host, with its port if it has one */
  has(host: string): boolean {
    if (host === '' || host.startsWith('[')) return true;
    const name = nameOf(host);
    if (this.#names.has(name) || isLocal(name) || isIpv4(name)) return true;
    for (const suffix of this.#suffixes) if (name.endsWith(suffix)) return true;
    return false;
  }
}

/** In lower case, without port and the dot of the root. */
function nameOf(host: string): string {
  const colon = host.lastIndexOf(':');
  const name = (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

function isLocal(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

/** Browsers take every name whose last label is a number for an address, and look up no such name. */
function isIpv4(name: string): boolean {
  const last = name.slice(name.lastIndexOf('.') + 1);
  for (let i = 0; i < last.length; i++) {
    const code = last.charCodeAt(i);
    if (code < 0x30 || code > 0x39) return false;
  }
  return last !== '';
}
