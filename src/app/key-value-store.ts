import { getEnvironmentData, isMainThread, setEnvironmentData, threadId } from 'node:worker_threads';
import { MillraceError } from '../errors.ts';
import { bytesOf, type RecognizedString } from '../serving/recognized-string.ts';
import { Kind, newSharedMemory, SharedMap } from './shared-map.ts';

/**
 * The key-value store of the process, in the names of uWebSockets.js: strings and 32-bit integers by collection and
 * key, for all threads. It lies in shared memory of at most 64 MiB. Each call is atomic by itself; `lock()` makes one of
 * several.
 *
 * The main thread makes the memory when it imports this package, and every thread that is started afterwards inherits it,
 * also one started by such a thread. Where the main thread has not imported the package before, the functions throw.
 */

/** The number is the version of the layout. */
const ENVIRONMENT_KEY = 'millrace.key-value-store.2';

const memory = inheritedMemory();
const map = memory === undefined ? undefined : new SharedMap(memory);
let releasesAtExit = false;

function inheritedMemory(): SharedArrayBuffer | undefined {
  const inherited = getEnvironmentData(ENVIRONMENT_KEY);
  if (inherited instanceof SharedArrayBuffer) return inherited;
  if (!isMainThread) return undefined;
  const made = newSharedMemory();
  setEnvironmentData(ENVIRONMENT_KEY, made);
  return made;
}

function store(): SharedMap {
  if (map !== undefined) return map;
  throw new MillraceError(
    'MILLRACE_APP_STATE',
    'The key-value store is not shared with this thread: import millrace in the main thread before this thread is started',
  );
}

/** A string; '' when there is none. */
export function getString(key: RecognizedString, collection: RecognizedString = ''): string {
  const value = store().getString(bytesOf(collection), bytesOf(key));
  return value === undefined ? '' : textOfCopy(value);
}

/** @throws MillraceError MILLRACE_STORE_FULL when the store has no room */
export function setString(
  key: RecognizedString,
  value: RecognizedString,
  collection: RecognizedString = '',
): void {
  store().setString(bytesOf(collection), bytesOf(key), bytesOf(value));
}

/** An integer; 0 when there is none. */
export function getInteger(key: RecognizedString, collection: RecognizedString = ''): number {
  return store().getInteger(bytesOf(collection), bytesOf(key));
}

/**
 * Sets an integer; it is cut to 32 bits with a sign.
 *
 * @throws MillraceError MILLRACE_STORE_FULL when the store has no room
 */
export function setInteger(key: RecognizedString, value: number, collection: RecognizedString = ''): void {
  store().setInteger(bytesOf(collection), bytesOf(key), value | 0);
}

/**
 * Adds to an integer, 0 when there is none, and returns the sum; it wraps around at 32 bits.
 *
 * @throws MillraceError MILLRACE_STORE_FULL when the store has no room
 */
export function incInteger(key: RecognizedString, change: number, collection: RecognizedString = ''): number {
  return store().addInteger(bytesOf(collection), bytesOf(key), change | 0);
}

/** The keys of the strings of a collection, in no order. Looks at the whole store. */
export function getStringKeys(collection: RecognizedString = ''): string[] {
  return store().keys(Kind.STRING, bytesOf(collection)).map(textOfCopy);
}

/** The keys of the integers of a collection, in no order. Looks at the whole store. */
export function getIntegerKeys(collection: RecognizedString = ''): string[] {
  return store().keys(Kind.INTEGER, bytesOf(collection)).map(textOfCopy);
}

export function deleteString(key: RecognizedString, collection: RecognizedString = ''): void {
  store().delete(Kind.STRING, bytesOf(collection), bytesOf(key));
}

export function deleteInteger(key: RecognizedString, collection: RecognizedString = ''): void {
  store().delete(Kind.INTEGER, bytesOf(collection), bytesOf(key));
}

/** Looks at the whole store. */
export function deleteStringCollection(collection: RecognizedString = ''): void {
  store().deleteCollection(Kind.STRING, bytesOf(collection));
}

/** Looks at the whole store. */
export function deleteIntegerCollection(collection: RecognizedString = ''): void {
  store().deleteCollection(Kind.INTEGER, bytesOf(collection));
}

/**
 * Takes the one lock of the store, and blocks the thread until it is free. It keeps nobody from the other functions
 * but those who lock too. A thread that ends gives it back; that of one that was terminated is taken from it (Linux).
 *
 * @throws MillraceError MILLRACE_APP_STATE when this thread holds it, or another one for ten seconds
 */
export function lock(): void {
  const holder = store().lock(threadId);
  if (holder >= 0) {
    const whose = holder === threadId ? 'this thread already' : `thread ${holder} for ten seconds`;
    throw new MillraceError(
      'MILLRACE_APP_STATE',
      `lock: ${whose} holds the lock; call unlock() in a finally block`,
    );
  }
  if (releasesAtExit) return;
  releasesAtExit = true;
  process.once('exit', () => store().unlock());
}

/** @throws MillraceError MILLRACE_APP_STATE when this thread does not hold the lock */
export function unlock(): void {
  if (store().unlock()) return;
  throw new MillraceError('MILLRACE_APP_STATE', 'unlock: this thread does not hold the lock');
}

function textOfCopy(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
