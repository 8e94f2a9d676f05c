/** What `feed()` returns, if it is not 400: the bytes are no acceptable header. */
export const ProxyStatus = {
  /** The bytes so far are the beginning of a valid header. */
  INCOMPLETE: 0,
  /** The header is read; HTTP or TLS starts at `consumed`. */
  COMPLETE: 1,
} as const;

/** `\r\n\r\n\0\r\nQUIT\n`: no beginning of any request. */
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a] as const;
const COMMAND_AT = 12;
const FAMILY_AT = 13;
const LENGTH_AT = 14;
const FIXED_SIZE = 16;

const LOCAL = 0x20;
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** Two addresses and two ports. */
const TCP4_SIZE = 12;
const TCP6_SIZE = 36;
const UNIX_SIZE = 216;

const MAX_FAMILY = 3;
const MAX_TRANSPORT = 2;

/**
 * Reads the header of the PROXY protocol, version 2, that a load balancer sends in front of a connection. It is
 * incremental, looks at every byte once, and keeps 52 bytes. It is strict: another signature, version, command, family or
 * transport, and a length that is shorter than its addresses or longer than the limit, are refused. Type-length-values
 * behind the addresses are skipped. The human-readable version 1 is refused.
 *
 * Only headers of proxies can be trusted: who listens with it must be reached by them alone.
 */
export class ProxyHeaderParser {
  /** Where in the chunk of the last `feed()` the header ended. */
  consumed = 0;
  /** Why the header was refused, in English, for logs; '' if it was not. */
  reason = '';

  readonly #maxSize: number;
  readonly #kept = new Uint8Array(FIXED_SIZE + TCP6_SIZE);
  /** Bytes taken in. */
  #at = 0;
  #size = FIXED_SIZE;
  #status: number = ProxyStatus.INCOMPLETE;

  /** @param maxSize bytes of a whole header, 16 to 65,551. Default 4096. A longer one is refused. */
  constructor(maxSize = 4096) {
    this.#maxSize = maxSize;
  }

  /**
   * The address of the client that the proxy speaks for, 4 or 16 bytes in network order, copied. None (0 bytes) when
   * the proxy speaks for itself (LOCAL, as in health checks) or knows the client by no TCP address.
   */
  get sourceAddress(): Uint8Array<ArrayBuffer> {
    const end = FIXED_SIZE + (this.#addressesSize() - 4) / 2;
    return this.#hasAddress() ? this.#kept.slice(FIXED_SIZE, end) : new Uint8Array(0);
  }

  /** The port of that client; 0 when there is none. */
  get sourcePort(): number {
    if (!this.#hasAddress()) return 0;
    const at = FIXED_SIZE + this.#addressesSize() - 4;
    return (this.#kept[at]! << 8) | this.#kept[at + 1]!;
  }

  /** Makes it ready for the next connection. */
  reset(): void {
    this.consumed = 0;
    this.reason = '';
    this.#at = 0;
    this.#size = FIXED_SIZE;
    this.#status = ProxyStatus.INCOMPLETE;
  }

  /**
   * Takes in bytes of `bytes[start, end)`. Returns `ProxyStatus.INCOMPLETE`, `COMPLETE`, or 400 before closing the
   * connection. After COMPLETE or a failure nothing more is taken in until `reset()`.
   */
  feed(bytes: Uint8Array, start: number, end: number): number {
    let i = start;
    while (i < end && this.#status === ProxyStatus.INCOMPLETE) {
      if (this.#at < this.#kept.length) {
        this.#byte(bytes[i]!);
        if (this.#status < 400) i++;
      } else {
        const skipped = Math.min(end - i, this.#size - this.#at);
        this.#at += skipped;
        i += skipped;
      }
      if (this.#at === this.#size && this.#status < 400) this.#status = ProxyStatus.COMPLETE;
    }
    this.consumed = i;
    return this.#status;
  }

  #byte(byte: number): void {
    const at = this.#at++;
    this.#kept[at] = byte;
    if (at < COMMAND_AT) {
      if (byte !== SIGNATURE[at]) this.#fail('there is no header of the PROXY protocol, version 2');
    } else if (at === COMMAND_AT) {
      if (byte !== LOCAL && byte !== PROXY) this.#fail('the version or command is not known');
    } else if (at === FAMILY_AT) {
      if (byte >> 4 > MAX_FAMILY || (byte & 15) > MAX_TRANSPORT)
        this.#fail('the address family is not known');
    } else if (at === FIXED_SIZE - 1) {
      this.#takeLength((this.#kept[LENGTH_AT]! << 8) | byte);
    }
  }

  #takeLength(length: number): void {
    this.#size = FIXED_SIZE + length;
    if (length < this.#addressesSize()) this.#fail('the header is shorter than its addresses');
    else if (this.#size > this.#maxSize) this.#fail('the header is too long');
  }

  /** Bytes of the addresses and ports that the header must hold. */
  #addressesSize(): number {
    // What a LOCAL header holds is to be ignored.
    if (this.#kept[COMMAND_AT] === LOCAL) return 0;
    const family = this.#kept[FAMILY_AT]! >> 4;
    if (family === TCP4 >> 4) return TCP4_SIZE;
    if (family === TCP6 >> 4) return TCP6_SIZE;
    return family === MAX_FAMILY ? UNIX_SIZE : 0;
  }

  #hasAddress(): boolean {
    if (this.#status !== ProxyStatus.COMPLETE || this.#kept[COMMAND_AT] === LOCAL) return false;
    return this.#kept[FAMILY_AT] === TCP4 || this.#kept[FAMILY_AT] === TCP6;
  }

  #fail(reason: string): void {
    this.#status = 400;
    this.reason = reason;
  }
}

/** An address of 4 or 16 bytes as text, as uWebSockets.js writes it: dotted, or eight groups of four digits; else ''. */
export function addressText(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  if (address.length !== 16) return '';
  const groups = Array.from({ length: 8 }, (_, i) => (address[2 * i]! << 8) | address[2 * i + 1]!);
  return groups.map((group) => group.toString(16).padStart(4, '0')).join(':');
}
