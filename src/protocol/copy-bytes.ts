// oxlint-disable-next-line unbound-method -- called with the array it is to write to
const { set } = Uint8Array.prototype;

/**
 * `to.set(from, position)`. Cork memory and queues are Buffers, whose prototypes V8 searches for `set` at every call
 * (measured: 7 ns of the 85 that a message of 20 bytes costs).
 */
export function copyBytes(from: Uint8Array, to: Uint8Array, position: number): void {
  set.call(to, from, position);
}
