/**
 * What of a peer's address its connections are counted by, as two words: an IPv4 address, or the first 64 bits of an IPv6
 * address, which is what one customer gets. IPv4 in IPv6 (`::ffff:192.0.2.1`) is IPv4.
 */
export type AddressKey = readonly [high: number, low: number];

/** In place of the high word of an IPv4 address: no peer has an address of ffff:ffff::/32, which is multicast. */
const IPV4 = -1;

const MAPPED_AT = 5;
const GROUPS = 8;

/** The key of an address as the system writes it; undefined when it is none. */
export function parseAddress(text: string): AddressKey | undefined {
  if (!text.includes(':')) return keyOfIpv4(text);
  // fe80::1%eth0
  const zone = text.indexOf('%');
  const groups = groupsOf(zone < 0 ? text : text.slice(0, zone));
  return groups === undefined ? undefined : keyOfGroups(groups);
}

/** The key of an address of 4 or 16 bytes in network order; undefined when it has another length. */
export function keyOfBytes(bytes: Uint8Array): AddressKey | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 4) return [IPV4, view.getInt32(0)];
  if (bytes.length !== 16) return undefined;
  return keyOfGroups(Array.from({ length: GROUPS }, (_, i) => view.getUint16(2 * i)));
}

function keyOfGroups(groups: readonly number[]): AddressKey {
  const isMapped = groups[MAPPED_AT] === 0xffff && groups.slice(0, MAPPED_AT).every((group) => group === 0);
  if (isMapped) return [IPV4, (groups[6]! << 16) | groups[7]!];
  return [(groups[0]! << 16) | groups[1]!, (groups[2]! << 16) | groups[3]!];
}

function keyOfIpv4(text: string): AddressKey | undefined {
  const word = ipv4(text);
  return word === undefined ? undefined : [IPV4, word];
}

function ipv4(text: string): number | undefined {
  const parts = text.split('.', 5);
  if (parts.length !== 4) return undefined;
  let word = 0;
  for (const part of parts) {
    const number = Number(part);
    if (part === '' || !Number.isInteger(number) || number < 0 || number > 255) return undefined;
    word = (word << 8) | number;
  }
  return word;
}

/** The eight groups of an IPv6 address. */
function groupsOf(text: string): number[] | undefined {
  const gap = text.indexOf('::');
  if (gap < 0) {
    const groups = partsOf(text);
    return groups?.length === GROUPS ? groups : undefined;
  }
  const before = partsOf(text.slice(0, gap));
  const behind = partsOf(text.slice(gap + 2));
  if (before === undefined || behind === undefined) return undefined;
  const zeros = GROUPS - before.length - behind.length;
  return zeros < 1 ? undefined : [...before, ...new Array<number>(zeros).fill(0), ...behind];
}

function partsOf(text: string): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  for (const part of text.split(':', GROUPS + 1)) {
    if (part.includes('.')) {
      const word = ipv4(part);
      if (word === undefined) return undefined;
      groups.push(word >>> 16, word & 0xffff);
      continue;
    }
    const group = part === '' || part.length > 4 ? Number.NaN : Number(`0x${part}`);
    if (!Number.isInteger(group)) return undefined;
    groups.push(group);
  }
  return groups.length > GROUPS ? undefined : groups;
}
