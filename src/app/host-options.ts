import { described } from '../caller-values.ts';
import { MillraceError } from '../errors.ts';
import type { HostRules } from '../http/allowed-hosts.ts';
import { checkFlag } from '../options/check-option.ts';
import { HOST_OPTIONS } from '../options/server-options.ts';

/** Options about the names a server is called by. */
export interface HostOptions {
  /**
   * Names that requests may call this server by in Host, whatever the port: `['example.com', '.example.org']`, where a dot
   * in front stands for the name and all below it. Others are answered 403. IP addresses, `localhost` and names below it
   * are always allowed. With it no page of another site can reach this server by having its own name lead here (DNS
   * rebinding), which neither `origins: 'same-origin'` nor a firewall stops. Default true: any name.
   */
  allowedHosts?: readonly string[] | true;
  /**
   * A proxy in front ends TLS, and all clients reach it by https: `origins: 'same-origin'` takes https pages alone, as it
   * does where this server does TLS itself. The proxy must pass Host on as it came. Default false.
   */
  behindTls?: boolean;
}

/** @throws MillraceError MILLRACE_INVALID_OPTION naming the option and what it takes */
export function checkHosts(where: string, options: Partial<HostOptions>): HostRules {
  return {
    allowedHosts: checkAllowedHosts(where, options.allowedHosts),
    behindTls: checkFlag(where, 'behindTls', options.behindTls, HOST_OPTIONS.behindTls),
  };
}

/** Null: any are allowed. */
function checkAllowedHosts(where: string, value: unknown): readonly string[] | null {
  if (value === undefined || value === null || value === true) return null;
  if (!Array.isArray(value)) {
    throw invalid(
      where,
      `must be a list of names such as ['example.com', '.example.org'], or true for any; got ${described(value)}`,
    );
  }
  return (value as unknown[]).map((entry) => {
    const name = typeof entry === 'string' ? entry.toLowerCase() : '';
    if (isHostPattern(name)) return name;
    throw invalid(
      where,
      `has the entry ${described(entry)}, which is no host name: write 'example.com', or '.example.com' for it and all ` +
        'names below it, without scheme, port or wildcard, international names in their xn-- form',
    );
  });
}

/** A name, with or without a dot in front. */
function isHostPattern(name: string): boolean {
  const labels = (name.startsWith('.') ? name.slice(1) : name).split('.');
  return name.length <= 254 && labels.every((label) => /^[a-z0-9_-]{1,63}$/.test(label));
}

function invalid(where: string, rule: string): MillraceError {
  return new MillraceError('MILLRACE_INVALID_OPTION', `${where}: 'allowedHosts' ${rule}`);
}
