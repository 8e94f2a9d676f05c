/** Topic names as UTF-8 in a ring: written and read without allocation for a topic seen before. */

/** Bytes of a topic in UTF-8. A lone surrogate counts as U+FFFD, which is what is written for it. */
export function topicByteLength(topic: string): number {
  let length = topic.length;
  for (let i = 0; i < topic.length; i++) {
    const unit = topic.charCodeAt(i);
    if (unit < 0x80) continue;
    length += unit < 0x800 ? 1 : 2;
    // A pair is four bytes: three for its first unit, one for the second.
    if (isHighSurrogate(unit) && isLowSurrogate(topic.charCodeAt(i + 1))) i++;
  }
  return length;
}

/** Whether a topic has more than `most` bytes in UTF-8. */
export function isTopicTooLong(topic: string, most: number): boolean {
  // Mostly told without a look at the characters, of which none has more than three bytes.
  if (topic.length * 3 <= most) return false;
  return topic.length > most || topicByteLength(topic) > most;
}

/** Writes a topic from `offset` and returns where it ends. There must be room for `topicByteLength`. */
export function writeTopic(topic: string, bytes: Uint8Array, offset: number): number {
  let at = offset;
  for (let i = 0; i < topic.length; i++) {
    const unit = topic.charCodeAt(i);
    if (unit < 0x80) {
      bytes[at++] = unit;
    } else if (unit < 0x800) {
      bytes[at++] = 0xc0 | (unit >> 6);
      bytes[at++] = 0x80 | (unit & 0x3f);
    } else if (isHighSurrogate(unit) && isLowSurrogate(topic.charCodeAt(i + 1))) {
      const point = 0x1_0000 + ((unit & 0x3ff) << 10) + (topic.charCodeAt(++i) & 0x3ff);
      bytes[at++] = 0xf0 | (point >> 18);
      bytes[at++] = 0x80 | ((point >> 12) & 0x3f);
      bytes[at++] = 0x80 | ((point >> 6) & 0x3f);
      bytes[at++] = 0x80 | (point & 0x3f);
    } else {
      const point = isSurrogate(unit) ? 0xfffd : unit;
      bytes[at++] = 0xe0 | (point >> 12);
      bytes[at++] = 0x80 | ((point >> 6) & 0x3f);
      bytes[at++] = 0x80 | (point & 0x3f);
    }
  }
  return at;
}

function isSurrogate(unit: number): boolean {
  return (unit & 0xf800) === 0xd800;
}

function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

function isLowSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}

/** Topics kept by a TopicReader. */
const CACHED_TOPICS = 1024;
/** Longer topics are decoded each time, so that a cache stays below 2 MiB. */
const LONGEST_CACHED = 256;

interface CachedTopic {
  readonly bytes: Uint8Array;
  readonly topic: string;
}

/** Reads topics from UTF-8 and remembers those it has seen lately. One for each thread is enough. */
export class TopicReader {
  // Without ignoreBOM a topic that starts with U+FEFF would lose it.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #cache: (CachedTopic | undefined)[] = Array.from({ length: CACHED_TOPICS });

  /** The topic in `length` bytes from `offset`. `hash` only chooses the place in the cache. */
  read(bytes: Uint8Array, offset: number, length: number, hash: number): string {
    const place = hash & (CACHED_TOPICS - 1);
    const cached = this.#cache[place];
    if (cached !== undefined && isSame(cached.bytes, bytes, offset, length)) return cached.topic;
    const copy = new Uint8Array(length);
    copy.set(bytes.subarray(offset, offset + length));
    const topic = this.#decoder.decode(copy);
    if (length <= LONGEST_CACHED) this.#cache[place] = { bytes: copy, topic };
    return topic;
  }
}

function isSame(cached: Uint8Array, bytes: Uint8Array, offset: number, length: number): boolean {
  if (cached.length !== length) return false;
  for (let i = 0; i < length; i++) {
    if (cached[i] !== bytes[offset + i]) return false;
  }
  return true;
}
