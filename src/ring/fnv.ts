/** Where FNV-1a of 32 bits starts, unless it is seeded. */
export const FNV_OFFSET = 0x811c_9dc5;

/** FNV-1a, 32 bits (signed), over the UTF-16 code units of a text. */
export function fnv1a(text: string, start: number = FNV_OFFSET): number {
  let hash = start;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  return hash;
}
