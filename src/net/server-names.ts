import type { X509Certificate } from 'node:crypto';
import { invalidArgument } from '../errors.ts';
import {
  badCertificate,
  createContext,
  noCertificate,
  type TicketRules,
  type TlsCredentials,
  ticketRules,
} from './tls-context.ts';
import { certificatesIn } from './tls-diagnosis.ts';
import type { TlsChoice } from './tls-stream.ts';

/** RFC 1035 §2.3.4 */
const MAX_NAME = 255;

/** Reads the credentials, again at each reload. */
export type CredentialsSource = () => TlsCredentials;

/** One name with its context. */
class ServerName implements TlsChoice {
  /** In lower case; '' for the default. */
  readonly name: string;
  source: CredentialsSource;
  credentials: TlsCredentials;
  handle: object;

  constructor(name: string, source: CredentialsSource, tickets: TicketRules) {
    this.name = name;
    this.source = source;
    this.credentials = source();
    this.handle = createContext(name, this.credentials, tickets);
  }

  get hasCertificate(): boolean {
    return this.credentials.cert !== undefined;
  }

  get requestsCertificate(): boolean {
    return this.credentials.ca !== undefined;
  }
}

/**
 * ServerNames: which certificate a client gets (SNI, RFC 6066 §3): that of the name it asks for, or the default.
 */
export class ServerNames {
  /** Is told a name that is not known, and may add it before it returns. */
  onMissing: ((name: string) => void) | null = null;
  readonly #ticketKey: Uint8Array;
  readonly #default: ServerName;
  readonly #names = new Map<string, ServerName>();
  #tickets: TicketRules;
  /** The authorities of all entries, as PEM texts and, once somebody asked, read. */
  #authorityTexts: ReadonlySet<string> = new Set();
  #authorities: readonly X509Certificate[] | null = null;

  /**
   * @param ticketKey the same in all threads whose clients come back with each other's sessions
   * @throws MillraceError MILLRACE_BAD_CERTIFICATE
   */
  constructor(source: CredentialsSource, ticketKey: Uint8Array) {
    this.#ticketKey = ticketKey;
    this.#tickets = ticketRules(ticketKey, new Set());
    this.#default = new ServerName('', source, this.#tickets);
    this.#renewTickets();
  }

  /** What clients get that ask for no name, or for an unknown one. */
  get default(): ServerName {
    return this.#default;
  }

  /**
   * The authorities that vouched for the certificate of a client which resumes a session, whatever its name is: where there
   * are several sets of them, nothing is resumed.
   */
  get authorities(): readonly X509Certificate[] {
    this.#authorities ??= certificatesIn([...this.#authorityTexts].join('\n'));
    return this.#authorities;
  }

  /** Whether any client can be served, or may be once it has come. */
  get isServable(): boolean {
    return this.#default.hasCertificate || this.isUsed;
  }

  /** Whether it makes a difference which name a client asks for. */
  get isUsed(): boolean {
    return this.#names.size > 0 || this.onMissing !== null;
  }

  /**
   * Adds a name, or '*.' and a name for all names with one more label, in place of any entry of before.
   *
   * @throws MillraceError MILLRACE_BAD_CERTIFICATE, MILLRACE_INVALID_ARGUMENT
   */
  add(name: string, source: CredentialsSource): void {
    const key = checkName(name);
    const entry = new ServerName(key, source, this.#tickets);
    if (!entry.hasCertificate) {
      throw badCertificate(key, 'there is no certificate: give key_file_name and cert_file_name');
    }
    this.#names.set(key, entry);
    this.#renewTickets();
  }

  remove(name: string): void {
    if (this.#names.delete(name.toLowerCase())) this.#renewTickets();
  }

  /** The entry for a name in lower case; null: there is none, and `onMissing` added none. */
  find(name: string): ServerName | null {
    const found = this.#lookUp(name);
    if (found !== null || this.onMissing === null || name === '') return found;
    this.onMissing(name);
    return this.#lookUp(name);
  }

  /**
   * Reads all credentials again. An entry whose new ones cannot be used keeps those it has.
   *
   * @param source of the default from now on; null: the one it has
   * @returns what was wrong
   */
  reload(source: CredentialsSource | null = null): unknown[] {
    const errors: unknown[] = [];
    for (const entry of [this.#default, ...this.#names.values()]) {
      const from = entry === this.#default && source !== null ? source : entry.source;
      try {
        const fresh = new ServerName(entry.name, from, this.#tickets);
        if (entry.hasCertificate && !fresh.hasCertificate) throw noCertificate();
        entry.source = from;
        entry.credentials = fresh.credentials;
        entry.handle = fresh.handle;
      } catch (error) {
        errors.push(error);
      }
    }
    this.#renewTickets();
    return errors;
  }

  #lookUp(name: string): ServerName | null {
    const exact = this.#names.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf('.');
    return dot < 0 ? null : (this.#names.get(`*${name.slice(dot)}`) ?? null);
  }

  /** The rules of tickets depend on all the authorities there are. */
  #renewTickets(): void {
    const entries = [this.#default, ...this.#names.values()];
    const authorities = new Set(entries.flatMap(({ credentials: { ca } }) => ca ?? []));
    const tickets = ticketRules(this.#ticketKey, authorities);
    if (Buffer.compare(tickets.key, this.#tickets.key) === 0) return;
    this.#tickets = tickets;
    this.#authorityTexts = authorities;
    this.#authorities = null;
    for (const entry of entries) entry.handle = createContext(entry.name, entry.credentials, tickets);
  }
}

function checkName(name: string): string {
  const key = name.toLowerCase();
  const rest = key.startsWith('*.') ? key.slice(2) : key;
  if (rest !== '' && key.length <= MAX_NAME && !rest.includes('*') && !/[^\x21-\x7e]/.test(rest)) return key;
  throw invalidArgument(
    `addServerName: '${name}' must be a host name such as 'example.com' or '*.example.com' (in ASCII; a '*' is the first label)`,
  );
}
