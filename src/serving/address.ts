import { isIP } from 'node:net';
import { addressText } from '../http/proxy-protocol.ts';

/** An address as bytes in network order: 4 for IPv4, 16 for IPv6, none when it is unknown. */
export function addressBytes(address: string): ArrayBuffer {
  const version = isIP(address);
  if (version === 4) return Uint8Array.from(address.split('.'), Number).buffer;
  return version === 6 ? ipv6Bytes(address) : new ArrayBuffer(0);
}

/** An address of 4 or 16 bytes as text, in bytes. */
export function addressAsText(address: Uint8Array): ArrayBuffer {
  return new TextEncoder().encode(addressText(address)).buffer;
}

function ipv6Bytes(address: string): ArrayBuffer {
  const bytes = new DataView(new ArrayBuffer(16));
  const [head = '', tail] = withoutDots(address.split('%', 1)[0]!).split('::');
  const write = (groups: string[], from: number): void => {
    groups.forEach((group, i) => {
      bytes.setUint16((from + i) * 2, Number.parseInt(group, 16));
    });
  };
  write(head === '' ? [] : head.split(':'), 0);
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  write(after, 8 - after.length);
  return bytes.buffer;
}

/** `::ffff:1.2.3.4` → `::ffff:102:304` */
function withoutDots(address: string): string {
  if (!address.includes('.')) return address;
  const at = address.lastIndexOf(':') + 1;
  const [a = 0, b = 0, c = 0, d = 0] = address.slice(at).split('.').map(Number);
  return `${address.slice(0, at)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
